/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sideband.c - mapping records: the input is what the kernel would have written into a ring.
 *
 * The ring is read, each record decoded, queued and handed out again, in pieces as the times say. The input's first
 * byte places it in the ring, so that records wrap around its end. Every record is decoded a second time in a block of
 * just its size at an odd address, where a read behind it is caught.
 */
#include <linux/perf_event.h>
#include <stdbool.h>
#include <string.h>

#include "entries.h"
#include "perf_ring.h"
#include "sideband.h"
#include "sideband_queue.h"
#include "table_check.h"

enum { RING_BYTES = 8192, PREAMBLE = 1, QUEUE_BYTES = 2048 };

static const struct entry_format format = {
	.preamble = PREAMBLE,
	.head = sizeof(struct perf_event_header),
	.length_at = offsetof(struct perf_event_header, size),
	.length_size = 2,
};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return entries_mutate(&format, data, size, max_size, seed);
}

struct reading {
	struct sideband_queue queue;
	size_t nr_pushed, nr_found;
	uint64_t last_ns; /* of those found in this flush */
};

static void check_record(const struct sideband_record *record, const char *data, size_t size)
{
	const char *text = NULL;

	switch (record->type) {
	case SIDEBAND_MMAP:
		CHECK(record->mmap.start < record->mmap.end && record->mmap.build_id_size <= BUILD_ID_MAX);
		text = record->mmap.path;
		break;
	case SIDEBAND_COMM:
		text = record->comm.name;
		break;
	case SIDEBAND_LOST:
		CHECK(!record->pid && !record->tid);
		break;
	case SIDEBAND_CGROUP:
		text = record->cgroup.path;
		break;
	case SIDEBAND_FORK:
	case SIDEBAND_EXIT:
	case SIDEBAND_THROTTLE:
		break;
	}
	if (text && data)
		CHECK(text >= data && text + strlen(text) < data + size);
}

static void see_queued(const struct sideband_record *record, void *context)
{
	struct reading *reading = context;

	check_record(record, NULL, 0);
	CHECK(record->time_ns >= reading->last_ns);
	reading->last_ns = record->time_ns;
	reading->nr_found++;
}

static void flush(struct reading *reading, uint64_t until_ns)
{
	reading->last_ns = 0;
	sideband_queue_flush(&reading->queue, until_ns, see_queued, reading);
	CHECK(reading->last_ns <= until_ns);
}

/* The same record where nothing may be read behind it. */
static void decode_alone(const void *data, size_t size, const struct sideband_record *expected)
{
	struct sideband_record record;
	uint8_t *block = malloc(size + 1);

	memcpy(block + 1, data, size);
	bool good = sideband_decode(block + 1, size, &record);

	CHECK(good == (expected != NULL));
	if (good) {
		CHECK(record.type == expected->type && record.time_ns == expected->time_ns);
		check_record(&record, (const char *)block + 1, size);
	}
	free(block);
}

static void see_record(void *data, size_t size, void *context)
{
	struct reading *reading = context;
	struct sideband_record record;
	uint8_t *copy = memory_dup(data, size);
	bool good = sideband_decode(data, size, &record);

	if (good) {
		check_record(&record, data, size);
		if (!sideband_queue_push(&reading->queue, &record)) {
			flush(reading, UINT64_MAX);
			CHECK(!reading->queue.records.nr);
			/* Alone it may still be over the limit, by its name. */
			good = sideband_queue_push(&reading->queue, &record);
			reading->nr_pushed += good;
			good = true;
		} else {
			reading->nr_pushed++;
		}
		if (record.type == SIDEBAND_THROTTLE)
			flush(reading, record.time_ns);
	}
	decode_alone(copy, size, good ? &record : NULL);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct perf_event_mmap_page page;
	static uint8_t ring_data[RING_BYTES];
	static uint8_t scratch[PERF_RECORD_SIZE_MAX];
	struct perf_ring ring = {.page = &page, .data = ring_data, .size_bytes = RING_BYTES};
	struct reading reading = {0};

	if (size < PREAMBLE || size - PREAMBLE > RING_BYTES)
		return 0;
	page.data_tail = -(uint64_t)(data[0] * 8u);
	page.data_head = page.data_tail + (size - PREAMBLE);
	for (size_t i = PREAMBLE; i < size; i++)
		ring_data[(page.data_tail + i - PREAMBLE) % RING_BYTES] = data[i];
	sideband_queue_init(&reading.queue, QUEUE_BYTES);
	struct perf_ring_result result = perf_ring_read(&ring, scratch, see_record, &reading);

	CHECK(page.data_tail == page.data_head && result.span_bytes == size - PREAMBLE);
	flush(&reading, UINT64_MAX);
	CHECK(reading.nr_found == reading.nr_pushed && reading.nr_pushed <= result.nr_records);
	sideband_queue_deinit(&reading.queue);
	return 0;
}
