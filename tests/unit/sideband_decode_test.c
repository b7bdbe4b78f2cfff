/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sideband_decode_test.c - records of perf rings: decoding of good and hostile bytes, the ring's wrap-around, the order
 * in which the queue gives them back, and lists of CPUs.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "perf_event.h"
#include "perf_ring.h"
#include "sideband.h"
#include "sideband_queue.h"
#include "vector.h"

/* --- making records ----------------------------------------------------------------------------------------------- */

enum { MISC_COMM_EXEC = 1 << 13, MISC_BUILD_ID = 1 << 14 };

struct bytes {
	VECTOR(uint8_t) list;
};

static void add(struct bytes *bytes, const void *data, size_t size)
{
	vector_reserve(&bytes->list, size + 1); /* so that there is a place even for nothing */
	memcpy(bytes->list.data + bytes->list.nr, data, size);
	bytes->list.nr += size;
}

static void add_u64(struct bytes *bytes, uint64_t value)
{
	add(bytes, &value, 8);
}

static void add_u32_pair(struct bytes *bytes, uint32_t first, uint32_t second)
{
	add(bytes, &first, 4);
	add(bytes, &second, 4);
}

/* A text with its NUL, padded to a multiple of 8 as the kernel does. */
static void add_text(struct bytes *bytes, const char *text)
{
	size_t size = strlen(text) + 1;

	add(bytes, text, size);
	add(bytes, "\0\0\0\0\0\0\0", -size & 7);
}

static struct bytes record_begin(uint32_t type, uint16_t misc)
{
	struct perf_event_header header = {.type = type, .misc = misc};
	struct bytes bytes = {0};

	add(&bytes, &header, sizeof(header));
	return bytes;
}

static void set_size(struct bytes *bytes, uint16_t size)
{
	memcpy(bytes->list.data + offsetof(struct perf_event_header, size), &size, sizeof(size));
}

/* Adds the trailer (pid 70, tid 71) and sets the size. */
static void record_end(struct bytes *bytes, uint64_t time_ns)
{
	add_u32_pair(bytes, 70, 71);
	add_u64(bytes, time_ns);
	add_u32_pair(bytes, 1, 0);
	set_size(bytes, (uint16_t)bytes->list.nr);
}

/* [0x7000, 0x9000) at offset 0x3000, of pid 50, tid 51. */
static struct bytes make_mmap(uint16_t misc, const void *identity, uint32_t protection, const char *path)
{
	struct bytes bytes = record_begin(PERF_RECORD_MMAP2, misc);

	add_u32_pair(&bytes, 50, 51);
	add_u64(&bytes, 0x7000);
	add_u64(&bytes, 0x2000);
	add_u64(&bytes, 0x3000);
	add(&bytes, identity, 24);
	add_u32_pair(&bytes, protection, MAP_PRIVATE);
	add_text(&bytes, path);
	record_end(&bytes, 1000);
	return bytes;
}

static struct bytes make_comm(uint16_t misc, uint64_t time_ns, const char *name)
{
	struct bytes bytes = record_begin(PERF_RECORD_COMM, misc);

	add_u32_pair(&bytes, 50, 51);
	add_text(&bytes, name);
	record_end(&bytes, time_ns);
	return bytes;
}

static struct bytes make_task(uint32_t type, uint32_t pid, uint32_t parent_pid)
{
	struct bytes bytes = record_begin(type, 0);

	add_u32_pair(&bytes, pid, parent_pid);
	add_u32_pair(&bytes, 61, 62);
	add_u64(&bytes, 1234);
	record_end(&bytes, 1000);
	return bytes;
}

static struct bytes make_lost(uint64_t time_ns, uint64_t lost)
{
	struct bytes bytes = record_begin(PERF_RECORD_LOST, 0);

	add_u64(&bytes, 12);
	add_u64(&bytes, lost);
	record_end(&bytes, time_ns);
	return bytes;
}

/* major 8, minor 1, inode 99 */
static const uint8_t by_inode[24] = {8, 0, 0, 0, 1, 0, 0, 0, 99};

/* Decodes from an odd address in a heap block that ends with the record. */
static bool decode_at_odd(const struct bytes *bytes, uint8_t **ret_block, struct sideband_record *ret)
{
	uint8_t *block = memory_zalloc(bytes->list.nr + 1, 1);

	memcpy(block + 1, bytes->list.data, bytes->list.nr);
	*ret_block = block;
	return sideband_decode(block + 1, bytes->list.nr, ret);
}

