/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_rows.h - from functions in any order, with their rows, to one sorted table.
 *
 * Addresses are distances from an origin that the owner chooses, so that they fit 32 bits.
 */
#ifndef EBPROF_SYMBOLIZE_UNWIND_ROWS_H
#define EBPROF_SYMBOLIZE_UNWIND_ROWS_H

#include <stdint.h>

#include "facts.h"
#include "unwind_rule.h"
#include "vector.h"

/* From start on, rule. */
struct rule_row {
	uint32_t start;
	uint32_t rule;
};
struct rule_rows {
	VECTOR(struct rule_row) list;
};

/* A function; its rows are rows[first_row .. first_row + nr_rows), the first of them at start. */
struct row_range {
	uint32_t start;
	uint32_t end;
	uint32_t first_row;
	uint32_t nr_rows;
};
struct row_ranges {
	VECTOR(struct row_range) list;
};

/* A stretch where something is known better than by call-frame information. */
struct rule_patch {
	uint32_t start;
	uint32_t end;
	uint32_t rule;
};
struct rule_patches {
	VECTOR(struct rule_patch) list;
};

/*
 * Merges functions into rows sorted by start, without equal neighbours; what no function covers is RULE_NONE. Where
 * functions overlap, the one that starts later holds to its end; of equal starts the first.
 */
void rule_rows_merge(const struct row_ranges *ranges, const struct rule_rows *rows, struct rule_rows *ret);

/* Puts patches over merged rows. Sorts and changes them: one that begins inside another begins where that ends. */
void rule_rows_patch(const struct rule_rows *rows, struct rule_patches *patches, struct rule_rows *ret);

/*
 * Cuts merged rows into granules. origin is a multiple of GRANULE_SIZE; sets start, granules, rows and their numbers,
 * owned by the table. -E2BIG: what is described lies so far apart, and so dense in one place, that the index would be
 * out of proportion.
 */
int unwind_table_fill(struct unwind_table *table, const struct rule_rows *rows, uint64_t origin);

#endif
