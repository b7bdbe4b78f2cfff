/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mappings.h - the executable mappings of one process image: sorted by address, not overlapping.
 *
 * The kernel reports new mappings but neither munmap nor mremap, so the newest mapping at an address is the true one:
 * adding one cuts or drops whatever it covers.
 */
#ifndef EBPROF_COLLECT_MAPPINGS_H
#define EBPROF_COLLECT_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "vector.h"

struct mapping {
	uint64_t start, end;
	uint64_t file_offset;   /* of start */
	uint64_t module_offset; /* of start */
	uint32_t module;        /* NO_MODULE: anonymous, or a file that could not be opened */
	uint32_t path;          /* id in the processes' string pool */
};

struct mappings {
	VECTOR(struct mapping) list;
};

void mappings_deinit(struct mappings *mappings);
void mappings_add(struct mappings *mappings, struct mapping fresh);
bool mappings_equal(const struct mappings *left, const struct mappings *right);
void mappings_copy(struct mappings *to, const struct mappings *from);

/* NULL = nothing mapped at pc. */
const struct mapping *mappings_find(const struct mappings *mappings, uint64_t pc);

#endif