/* --- decoding ----------------------------------------------------------------------------------------------------- */

static void test_decode_mmap(void **state)
{
	struct bytes bytes = make_mmap(0, by_inode, PROT_READ | PROT_EXEC, "/lib/x y.so");
	_cleanup_free_ uint8_t *block = NULL;
	struct sideband_record record;

	(void)state;
	assert_true(decode_at_odd(&bytes, &block, &record));
	assert_int_equal(record.type, SIDEBAND_MMAP);
	assert_true(record.time_ns == 1000 && record.pid == 50 && record.tid == 51);
	assert_true(record.mmap.start == 0x7000 && record.mmap.end == 0x9000 && record.mmap.file_offset == 0x3000);
	assert_int_equal(record.mmap.build_id_size, 0);
	assert_true(record.mmap.major == 8 && record.mmap.minor == 1 && record.mmap.inode == 99);
	assert_string_equal(record.mmap.path, "/lib/x y.so");
	assert_false(record.mmap.deleted);
	vector_free(&bytes.list);
}

static void test_decode_build_id(void **state)
{
	static const uint8_t sizes[] = {20, 16, 8, 1};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes); i++) {
		uint8_t identity[24] = {sizes[i], 0, 0, 0, 0xaa, 0xbb};
		struct bytes bytes = make_mmap(MISC_BUILD_ID, identity, PROT_EXEC, "/lib/x.so (deleted)");
		_cleanup_free_ uint8_t *block = NULL;
		struct sideband_record record;

		assert_true(decode_at_odd(&bytes, &block, &record));
		assert_int_equal(record.mmap.build_id_size, sizes[i]);
		assert_int_equal(record.mmap.build_id[0], 0xaa);
		assert_true(record.mmap.inode == 0 && record.mmap.major == 0);
		assert_true(record.mmap.deleted);
		assert_string_equal(record.mmap.path, "/lib/x.so");
		vector_free(&bytes.list);
	}
}

/* None of these may become a mapping. */
static void test_decode_bad_mmap(void **state)
{
	const uint8_t too_long[24] = {21}, too_long_by_far[24] = {255}, none[24] = {0};
	struct bytes bad[] = {
		make_mmap(0, by_inode, PROT_READ | PROT_WRITE, "/data"),
		make_mmap(MISC_BUILD_ID, too_long, PROT_EXEC, "/x"),
		make_mmap(MISC_BUILD_ID, too_long_by_far, PROT_EXEC, "/x"),
		make_mmap(MISC_BUILD_ID, none, PROT_EXEC, "/x"),
		make_mmap(0, by_inode, PROT_EXEC, "/empty"),
		make_mmap(0, by_inode, PROT_EXEC, "/wraps around"),
		make_mmap(0, by_inode, PROT_EXEC, "/1234567"),
	};
	const uint64_t zero = 0, huge = UINT64_MAX - 0x6fff;

	(void)state;
	memcpy(bad[4].list.data + 24, &zero, 8);
	memcpy(bad[5].list.data + 24, &huge, 8);
	bad[6].list.data[72 + 8] = 'x'; /* the NUL and its padding: the text runs into the trailer */
	memset(bad[6].list.data + 72, 'x', 16);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ uint8_t *block = NULL;
		struct sideband_record record = {.time_ns = 77};

		assert_false(decode_at_odd(&bad[i], &block, &record));
		assert_int_equal(record.time_ns, 77);
		vector_free(&bad[i].list);
	}
}

static void test_decode_comm(void **state)
{
	static const uint16_t misc[] = {0, MISC_COMM_EXEC};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(misc); i++) {
		struct bytes bytes = make_comm(misc[i], 2000, "name");
		_cleanup_free_ uint8_t *block = NULL;
		struct sideband_record record;

		assert_true(decode_at_odd(&bytes, &block, &record));
		assert_int_equal(record.type, SIDEBAND_COMM);
		assert_true(record.time_ns == 2000 && record.pid == 50 && record.tid == 51);
		assert_string_equal(record.comm.name, "name");
		assert_int_equal(record.comm.is_exec, misc[i] != 0);
		vector_free(&bytes.list);
	}
}

