/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile.proto writer, byte for byte: the expected messages were put together by hand from the format's
 * definition.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* After the four headers that it needs. */
#include <cmocka.h>
#include <zlib.h>

#include "memory_sink.h"
#include "pprof.h"
#include "protobuf.h"

/* What a gzip file holds; fails the test when it is not one whole member. */
static uint8_t *unzip(const struct memory_sink *file, size_t *size_ret)
{
	size_t room = file->size_bytes * 200 + 1000;
	uint8_t *plain = memory_zalloc(room, 1);
	z_stream stream = {
		.next_in = (Bytef *)file->data,
		.avail_in = (uInt)file->size_bytes,
		.next_out = plain,
		.avail_out = (uInt)room,
	};

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	*size_ret = stream.total_out;
	inflateEnd(&stream);
	return plain;
}

static void assert_written(const struct profile *profile, const uint8_t *expected, size_t size_bytes)
{
	struct memory_sink file;
	size_t plain_bytes;

	memory_sink_init(&file);
	assert_int_equal(pprof_write(profile, &file.sink), 0);
	uint8_t *plain = unzip(&file, &plain_bytes);

	assert_int_equal(plain_bytes, size_bytes);
	assert_memory_equal(plain, expected, size_bytes);
	free(plain);
	memory_sink_deinit(&file);
}

static void test_smallest_profile(void **state)
{
	(void)state;
	/* clang-format off */
	static const uint8_t expected[] = {
		0x0a, 4, 0x08, 1, 0x10, 2, /* sample_type: samples, count */
		0x5a, 0,                   /* period_type: nothing */
		0x32, 0, 0x32, 7, 's', 'a', 'm', 'p', 'l', 'e', 's', 0x32, 5, 'c', 'o', 'u', 'n', 't',
	};
	/* clang-format on */
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "samples", "count");
	assert_written(profile, expected, sizeof(expected));
	profile_destroy(profile);
}

static void test_every_field(void **state)
{
	(void)state;
	/* clang-format off */
	static const uint8_t expected[] = {
		0x0a, 4, 0x08, 1, 0x10, 2, /* sample_type: samples, count */
		0x0a, 4, 0x08, 3, 0x10, 4, /* sample_type: cpu, nanoseconds */
		0x5a, 4, 0x08, 3, 0x10, 4, /* period_type: cpu, nanoseconds */
		0x48, 1,                   /* time_nanos 1 */
		0x50, 2,                   /* duration_nanos 2 */
		0x60, 0xac, 0x02,          /* period 300 */
		0x70, 3,                   /* default_sample_type: cpu */
		0x78, 5,                   /* doc_url */
		0x6a, 2, 6, 7,             /* comments, packed */
		/* mapping 1: start 0x1000, limit 0x3000, offset 0x1000, file, build-id, has functions and inlines */
		0x1a, 19, 0x08, 1, 0x10, 0x80, 0x20, 0x18, 0x80, 0x60, 0x20, 0x80, 0x20, 0x28, 8, 0x30, 9, 0x38, 1,
		0x50, 1,
		0x1a, 6, 0x08, 2, 0x40, 1, 0x48, 1,                       /* mapping 2: has file names and lines */
		0x2a, 10, 0x08, 1, 0x10, 10, 0x18, 10, 0x20, 11, 0x28, 9, /* function 1: f, f, a.c, start_line 9 */
		0x2a, 4, 0x08, 2, 0x10, 12,                               /* function 2: a::b, no system name */
		/* location 1: mapping 1, address 0x1234, lines (1, 10) inlined into (2, 20), folded */
		0x22, 21, 0x08, 1, 0x10, 1, 0x18, 0xb4, 0x24, 0x22, 4, 0x08, 1, 0x10, 10, 0x22, 4, 0x08, 2, 0x10, 20,
		0x28, 1,
		0x22, 8, 0x08, 2, 0x10, 2, 0x22, 2, 0x08, 2, /* location 2: mapping 2, line (2, none) */
		/* sample: locations 1 2, values 2 600, labels comm = x, pid = 0 in pid */
		0x12, 21, 0x0a, 2, 1, 2, 0x12, 3, 2, 0xd8, 0x04, 0x1a, 4, 0x08, 13, 0x10, 14,
		0x1a, 4, 0x08, 15, 0x20, 15,
		0x32, 0, 0x32, 7, 's', 'a', 'm', 'p', 'l', 'e', 's', 0x32, 5, 'c', 'o', 'u', 'n', 't',
		0x32, 3, 'c', 'p', 'u', 0x32, 11, 'n', 'a', 'n', 'o', 's', 'e', 'c', 'o', 'n', 'd', 's',
		0x32, 4, 'h', 't', 't', 'p', 0x32, 1, 'h', 0x32, 1, 'i', 0x32, 2, '/', 'a', 0x32, 2, 'a', 'b',
		0x32, 1, 'f', 0x32, 3, 'a', '.', 'c', 0x32, 4, 'a', ':', ':', 'b', 0x32, 4, 'c', 'o', 'm', 'm',
		0x32, 1, 'x', 0x32, 3, 'p', 'i', 'd',
	};
	/* clang-format on */
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, "cpu", "nanoseconds");
	profile_set_period(profile, "cpu", "nanoseconds", 300);
	profile->time_ns = 1;
	profile->duration_ns = 2;
	profile->default_sample_type = profile_string(profile, "cpu");
	profile->doc_url = profile_string(profile, "http");
	profile_add_comment(profile, "h");
	profile_add_comment(profile, "i");
	struct profile_mapping mapping = {
		.start = 0x1000,
		.limit = 0x3000,
		.file_offset = 0x1000,
		.filename = profile_string(profile, "/a"),
		.build_id = profile_string(profile, "ab"),
		.has_functions = true,
		.has_inline_frames = true,
	};
	struct profile_mapping other = {.has_filenames = true, .has_line_numbers = true};

	profile_add_mapping(profile, &mapping);
	profile_add_mapping(profile, &other);
	profile_add_function(profile, "f", "f", "a.c", 9);
	profile_add_function(profile, "a::b", "a::b", NULL, 0);
	struct profile_line lines[] = {{.function = 0, .line = 10}, {.function = 1, .line = 20}};
	uint32_t stack[] = {
		profile_add_location(profile, 0, 0x1234, lines, 2, true),
		profile_add_location(profile, 1, 0, &(struct profile_line){.function = 1}, 1, false),
	};
	struct profile_label labels[2];

	labels[1] = profile_label_text(profile, "comm", "x");
	labels[0] = profile_label_number(profile, "pid", 0, "pid");
	profile_add_sample(profile, stack, 2, labels, 2, (int64_t[]){2, 600});
	/* Adds up to nothing: not written. */
	profile_add_sample(profile, stack, 1, NULL, 0, (int64_t[]){0, 0});
	assert_written(profile, expected, sizeof(expected));
	profile_destroy(profile);
}

