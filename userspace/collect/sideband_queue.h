/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sideband_queue.h - records of several rings, put in the order of their times.
 *
 * Records are copied in, with their names, and handed out sorted up to a time. Equal times keep the order in which they
 * were pushed, which within a ring is the order in which they happened. A record that comes later than others of a
 * later time have left goes out next.
 */
#ifndef EBPROF_COLLECT_SIDEBAND_QUEUE_H
#define EBPROF_COLLECT_SIDEBAND_QUEUE_H

#include "sideband.h"
#include "vector.h"

struct queued_record {
	struct sideband_record record; /* names are set when it is handed out */
	uint64_t sequence;             /* of the push */
	size_t text;                   /* place of the name in texts; NO_TEXT = none */
};

struct sideband_queue {
	VECTOR(struct queued_record) records;
	VECTOR(char) texts;
	uint64_t sequence;
	size_t limit_bytes; /* of what waits */
};

void sideband_queue_init(struct sideband_queue *queue, size_t limit_bytes);
void sideband_queue_deinit(struct sideband_queue *queue);

/* Copies a record in; false: it does not fit the limit. */
bool sideband_queue_push(struct sideband_queue *queue, const struct sideband_record *record);

/* Hands out, in order of time, all records up to until_ns inclusive: their number. found must not push. */
size_t sideband_queue_flush(struct sideband_queue *queue, uint64_t until_ns, sideband_fn found, void *context);

#endif
