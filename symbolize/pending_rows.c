/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pending_rows.c - which of the rows that rest on assumptions are to be believed?
 *
 * That a function begins somewhere is confirmed by its return, far behind its first rows. So these are kept as they
 * come, and judged when the whole gap has been looked at.
 */
#include "pending_rows.h"

#include <string.h>

#include "memory.h"

void pending_rows_add(struct pending_rows *rows, struct unwind_rules *rules, const struct pending_row *row,
		      const struct unwind_rule *rule)
{
	const struct pending_row *last = rows->list.nr ? &rows->list.data[rows->list.nr - 1] : NULL;

	if (last && last->is_assumed == row->is_assumed && last->assumed_at == row->assumed_at &&
	    memcmp(rule, &rows->last_rule, sizeof(*rule)) == 0)
		return;
	uint16_t number = unwind_rules_intern(rules, rule);
	struct pending_row *added = vector_push(&rows->list);

	*added = *row;
	/* No room for another rule. */
	added->rule = number == RULE_UNSUPPORTED ? RULE_NONE : number;
	rows->last_rule = *rule;
}

void pending_rows_cut(struct pending_rows *rows, const struct unwind_rules *rules, size_t nr)
{
	rows->list.nr = nr;
	if (nr)
		rows->last_rule = rules->list.data[rows->list.data[nr - 1].rule];
}

uint64_t pending_rows_finish(struct pending_rows *rows, const struct code_gap *gap, const uint8_t *marks,
			     struct row_ranges *ret_ranges, struct rule_rows *ret)
{
	size_t first_row = ret->list.nr;
	uint64_t bytes_known = 0;

	for (size_t i = 0; i < rows->list.nr; i++) {
		const struct pending_row *row = &rows->list.data[i];
		uint32_t end = i + 1 < rows->list.nr ? row[1].at : gap->size;
		bool holds = !row->is_assumed || marks[row->assumed_at] & MARK_CONFIRMED;
		uint32_t rule = holds ? row->rule : RULE_NONE;

		if (rule != RULE_NONE)
			bytes_known += end - row->at;
		if (ret->list.nr == first_row || ret->list.data[ret->list.nr - 1].rule != rule)
			*vector_push(&ret->list) = (struct rule_row){.start = gap->start + row->at, .rule = rule};
	}
	rows->list.nr = 0;
	*vector_push(&ret_ranges->list) = (struct row_range){
		.start = gap->start,
		.end = gap->start + gap->size,
		.first_row = (uint32_t)first_row,
		.nr_rows = (uint32_t)(ret->list.nr - first_row),
	};
	return bytes_known;
}