static void test_decode_lost_and_throttle(void **state)
{
	struct bytes lost = make_lost(3000, 17), throttle = record_begin(PERF_RECORD_THROTTLE, 0);
	_cleanup_free_ uint8_t *lost_block = NULL, *throttle_block = NULL, *unthrottle_block = NULL;
	struct sideband_record record;
	uint32_t type = PERF_RECORD_UNTHROTTLE;

	(void)state;
	assert_true(decode_at_odd(&lost, &lost_block, &record));
	assert_int_equal(record.type, SIDEBAND_LOST);
	assert_true(record.time_ns == 3000 && record.lost == 17 && record.pid == 0 && record.tid == 0);
	for (int i = 0; i < 3; i++)
		add_u64(&throttle, 1);
	record_end(&throttle, 4000);
	assert_true(decode_at_odd(&throttle, &throttle_block, &record));
	assert_int_equal(record.type, SIDEBAND_THROTTLE);
	assert_true(record.time_ns == 4000 && record.pid == 70 && record.tid == 71);
	memcpy(throttle.list.data, &type, sizeof(type));
	assert_false(decode_at_odd(&throttle, &unthrottle_block, &record));
	vector_free(&lost.list);
	vector_free(&throttle.list);
}

/* Every record at every length, with the header's size as it was, as the length is, and as no record has it. */
static void test_decode_tasks(void **state)
{
	struct bytes born = make_task(PERF_RECORD_FORK, 50, 40), gone = make_task(PERF_RECORD_EXIT, 50, 40);
	_cleanup_free_ uint8_t *born_block = NULL, *gone_block = NULL;
	struct sideband_record record;

	(void)state;
	assert_true(decode_at_odd(&born, &born_block, &record));
	assert_int_equal(record.type, SIDEBAND_FORK);
	assert_true(record.time_ns == 1000 && record.pid == 50 && record.tid == 61 && record.fork.parent_pid == 40);
	assert_true(decode_at_odd(&gone, &gone_block, &record));
	assert_int_equal(record.type, SIDEBAND_EXIT);
	assert_true(record.time_ns == 1000 && record.pid == 50 && record.tid == 61);
	vector_free(&born.list);
	vector_free(&gone.list);
}

static void test_decode_cut(void **state)
{
	struct bytes good[] = {
		make_mmap(0, by_inode, PROT_EXEC, "/lib/x.so (deleted)"),
		make_comm(0, 5, "a name"),
		make_lost(5, 1),
		make_task(PERF_RECORD_FORK, 50, 40),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		for (size_t size = 0; size < good[i].list.nr; size++) {
			const uint16_t claims[] = {(uint16_t)good[i].list.nr, (uint16_t)size, 0, 7, 8, 31, 65535};

			for (size_t j = 0; j < ARRAY_SIZE(claims); j++) {
				struct bytes cut = {0};
				_cleanup_free_ uint8_t *block = NULL;
				struct sideband_record record;

				add(&cut, good[i].list.data, size);
				if (size >= sizeof(struct perf_event_header))
					set_size(&cut, claims[j]);
				/* Only a claim that is the truth can decode, as another, shorter text. */
				if (claims[j] != size)
					assert_false(decode_at_odd(&cut, &block, &record));
				else
					decode_at_odd(&cut, &block, &record);
				vector_free(&cut.list);
			}
		}
		vector_free(&good[i].list);
	}
}

/* Random bytes behind each type's header: what decodes has its name inside the record. */
static void test_decode_random(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t size = 8 + (size_t)rand_r((unsigned *)&seed) % 140;
		uint8_t *data = memory_zalloc(size, 1);
		struct perf_event_header header = {.type = (uint32_t)rand_r((unsigned *)&seed) % 12,
						   .misc = (uint16_t)rand_r((unsigned *)&seed),
						   .size = (uint16_t)(size - (size_t)rand_r((unsigned *)&seed) % 4)};
		struct sideband_record record;

		for (size_t i = 0; i < size; i++)
			data[i] = (uint8_t)(rand_r((unsigned *)&seed) >> 8);
		memcpy(data, &header, sizeof(header));
		if (sideband_decode(data, size, &record) && record.type == SIDEBAND_COMM)
			assert_true(record.comm.name + strlen(record.comm.name) < (char *)data + size);
		if (sideband_decode(data, size, &record) && record.type == SIDEBAND_MMAP) {
			assert_true(record.mmap.path + strlen(record.mmap.path) < (char *)data + size);
			assert_true(record.mmap.start < record.mmap.end && record.mmap.build_id_size <= 20);
		}
		free(data);
	}
}

