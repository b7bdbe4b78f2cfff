/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - the programs' records about processes, in order of time, each until its turn among the side band's comes.
 *
 * The ring is in order for each CPU only. A round adds what the ring holds, sorts, takes what is due, and keeps the
 * rest.
 */
#ifndef EBPROF_COLLECT_EVENTS_H
#define EBPROF_COLLECT_EVENTS_H

#include <stdint.h>

#include "sample.h"
#include "vector.h"

struct event {
	uint64_t time_ns;
	uint32_t type; /* RECORD_PROCESS, RECORD_EXIT or RECORD_NO_MAPPING */
	union {
		struct record_process process;
		struct record_exit exit;
		struct record_no_mapping no_mapping;
	};
};

/* Zeroed = empty. */
struct events {
	VECTOR(struct event) list;
	size_t next;
};

void events_deinit(struct events *events);

/* A record as it came; type is its first field. */
void events_add(struct events *events, const void *record, size_t size_bytes, uint32_t type);

/* After all were added. */
void events_sort(struct events *events);

/* The next one that is not later than a time, NULL = none; borrowed until anything else is called. */
const struct event *events_take(struct events *events, uint64_t until_ns);

/* Forgets what was taken; how many are left. */
size_t events_keep_rest(struct events *events);

#endif
