/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_rows.h - unwind rows of Go code.
 */
#ifndef EBPROF_SYMBOLIZE_GO_ROWS_H
#define EBPROF_SYMBOLIZE_GO_ROWS_H

#include "object.h"
#include "unwind_rows.h"

struct go_rows {
	const struct object *object;
	uint64_t origin_addr; /* file_addr that ranges and rows count from */
	uint32_t rows_max;
	struct unwind_rules *rules;
	struct row_ranges *ranges;
	struct rule_rows *rows;
	uint32_t nr_broken; /* functions left out: malformed */
};

/*
 * Adds the file's Go functions. -ENODATA: it has none; -E2BIG: more rows than allowed, or a table over the ceiling;
 * others: reading failed.
 */
int go_rows_add(struct go_rows *rows);

#endif
