/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_ring.h - the consumer's side of the ring that a perf event shares with the kernel.
 *
 * One control page, then 2^n pages of data. The kernel appends records and moves data_head; we read up to it and move
 * data_tail, which gives the space back. Both only grow; the place in the ring is the position modulo its size, so a
 * record can wrap around the end.
 */
#ifndef EBPROF_COLLECT_PERF_RING_H
#define EBPROF_COLLECT_PERF_RING_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PERF_RECORD_SIZE_MAX = UINT16_MAX, /* perf_event_header.size has 16 bits */
};

struct perf_ring {
	struct perf_event_mmap_page *page; /* NULL = not mapped */
	const uint8_t *data;
	size_t size_bytes; /* of data, a power of two */
};

/* A contiguous copy of one record, the callee's to change until it returns. */
typedef void (*perf_ring_fn)(void *record, size_t size_bytes, void *context);

struct perf_ring_result {
	size_t nr_records;
	size_t span_bytes; /* from where we started to read to where the kernel was once our tail had moved */
	bool broken;	   /* a record's size made no sense: what was left in the ring has been skipped */
};

/* Maps the ring of an event: size_bytes of data, a power of two of pages. 0 or a negative errno. */
int perf_ring_init(struct perf_ring *ring, int fd, size_t size_bytes);
void perf_ring_deinit(struct perf_ring *ring);

/* Hands out what the kernel had published when called. scratch holds PERF_RECORD_SIZE_MAX bytes. */
struct perf_ring_result perf_ring_read(struct perf_ring *ring, void *scratch, perf_ring_fn found, void *context);

#endif