static void test_largest_numbers(void **state)
{
	(void)state;
	/* clang-format off */
	static const uint8_t expected[] = {
		0x0a, 2, 0x08, 1, 0x0a, 2, 0x08, 2, 0x0a, 2, 0x08, 3, /* types a, b, c */
		0x5a, 2, 0x08, 1,
		0x48, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, /* time -1 */
		0x50, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, /* duration -1 */
		0x60, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, /* period INT64_MIN */
		/* mapping: limit UINT64_MAX */
		0x1a, 13, 0x08, 1, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
		0x2a, 10, 0x08, 1, 0x10, 4, 0x28, 0xff, 0xff, 0xff, 0xff, 0x0f, /* start_line UINT32_MAX */
		/* location: address UINT64_MAX, line UINT32_MAX */
		0x22, 25, 0x08, 1, 0x10, 1, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
		0x22, 8, 0x08, 1, 0x10, 0xff, 0xff, 0xff, 0xff, 0x0f,
		/* values -1, INT64_MAX, 0; label a = INT64_MIN in c */
		0x12, 42, 0x0a, 1, 1,
		0x12, 20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0,
		0x1a, 15, 0x08, 1, 0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x20, 3,
		0x32, 0, 0x32, 1, 'a', 0x32, 1, 'b', 0x32, 1, 'c', 0x32, 1, 'f',
	};
	/* clang-format on */
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "a", NULL);
	profile_add_sample_type(profile, "b", "");
	profile_add_sample_type(profile, "c", "");
	profile_set_period(profile, "a", "", INT64_MIN);
	profile->time_ns = profile->duration_ns = -1;
	profile_add_mapping(profile, &(struct profile_mapping){.limit = UINT64_MAX});
	profile_add_function(profile, "f", NULL, NULL, UINT32_MAX);
	struct profile_line line = {.line = UINT32_MAX};
	uint32_t location = profile_add_location(profile, 0, UINT64_MAX, &line, 1, false);
	struct profile_label label = profile_label_number(profile, "a", INT64_MIN, "c");

	profile_add_sample(profile, &location, 1, &label, 1, (int64_t[]){-1, INT64_MAX, 0});
	assert_written(profile, expected, sizeof(expected));
	profile_destroy(profile);
}

