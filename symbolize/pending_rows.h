/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pending_rows.h - rows of a gap, each with the assumption that it rests on, until it is known which assumptions hold.
 */
#ifndef EBPROF_SYMBOLIZE_PENDING_ROWS_H
#define EBPROF_SYMBOLIZE_PENDING_ROWS_H

#include "code_gaps.h"
#include "unwind_rule.h"

struct pending_row {
	uint32_t at; /* place in the gap */
	uint16_t rule;
	bool is_assumed;
	uint32_t assumed_at; /* place whose MARK_CONFIRMED decides */
};

struct pending_rows {
	VECTOR(struct pending_row) list; /* by place */
	struct unwind_rule last_rule;
};

/* From a place on, this rule. */
void pending_rows_add(struct pending_rows *rows, struct unwind_rules *rules, const struct pending_row *row,
		      const struct unwind_rule *rule);

/* Goes back to when there were nr rows. */
void pending_rows_cut(struct pending_rows *rows, const struct unwind_rules *rules, size_t nr);

/*
 * Adds what holds to the file's rows and the gap to its ranges; what doesn't is RULE_NONE. Returns how many bytes have
 * a rule. The rows can be filled anew.
 */
uint64_t pending_rows_finish(struct pending_rows *rows, const struct code_gap *gap, const uint8_t *marks,
			     struct row_ranges *ret_ranges, struct rule_rows *ret);

#endif
