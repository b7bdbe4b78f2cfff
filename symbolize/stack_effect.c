/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_effect.c - follows stack addresses through registers and spilled words.
 *
 * The domain is small on purpose: a constant distance from the CFA is followed through moves, additions and words of
 * the stack, so it survives what assembly does to keep it (a copy of rsp in any register, or spilled, while rsp itself
 * is realigned). Once rsp gets a value that nobody knows, that value becomes the second base, and the words spilled
 * relative to it can still be found from rsp. There is one such base at a time: what was relative to the one before is
 * forgotten.
 *
 * Stores through other pointers are taken not to hit the words that matter, and functions called to preserve what the
 * ABI says: code that breaks either could not return.
 */
#include "stack_effect.h"

#include <string.h>

#include "rows.h"

enum {
	OFFSET_MAX = 1 << 30, /* larger frames don't exist; no sum of two overflows */
	WORD = 8,
};

/* Where a frame pointer leads: the word below the return address. */
static const struct known_value FRAME_POINTER = {.kind = KNOWN_CFA, .offset = -2 * WORD};

static bool is_address(struct known_value value)
{
	return value.kind == KNOWN_CFA || value.kind == KNOWN_ALIGNED;
}

static bool is_equal(struct known_value a, struct known_value b)
{
	return a.kind == b.kind && a.offset == b.offset;
}

static struct known_value moved(struct known_value value, int32_t offset)
{
	if (!offset)
		return value;
	if (!is_address(value) || offset > OFFSET_MAX || offset < -OFFSET_MAX)
		return (struct known_value){0};
	value.offset += offset;
	if (value.offset > OFFSET_MAX || value.offset < -OFFSET_MAX)
		return (struct known_value){0};
	return value;
}

void stack_state_forget(struct stack_state *state)
{
	memset(state, 0, sizeof(*state));
}

void stack_state_enter(struct stack_state *state)
{
	stack_state_forget(state);
	state->regs[DWARF_RSP] = (struct known_value){.kind = KNOWN_CFA, .offset = -WORD};
	state->regs[DWARF_RBP].kind = KNOWN_RBP;
	state->regs[DWARF_RBX].kind = KNOWN_RBX;
}

static bool is_before(struct known_value a, struct known_value b)
{
	return a.kind < b.kind || (a.kind == b.kind && a.offset < b.offset);
}

static void remove_word(struct stack_state *state, size_t place)
{
	memmove(&state->words[place], &state->words[place + 1], (KNOWN_WORDS - 1 - place) * sizeof(state->words[0]));
	state->words[KNOWN_WORDS - 1] = (struct known_word){0};
}

static void forget_word(struct stack_state *state, struct known_value place)
{
	for (size_t i = 0; i < KNOWN_WORDS && state->words[i].value.kind;)
		if (state->words[i].place.kind == place.kind && state->words[i].place.offset > place.offset - WORD &&
		    state->words[i].place.offset < place.offset + WORD)
			remove_word(state, i);
		else
			i++;
}

/* Once all entries are taken the first that was saved stay: those are the frame's own. */
static void set_word(struct stack_state *state, struct known_value place, struct known_value value)
{
	size_t at = 0;

	if (!is_address(place))
		return;
	forget_word(state, place);
	if (!value.kind || state->words[KNOWN_WORDS - 1].value.kind)
		return;
	while (state->words[at].value.kind && is_before(state->words[at].place, place))
		at++;
	memmove(&state->words[at + 1], &state->words[at], (KNOWN_WORDS - 1 - at) * sizeof(state->words[0]));
	state->words[at] = (struct known_word){.place = place, .value = value};
}

static struct known_value get_word(const struct stack_state *state, struct known_value place)
{
	if (is_address(place))
		for (size_t i = 0; i < KNOWN_WORDS && state->words[i].value.kind; i++)
			if (is_equal(state->words[i].place, place))
				return state->words[i].value;
	return (struct known_value){0};
}

/* The second base is about to be another. */
static void forget_aligned(struct stack_state *state)
{
	for (size_t i = 0; i < 16; i++)
		if (state->regs[i].kind == KNOWN_ALIGNED)
			state->regs[i] = (struct known_value){0};
	for (size_t i = 0; i < KNOWN_WORDS && state->words[i].value.kind;)
		if (state->words[i].place.kind == KNOWN_ALIGNED || state->words[i].value.kind == KNOWN_ALIGNED)
			remove_word(state, i);
		else
			i++;
}