/* --- the ring ----------------------------------------------------------------------------------------------------- */

enum { RING_BYTES = 4096 };

struct fake_ring {
	struct perf_ring ring;
	struct perf_event_mmap_page page;
	uint8_t data[RING_BYTES];
};

static struct fake_ring *fake_create(uint64_t position)
{
	struct fake_ring *fake = memory_new(struct fake_ring);

	fake->ring = (struct perf_ring){.page = &fake->page, .data = fake->data, .size_bytes = RING_BYTES};
	fake->page.data_head = position;
	fake->page.data_tail = position;
	return fake;
}

static void fake_write(struct fake_ring *fake, const struct bytes *bytes)
{
	for (size_t i = 0; i < bytes->list.nr; i++)
		fake->data[fake->page.data_head++ % RING_BYTES] = bytes->list.data[i];
}

struct seen_times {
	VECTOR(uint64_t) list;
};

static void see_record(void *data, size_t size_bytes, void *context)
{
	struct seen_times *seen = context;
	struct sideband_record record;

	assert_true(sideband_decode(data, size_bytes, &record));
	assert_string_equal(record.comm.name, "a fifteen chars");
	*vector_push(&seen->list) = record.time_ns;
}

/* At each offset of the ring's end within a record, and where positions exceed 32 and 63 bits. */
static void test_ring_wraps(void **state)
{
	static const uint64_t bases[] = {0, 1ull << 32, 1ull << 63, -(uint64_t)RING_BYTES};
	_cleanup_free_ uint8_t *scratch = memory_zalloc(PERF_RECORD_SIZE_MAX, 1);
	struct bytes first = make_comm(0, 1, "a fifteen chars"), second = make_comm(0, 2, "a fifteen chars");

	(void)state;
	for (size_t base = 0; base < ARRAY_SIZE(bases); base++) {
		for (size_t before = 0; before <= 2 * first.list.nr; before += 8) {
			_cleanup_free_ struct fake_ring *fake = fake_create(bases[base] + RING_BYTES - before);
			struct seen_times seen = {0};
			struct perf_ring_result result;

			fake_write(fake, &first);
			fake_write(fake, &second);
			result = perf_ring_read(&fake->ring, scratch, see_record, &seen);
			assert_true(result.nr_records == 2 && !result.broken && result.span_bytes == 2 * first.list.nr);
			assert_true(seen.list.nr == 2 && seen.list.data[0] == 1 && seen.list.data[1] == 2);
			assert_true(fake->page.data_tail == fake->page.data_head);
			result = perf_ring_read(&fake->ring, scratch, see_record, &seen);
			assert_true(result.nr_records == 0 && result.span_bytes == 0);
			vector_free(&seen.list);
		}
	}
	vector_free(&first.list);
	vector_free(&second.list);
}

/* A size that can't be: the good record before it counts, the rest is skipped and said to be broken. */
static void test_ring_broken(void **state)
{
	static const uint16_t sizes[] = {0, 1, 7, 57, 4096, 65535};
	_cleanup_free_ uint8_t *scratch = memory_zalloc(PERF_RECORD_SIZE_MAX, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_free_ struct fake_ring *fake = fake_create(0);
		struct bytes good = make_comm(0, 1, "a fifteen chars"), bad = make_comm(0, 2, "a fifteen chars");
		struct seen_times seen = {0};
		struct perf_ring_result result;

		set_size(&bad, sizes[i]);
		fake_write(fake, &good);
		fake_write(fake, &bad);
		result = perf_ring_read(&fake->ring, scratch, see_record, &seen);
		assert_true(result.broken && result.nr_records == 1 && seen.list.nr == 1);
		assert_true(fake->page.data_tail == fake->page.data_head);
		vector_free(&good.list);
		vector_free(&bad.list);
		vector_free(&seen.list);
	}
}

/* --- the queue ---------------------------------------------------------------------------------------------------- */

static void see_queued(const struct sideband_record *record, void *context)
{
	char *order = context;

	strcat(order, record->type == SIDEBAND_COMM ? record->comm.name : "L");
}