static void test_varint_lengths(void **state)
{
	(void)state;
	struct protobuf message = {0};

	/* 7 bits each: a number of n bits takes (n + 6) / 7 bytes. */
	for (unsigned int bits = 1; bits <= 64; bits++) {
		uint64_t value = UINT64_MAX >> (64 - bits);
		uint64_t read = 0;

		protobuf_reset(&message);
		protobuf_put_varint(&message, value);
		assert_int_equal(message.bytes.nr, (bits + 6) / 7);
		for (size_t i = 0; i < message.bytes.nr; i++) {
			read |= (uint64_t)(message.bytes.data[i] & 0x7f) << (7 * i);
			assert_int_equal(message.bytes.data[i] >> 7, i + 1 < message.bytes.nr);
		}
		assert_int_equal(read, value);
	}
	protobuf_reset(&message);
	protobuf_put_varint(&message, 0);
	assert_int_equal(message.bytes.nr, 1);
	assert_int_equal(message.bytes.data[0], 0);
	protobuf_deinit(&message);
}

/* A profile whose file is much larger than any buffer on the way. */
static struct profile *large_profile(void)
{
	enum { NR = 20000, DEPTH = 30 };
	struct profile *profile = profile_create();
	uint64_t random = 1;
	char name[64];

	profile_add_sample_type(profile, "samples", "count");
	profile_add_mapping(profile, &(struct profile_mapping){.limit = UINT64_MAX});
	for (uint32_t i = 0; i < NR; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		snprintf(name, sizeof(name), "function_%016llx", (unsigned long long)random);
		struct profile_line line = {.function = profile_add_function(profile, name, name, NULL, 0), .line = i};

		profile_add_location(profile, 0, random, &line, 1, false);
	}
	for (uint32_t i = 0; i < NR; i++) {
		uint32_t stack[DEPTH];

		for (uint32_t j = 0; j < DEPTH; j++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			stack[j] = (uint32_t)(random >> 33) % NR;
		}
		profile_add_sample(profile, stack, DEPTH, NULL, 0, (int64_t[]){i + 1});
	}
	return profile;
}

static void test_output_streams_and_repeats(void **state)
{
	(void)state;
	struct profile *profile = large_profile();
	struct memory_sink first, second;
	size_t plain_bytes;

	memory_sink_init(&first);
	memory_sink_init(&second);
	assert_int_equal(pprof_write(profile, &first.sink), 0);
	assert_int_equal(pprof_write(profile, &second.sink), 0);
	assert_true(first.size_bytes > 1000000);
	assert_true(first.largest <= 65536);
	assert_true(first.nr_writes >= first.size_bytes / 65536);
	assert_int_equal(first.size_bytes, second.size_bytes);
	assert_memory_equal(first.data, second.data, first.size_bytes);
	/* No time and no name in the header, or equal profiles would give different files. */
	assert_memory_equal(first.data, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);
	free(unzip(&first, &plain_bytes));
	assert_true(plain_bytes > first.size_bytes);
	memory_sink_deinit(&first);
	memory_sink_deinit(&second);
	profile_destroy(profile);
}

static void test_sink_errors_come_back(void **state)
{
	(void)state;
	struct profile *profile = large_profile();
	struct memory_sink whole, file;

	memory_sink_init(&whole);
	assert_int_equal(pprof_write(profile, &whole.sink), 0);
	assert_true(whole.nr_writes > 3);
	size_t failing[] = {1, 2, whole.nr_writes};

	for (size_t i = 0; i < ARRAY_SIZE(failing); i++) {
		memory_sink_init(&file);
		file.fail_at = failing[i];
		file.error = -ENOSPC;
		assert_int_equal(pprof_write(profile, &file.sink), -ENOSPC);
		/* Nothing was tried after the failure. */
		assert_int_equal(file.nr_writes, failing[i]);
		memory_sink_deinit(&file);
	}
	memory_sink_init(&file);
	file.fail_at = whole.nr_writes + 1;
	file.error = -EIO;
	assert_int_equal(pprof_write(profile, &file.sink), 0);
	memory_sink_deinit(&file);
	memory_sink_deinit(&whole);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest_profile),
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_largest_numbers),
		cmocka_unit_test(test_varint_lengths),
		cmocka_unit_test(test_output_streams_and_repeats),
		cmocka_unit_test(test_sink_errors_come_back),
	};

	return cmocka_run_group_tests_name("pprof", tests, NULL, NULL);
}
