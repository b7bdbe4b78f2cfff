/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping_runs.h - pieces of the mapping array that the walker searches.
 *
 * A run is written once and never changed; a process that maps something gets a new one, and children that were forked
 * from it share it. A run without users rests until it is certain that no program walks with it any more and no fork
 * that copied it is still unknown: that is after the second generation switch with a full drain behind it.
 */
#ifndef EBPROF_COLLECT_MAPPING_RUNS_H
#define EBPROF_COLLECT_MAPPING_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "sample.h"
#include "table.h"
#include "vector.h"

struct mapping_run {
	uint32_t first, count; /* slots */
	uint32_t users;
	uint32_t rested; /* drains survived without a user */
};

struct mapping_runs {
	struct mapping_slot *slots; /* borrowed shared memory */
	uint32_t nr_slots;
	VECTOR(struct mapping_run) list; /* in use or resting, not ordered */
	struct table by_first;           /* first slot -> list */
	VECTOR(struct mapping_run) free; /* sorted by first, never adjacent */
};

enum { NO_RUN = UINT32_MAX };

void mapping_runs_init(struct mapping_runs *runs, struct mapping_slot *slots, uint32_t nr_slots);
void mapping_runs_deinit(struct mapping_runs *runs);

/* Takes count slots, with one user; NO_RUN when there is no room. Else the index of the run. */
uint32_t mapping_runs_take(struct mapping_runs *runs, uint32_t count);

/* One more user of the run that begins at this slot (a fork copied it); NO_RUN when there is none such. */
uint32_t mapping_runs_share(struct mapping_runs *runs, uint32_t first);

/* One user less. NO_RUN is allowed. */
void mapping_runs_leave(struct mapping_runs *runs, uint32_t run);

/* After a generation switch and a full drain. */
void mapping_runs_rest(struct mapping_runs *runs);

#endif