static void push(struct sideband_queue *queue, uint64_t time_ns, const char *name)
{
	struct sideband_record record = {.type = SIDEBAND_COMM, .time_ns = time_ns};
	_cleanup_free_ char *borrowed = memory_strdup(name);

	record.comm.name = borrowed;
	assert_true(sideband_queue_push(queue, &record));
}

static void test_queue_order(void **state)
{
	struct sideband_queue queue;
	struct sideband_record lost = {.type = SIDEBAND_LOST, .time_ns = 25, .lost = 1};
	char order[64] = "";

	(void)state;
	sideband_queue_init(&queue, 1 << 20);
	push(&queue, 10, "a"); /* one ring */
	push(&queue, 30, "d");
	push(&queue, 30, "e");
	push(&queue, 20, "b"); /* another */
	push(&queue, 20, "c");
	push(&queue, 40, "g");
	push(&queue, 30, "f"); /* a third */
	assert_true(sideband_queue_push(&queue, &lost));
	assert_int_equal(sideband_queue_flush(&queue, 9, see_queued, order), 0);
	assert_int_equal(sideband_queue_flush(&queue, 20, see_queued, order), 3);
	assert_string_equal(order, "abc");
	push(&queue, 20, "l"); /* late: goes out next */
	push(&queue, 50, "h");
	assert_int_equal(sideband_queue_flush(&queue, 30, see_queued, order), 5);
	assert_string_equal(order, "abclLdef");
	assert_int_equal(sideband_queue_flush(&queue, UINT64_MAX, see_queued, order), 2);
	assert_string_equal(order, "abclLdefgh");
	assert_int_equal(sideband_queue_flush(&queue, UINT64_MAX, see_queued, order), 0);
	sideband_queue_deinit(&queue);
}

static void test_queue_limit(void **state)
{
	struct sideband_queue queue;
	struct sideband_record record = {.type = SIDEBAND_COMM, .comm.name = "x"};
	char order[64] = "";
	int nr = 0;

	(void)state;
	sideband_queue_init(&queue, 4 * sizeof(struct queued_record));
	while (nr < 10 && sideband_queue_push(&queue, &record))
		nr++;
	assert_int_equal(nr, 3); /* the names take room too */
	assert_int_equal(sideband_queue_flush(&queue, UINT64_MAX, see_queued, order), 3);
	assert_true(sideband_queue_push(&queue, &record));
	sideband_queue_deinit(&queue);
}

/* --- lists of CPUs ------------------------------------------------------------------------------------------------ */

static void test_cpu_list(void **state)
{
	static const char *const bad[] = {"",     "\n",     "a",          "1-",         "-1",
					  "3-1",  "1,,2",   "1,",         "2,1",        "0-2,2",
					  "1 2",  "0-8192", "4294967296", "0-3\n\n",    "0x1",
					  "1--2", "1-2-3",  " 0-1",       "0-99999999", "99999999999999999999"};
	struct cpu_list list = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(cpu_list_parse(bad[i], &list), -EBADMSG);
		assert_int_equal(list.cpus.nr, 0);
	}
	assert_int_equal(cpu_list_parse("0-2,5,7-8\n", &list), 0);
	assert_int_equal(list.cpus.nr, 6);
	assert_true(list.cpus.data[2] == 2 && list.cpus.data[3] == 5 && list.cpus.data[5] == 8);
	cpu_list_deinit(&list);
	assert_int_equal(cpu_list_parse("0-8191", &list), 0);
	assert_int_equal(list.cpus.nr, 8192);
	cpu_list_deinit(&list);
	assert_int_equal(cpu_list_online(&list, NULL), 0);
	assert_int_equal(list.cpus.nr, sysconf(_SC_NPROCESSORS_ONLN));
	cpu_list_deinit(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_mmap),
		cmocka_unit_test(test_decode_build_id),
		cmocka_unit_test(test_decode_bad_mmap),
		cmocka_unit_test(test_decode_comm),
		cmocka_unit_test(test_decode_lost_and_throttle),
		cmocka_unit_test(test_decode_tasks),
		cmocka_unit_test(test_decode_cut),
		cmocka_unit_test(test_decode_random),
		cmocka_unit_test(test_ring_wraps),
		cmocka_unit_test(test_ring_broken),
		cmocka_unit_test(test_queue_order),
		cmocka_unit_test(test_queue_limit),
		cmocka_unit_test(test_cpu_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