static void set_reg(struct stack_state *state, uint8_t reg, struct known_value value)
{
	if (reg >= 16)
		return;
	if (reg == DWARF_RSP && !is_address(value)) {
		forget_aligned(state);
		value = (struct known_value){.kind = KNOWN_ALIGNED};
	}
	state->regs[reg] = value;
}

static struct known_value get_reg(const struct stack_state *state, uint8_t reg)
{
	return reg < 16 ? state->regs[reg] : (struct known_value){0};
}

static void push(struct stack_state *state, struct known_value value)
{
	set_reg(state, DWARF_RSP, moved(state->regs[DWARF_RSP], -WORD));
	set_word(state, state->regs[DWARF_RSP], value);
}

static void pop(struct stack_state *state, uint8_t reg)
{
	struct known_value value = get_word(state, state->regs[DWARF_RSP]);

	set_reg(state, DWARF_RSP, moved(state->regs[DWARF_RSP], WORD));
	set_reg(state, reg, value);
}

static void lose_regs(struct stack_state *state, uint32_t lost)
{
	while (lost) {
		set_reg(state, (uint8_t)__builtin_ctz(lost), (struct known_value){0});
		lost &= lost - 1;
	}
}

/* What lies below rsp belongs to the function called. */
static void call(struct stack_state *state)
{
	struct known_value rsp = state->regs[DWARF_RSP];

	for (size_t i = 0; i < KNOWN_WORDS && state->words[i].value.kind;)
		if (state->words[i].place.kind == rsp.kind && state->words[i].place.offset < rsp.offset)
			remove_word(state, i);
		else
			i++;
}

void stack_state_step(struct stack_state *state, const struct instruction *instruction)
{
	struct known_value value = get_reg(state, instruction->reg);
	struct known_value address = moved(get_reg(state, instruction->base), instruction->offset);

	switch ((enum instruction_kind)instruction->kind) {
	case INSTRUCTION_PUSH:
		push(state, value);
		break;
	case INSTRUCTION_POP:
		pop(state, instruction->reg);
		break;
	case INSTRUCTION_MOVE:
		set_reg(state, instruction->reg, get_reg(state, instruction->base));
		break;
	case INSTRUCTION_ADDRESS:
		set_reg(state, instruction->reg, address);
		break;
	case INSTRUCTION_LOAD:
		set_reg(state, instruction->reg, get_word(state, address));
		break;
	case INSTRUCTION_STORE:
		set_word(state, address, value);
		break;
	case INSTRUCTION_EXCHANGE:
		set_reg(state, instruction->reg, get_reg(state, instruction->base));
		set_reg(state, instruction->base, value);
		break;
	case INSTRUCTION_REBASE:
		set_reg(state, instruction->reg, (struct known_value){0});
		break;
	case INSTRUCTION_ENTER:
		push(state, state->regs[DWARF_RBP]);
		set_reg(state, DWARF_RBP, state->regs[DWARF_RSP]);
		set_reg(state, DWARF_RSP, moved(state->regs[DWARF_RSP], -instruction->offset));
		break;
	case INSTRUCTION_LEAVE:
		set_reg(state, DWARF_RSP, state->regs[DWARF_RBP]);
		pop(state, DWARF_RBP);
		break;
	case INSTRUCTION_CALL:
		call(state);
		break;
	case INSTRUCTION_OTHER:
	case INSTRUCTION_CONSTANT:
	case INSTRUCTION_FILLER:
	case INSTRUCTION_JUMP:
	case INSTRUCTION_BRANCH:
	case INSTRUCTION_RETURN:
	case INSTRUCTION_END:
		break;
	}
	lose_regs(state, instruction->lost);
}

bool stack_state_meet(struct stack_state *state, const struct stack_state *other)
{
	struct stack_state before = *state;

	/* Both may have a second base, but only what is as far from rsp in both can still be found. */
	if (!is_equal(state->regs[DWARF_RSP], other->regs[DWARF_RSP]) &&
	    (state->regs[DWARF_RSP].kind == KNOWN_ALIGNED || other->regs[DWARF_RSP].kind == KNOWN_ALIGNED))
		forget_aligned(state);
	for (size_t i = 0; i < 16; i++)
		if (!is_equal(state->regs[i], other->regs[i]))
			state->regs[i] = (struct known_value){0};
	for (size_t i = 0; i < KNOWN_WORDS && state->words[i].value.kind;)
		if (!is_equal(get_word(other, state->words[i].place), state->words[i].value))
			remove_word(state, i);
		else
			i++;
	return memcmp(&before, state, sizeof(before)) != 0;
}

static bool is_or_unknown(struct known_value value, uint32_t kind, int32_t offset)
{
	return !value.kind || value.kind == KNOWN_ALIGNED || is_equal(value, (struct known_value){kind, offset});
}

