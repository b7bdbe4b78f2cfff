/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_effect.h - what is known of a function's frame at one instruction, and how instructions change it.
 *
 * A register or a word of the stack holds the address CFA + n, or an address relative to a second base (that of a stack
 * pointer which was realigned by an unknown amount), or what rbp or rbx held at the function's entry. Everything else
 * is unknown.
 */
#ifndef EBPROF_SYMBOLIZE_STACK_EFFECT_H
#define EBPROF_SYMBOLIZE_STACK_EFFECT_H

#include "facts.h"
#include "instruction.h"

enum known_kind {
	KNOWN_NOTHING,
	KNOWN_CFA,     /* CFA + offset */
	KNOWN_ALIGNED, /* where rsp was when it was last set to a value unknown, + offset */
	KNOWN_RBP,     /* the caller's */
	KNOWN_RBX,
};

struct known_value {
	uint32_t kind;  /* enum known_kind */
	int32_t offset; /* 0 of other kinds than an address */
};

/* A word on the stack; of kind KNOWN_NOTHING: a free entry. */
struct known_word {
	struct known_value place; /* an address */
	struct known_value value;
};

enum { KNOWN_WORDS = 6 };

/* Compared as bytes: words are sorted by place, free ones are zero and come last. */
struct stack_state {
	struct known_value regs[16]; /* by DWARF number */
	struct known_word words[KNOWN_WORDS];
};

/* At a function's first instruction. */
void stack_state_enter(struct stack_state *state);

/* Nothing is known, whatever happened before. */
void stack_state_forget(struct stack_state *state);

/* Executes an instruction that goes on to the next. Of a call: up to its return. */
void stack_state_step(struct stack_state *state, const struct instruction *instruction);

/* Keeps what both agree on; true when that is less than was known before. */
bool stack_state_meet(struct stack_state *state, const struct stack_state *other);

/*
 * Whether a return, or a jump to another function, can come here: rsp points at the return address and what belongs to
 * the caller is back in place. An unknown rsp is no objection.
 */
bool stack_state_may_return(const struct stack_state *state);

/* The walker's rule, marked as inferred; CFA_NONE when nothing leads to the CFA. */
struct unwind_rule stack_state_rule(const struct stack_state *state);

#endif
