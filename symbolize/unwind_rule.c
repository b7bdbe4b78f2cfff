/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_rule.c - which of the walker's few rules is this frame?
 *
 * The walker takes the CFA for the caller's rsp. longjmp says otherwise: its CFA is the jump buffer, and the "caller"
 * is where it jumps to, whose rsp, rbp and pc it has loaded into registers. Then that register is as good a CFA, as
 * long as nothing else refers to the real one. Other code of that kind (context switches, which load rsp from memory)
 * is unsupported rather than followed to a wrong stack. The same goes for every value that a rule has no room for.
 *
 * "CFA + n" as a value (not as an address) has no form of its own; where the CFA is a register plus an offset it is
 * that register plus another offset.
 */
#include "unwind_rule.h"

/* A column as a rule holds it. */
struct value {
	enum unwind_value kind;
	uint8_t reg;
	int16_t offset;
};

/* False: the offset doesn't fit. */
static bool set_value(enum unwind_value kind, uint8_t reg, int64_t offset, struct value *ret)
{
	if (offset < INT16_MIN || offset > INT16_MAX)
		return false;
	*ret = (struct value){.kind = kind, .reg = reg, .offset = (int16_t)offset};
	return true;
}

/* False: a term that a rule has no form for. */
static bool value_of_term(const struct frame_term *term, const struct frame_term *cfa, struct value *ret)
{
	int64_t offset;

	switch ((enum frame_term_kind)term->kind) {
	case TERM_SAME:
		return set_value(VALUE_SAME, 0, 0, ret);
	case TERM_UNDEFINED:
		return set_value(VALUE_UNDEFINED, 0, 0, ret);
	case TERM_REGISTER:
		return set_value(VALUE_REGISTER, term->reg, term->offset, ret);
	case TERM_MEMORY:
		return term->add == 0 && set_value(VALUE_AT_REGISTER, term->reg, term->offset, ret);
	case TERM_AT_CFA:
		return term->add == 0 && set_value(VALUE_AT_CFA, 0, term->offset, ret);
	case TERM_CFA:
		return cfa->kind == TERM_REGISTER && !__builtin_add_overflow(cfa->offset, term->offset, &offset) &&
		       set_value(VALUE_REGISTER, cfa->reg, offset, ret);
	case TERM_UNKNOWN:
	case TERM_CONSTANT:
	case TERM_INDEXED:
	case TERM_PLT:
		return false;
	}
	return false;
}

static bool set_cfa(const struct frame_term *cfa, struct unwind_rule *rule)
{
	if (cfa->offset < INT32_MIN || cfa->offset > INT32_MAX || cfa->add < INT16_MIN || cfa->add > INT16_MAX)
		return false;
	switch ((enum frame_term_kind)cfa->kind) {
	case TERM_REGISTER:
		rule->cfa = CFA_REGISTER;
		break;
	case TERM_MEMORY:
		rule->cfa = CFA_MEMORY;
		break;
	case TERM_INDEXED:
		rule->cfa = CFA_INDEXED;
		break;
	case TERM_PLT:
		rule->cfa = CFA_PLT;
		break;
	case TERM_UNKNOWN:
	case TERM_SAME:
	case TERM_UNDEFINED:
	case TERM_CONSTANT:
	case TERM_CFA:
	case TERM_AT_CFA:
		return false;
	}
	rule->cfa_reg = cfa->reg;
	rule->cfa_offset = (int32_t)cfa->offset;
	rule->cfa_add = (int16_t)cfa->add;
	return true;
}

/* Whether the caller's rsp is the CFA. */
static bool rsp_is_cfa(const struct frame_term *rsp, const struct frame_term *cfa)
{
	if (rsp->kind == TERM_CFA)
		return rsp->offset == 0;
	return rsp->kind == cfa->kind && rsp->reg == cfa->reg && rsp->offset == cfa->offset && rsp->add == cfa->add;
}

static bool refers_to_cfa(const struct frame_term *term)
{
	return term->kind == TERM_CFA || term->kind == TERM_AT_CFA;
}

/* Puts the register that holds the caller's rsp in the CFA's place; false: it is in none, or the CFA is needed too. */
static bool replace_cfa(struct frame_state *state)
{
	const struct frame_term *columns = state->columns;

	if (columns[COLUMN_RSP].kind != TERM_REGISTER || refers_to_cfa(&columns[COLUMN_RA]) ||
	    refers_to_cfa(&columns[COLUMN_RBP]))
		return false;
	state->cfa = columns[COLUMN_RSP];
	if (refers_to_cfa(&columns[COLUMN_RBX]))
		state->columns[COLUMN_RBX] = (struct frame_term){.kind = TERM_UNKNOWN};
	return true;
}

/* Saved next to the CFA, unchanged, or lost: rarely needed, so never a reason to refuse the rule. */
static int16_t rbx_offset(const struct frame_term *term)
{
	if (term->kind == TERM_SAME)
		return RBX_SAME;
	if (term->kind == TERM_AT_CFA && !term->add && term->offset && term->offset > RBX_LOST &&
	    term->offset <= INT16_MAX)
		return (int16_t)term->offset;
	return RBX_LOST;
}

struct unwind_rule unwind_rule_make(const struct frame_state *said)
{
	static const struct unwind_rule unsupported = {.cfa = CFA_UNSUPPORTED};
	struct frame_state copy = *said, *state = &copy;
	const struct frame_term *ra = &state->columns[COLUMN_RA];
	struct unwind_rule rule = {0};
	struct value value;

	if (ra->kind == TERM_UNDEFINED)
		return (struct unwind_rule){.cfa = CFA_ROOT};
	if (!rsp_is_cfa(&state->columns[COLUMN_RSP], &state->cfa) && !replace_cfa(state))
		return unsupported;
	if (!set_cfa(&state->cfa, &rule))
		return unsupported;
	if (!value_of_term(ra, &state->cfa, &value) || value.kind == VALUE_SAME)
		return unsupported;
	rule.ra = value.kind;
	rule.ra_reg = value.reg;
	rule.ra_offset = value.offset;
	if (!value_of_term(&state->columns[COLUMN_RBP], &state->cfa, &value))
		return unsupported;
	rule.rbp = value.kind;
	rule.rbp_reg = value.reg;
	rule.rbp_offset = value.offset;
	rule.rbx_offset = rbx_offset(&state->columns[COLUMN_RBX]);
	return rule;
}

void unwind_rules_init(struct unwind_rules *rules)
{
	static const struct unwind_rule fixed[RULE_FIRST_FREE] = {
		[RULE_NONE] = {.cfa = CFA_NONE},
		[RULE_ROOT] = {.cfa = CFA_ROOT},
		[RULE_SIGNAL] = {.cfa = CFA_SIGNAL},
		[RULE_UNSUPPORTED] = {.cfa = CFA_UNSUPPORTED},
	};

	*rules = (struct unwind_rules){0};
	table_init(&rules->index, sizeof(struct unwind_rule));
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		unwind_rules_intern(rules, &fixed[i]);
}

void unwind_rules_deinit(struct unwind_rules *rules)
{
	vector_free(&rules->list);
	table_deinit(&rules->index);
}

uint16_t unwind_rules_intern(struct unwind_rules *rules, const struct unwind_rule *rule)
{
	uint32_t number;
	bool added;

	if (rules->list.nr == RULES_MAX)
		return table_get(&rules->index, rule, &number) ? (uint16_t)number : RULE_UNSUPPORTED;
	number = table_intern(&rules->index, rule, (uint32_t)rules->list.nr, &added);
	if (added)
		*vector_push(&rules->list) = *rule;
	return (uint16_t)number;
}