bool stack_state_may_return(const struct stack_state *state)
{
	if (state->regs[DWARF_RSP].kind != KNOWN_CFA)
		return true;
	return is_or_unknown(state->regs[DWARF_RSP], KNOWN_CFA, -WORD) && state->regs[DWARF_RBP].kind == KNOWN_RBP &&
	       state->regs[DWARF_RBX].kind == KNOWN_RBX;
}

/* The place of a word with that value; relative to the second base only if rsp is. NULL = none. */
static const struct known_word *find_word(const struct stack_state *state, uint32_t value, uint32_t base)
{
	if (base == KNOWN_ALIGNED && state->regs[DWARF_RSP].kind != KNOWN_ALIGNED)
		return NULL;
	for (size_t i = 0; i < KNOWN_WORDS && state->words[i].value.kind; i++)
		if (state->words[i].value.kind == value && state->words[i].place.kind == base)
			return &state->words[i];
	return NULL;
}

static bool fits_16(int64_t offset)
{
	return offset > INT16_MIN && offset <= INT16_MAX;
}

static bool set_cfa_register(const struct stack_state *state, uint8_t reg, struct unwind_rule *rule)
{
	if (state->regs[reg].kind != KNOWN_CFA)
		return false;
	rule->cfa = CFA_REGISTER;
	rule->cfa_reg = reg & 15;
	rule->cfa_offset = -state->regs[reg].offset;
	return true;
}

static bool set_cfa(const struct stack_state *state, struct unwind_rule *rule)
{
	const struct known_word *word = find_word(state, KNOWN_CFA, KNOWN_ALIGNED);

	/* A frame pointer is what stays right if rsp was misjudged. */
	if (is_equal(state->regs[DWARF_RBP], FRAME_POINTER) && get_word(state, FRAME_POINTER).kind == KNOWN_RBP)
		return set_cfa_register(state, DWARF_RBP, rule);
	/* The return address lies above rsp, or this is no function's frame. */
	if (state->regs[DWARF_RSP].kind == KNOWN_CFA)
		return state->regs[DWARF_RSP].offset <= -WORD && set_cfa_register(state, DWARF_RSP, rule);
	/* What every frame knows goes before what only a leaf does. */
	if (set_cfa_register(state, DWARF_RBP, rule) || set_cfa_register(state, DWARF_RBX, rule))
		return true;
	if (word && fits_16(-(int64_t)word->value.offset)) {
		rule->cfa = CFA_MEMORY;
		rule->cfa_reg = DWARF_RSP;
		rule->cfa_offset = word->place.offset - state->regs[DWARF_RSP].offset;
		rule->cfa_add = (int16_t)-word->value.offset;
		return true;
	}
	for (uint8_t reg = 0; reg < 16; reg++)
		if (set_cfa_register(state, reg, rule))
			return true;
	return false;
}

static void set_rbp(const struct stack_state *state, struct unwind_rule *rule)
{
	const struct known_word *word = find_word(state, KNOWN_RBP, KNOWN_CFA);

	if (state->regs[DWARF_RBP].kind == KNOWN_RBP)
		return;
	rule->rbp = VALUE_UNDEFINED;
	if (word && fits_16(word->place.offset)) {
		rule->rbp = VALUE_AT_CFA;
		rule->rbp_offset = (int16_t)word->place.offset;
		return;
	}
	word = find_word(state, KNOWN_RBP, KNOWN_ALIGNED);
	if (word && fits_16((int64_t)word->place.offset - state->regs[DWARF_RSP].offset)) {
		rule->rbp = VALUE_AT_REGISTER;
		rule->rbp_reg = DWARF_RSP;
		rule->rbp_offset = (int16_t)(word->place.offset - state->regs[DWARF_RSP].offset);
		return;
	}
	/* In a register it can be found for a leaf only; elsewhere the walker would stop, so that is lost. */
}

struct unwind_rule stack_state_rule(const struct stack_state *state)
{
	struct unwind_rule rule = {.flags = RULE_INFERRED, .ra = VALUE_AT_CFA, .ra_offset = -WORD};
	const struct known_word *word = find_word(state, KNOWN_RBX, KNOWN_CFA);

	if (!set_cfa(state, &rule))
		return (struct unwind_rule){0};
	set_rbp(state, &rule);
	if (state->regs[DWARF_RBX].kind != KNOWN_RBX)
		rule.rbx_offset = word && fits_16(word->place.offset) && word->place.offset
					  ? (int16_t)word->place.offset
					  : RBX_LOST;
	return rule;
}
