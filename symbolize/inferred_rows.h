/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inferred_rows.h - unwind rows for code without call-frame information, deduced from its instructions.
 */
#ifndef EBPROF_SYMBOLIZE_INFERRED_ROWS_H
#define EBPROF_SYMBOLIZE_INFERRED_ROWS_H

#include "object.h"
#include "unwind_rows.h"
#include "unwind_rule.h"

/*
 * Adds rows, and the ranges that have them, for executable bytes that no range covers so far. Their rules bear the mark
 * RULE_INFERRED. Adds patches where stacks begin in such code. Time is linear in the file's code. 0, or an error from
 * reading.
 */
int inferred_rows_add(const struct object *object, enum table_effort effort, uint64_t origin_addr,
		      struct unwind_rules *rules, struct row_ranges *ranges, struct rule_rows *rows,
		      struct rule_patches *patches, struct inferred_stats *ret);

#endif
