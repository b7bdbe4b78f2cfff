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

/* The file whose code a mapping without a file took the place of. */
struct text_origin {
	uint64_t base; /* address of its module offset 0 */
	uint32_t module;
	uint32_t is_known; /* 0 = there is none */
};

struct mapping {
	uint64_t start, end;
	uint64_t file_offset;   /* of start */
	uint64_t module_offset; /* of start */
	uint32_t module;        /* NO_MODULE: anonymous, or a file that could not be opened */
	uint32_t path;          /* id in the processes' string pool */
	struct text_origin origin;
};

struct mappings {
	VECTOR(struct mapping) list;
};

void mappings_deinit(struct mappings *mappings);
void mappings_add(struct mappings *mappings, struct mapping fresh);
bool mappings_equal(const struct mappings *left, const struct mappings *right);
void mappings_copy(struct mappings *to, const struct mappings *from);

/* The index of the first mapping that ends behind an address; their number when there is none. */
size_t mappings_behind(const struct mappings *mappings, uint64_t address);

/* NULL = nothing mapped at pc. */
const struct mapping *mappings_find(const struct mappings *mappings, uint64_t pc);

#endif
