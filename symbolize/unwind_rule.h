/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_rule.h - from the state of a frame to the walker's rule.
 */
#ifndef EBPROF_SYMBOLIZE_UNWIND_RULE_H
#define EBPROF_SYMBOLIZE_UNWIND_RULE_H

#include "facts.h"
#include "frame_state.h"
#include "table.h"
#include "vector.h"

/* What doesn't fit is the rule CFA_UNSUPPORTED. Fields that a kind doesn't use are 0. */
struct unwind_rule unwind_rule_make(const struct frame_state *state);

/* Rules of one table, each held once; the first RULE_FIRST_FREE are the fixed ones. */
struct unwind_rules {
	VECTOR(struct unwind_rule) list;
	struct table index; /* rule -> place in list */
};
void unwind_rules_init(struct unwind_rules *rules);
void unwind_rules_deinit(struct unwind_rules *rules);

/* The number of a rule; RULE_UNSUPPORTED once RULES_MAX others are held. */
uint16_t unwind_rules_intern(struct unwind_rules *rules, const struct unwind_rule *rule);

#endif
