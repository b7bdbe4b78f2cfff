/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_state.c - terms, and DWARF expressions as terms.
 *
 * An expression is run over a stack of terms instead of numbers: registers have no values yet, but "rbp - 8", "what is
 * stored there" and "that plus 16" are terms. One expression isn't of that kind yet in most files: lazy-binding stubs
 * push a word somewhere within each 16 bytes, and linkers describe all of them by a single expression over pc. Only
 * the address in the stub from which on the word is there differs between linkers, so it is recognised by its bytes.
 */
#include "frame_state.h"

#include <dwarf.h>

#include "rows.h"

enum { EXPRESSION_DEPTH = 8 };

struct frame_term frame_term_register(uint64_t reg, int64_t offset)
{
	if (reg >= DWARF_RIP)
		return (struct frame_term){.kind = TERM_UNKNOWN};
	return (struct frame_term){.kind = TERM_REGISTER, .reg = (uint8_t)reg, .offset = offset};
}

struct frame_term frame_term_deref(struct frame_term address)
{
	if (address.kind == TERM_REGISTER)
		address.kind = TERM_MEMORY;
	else if (address.kind == TERM_CFA)
		address.kind = TERM_AT_CFA;
	else
		address = (struct frame_term){.kind = TERM_UNKNOWN};
	return address;
}

static struct frame_term term_constant(int64_t value)
{
	return (struct frame_term){.kind = TERM_CONSTANT, .offset = value};
}

static struct frame_term term_add(struct frame_term term, int64_t addend)
{
	switch ((enum frame_term_kind)term.kind) {
	case TERM_CONSTANT:
	case TERM_REGISTER:
	case TERM_CFA:
		if (!__builtin_add_overflow(term.offset, addend, &term.offset))
			return term;
		break;
	case TERM_MEMORY:
	case TERM_AT_CFA:
		if (!__builtin_add_overflow(term.add, addend, &term.add))
			return term;
		break;
	case TERM_UNKNOWN:
	case TERM_SAME:
	case TERM_UNDEFINED:
	case TERM_INDEXED:
	case TERM_PLT:
		break;
	}
	return (struct frame_term){.kind = TERM_UNKNOWN};
}

struct expression_stack {
	struct frame_term terms[EXPRESSION_DEPTH];
	unsigned int nr;
	bool failed; /* overflow, underflow, or an operation that isn't known */
};

static void stack_push(struct expression_stack *stack, struct frame_term term)
{
	if (stack->nr == EXPRESSION_DEPTH)
		stack->failed = true;
	else
		stack->terms[stack->nr++] = term;
}

static struct frame_term stack_pop(struct expression_stack *stack)
{
	if (!stack->nr) {
		stack->failed = true;
		return (struct frame_term){.kind = TERM_UNKNOWN};
	}
	return stack->terms[--stack->nr];
}

static void stack_add(struct expression_stack *stack, bool negate)
{
	struct frame_term right = stack_pop(stack);
	struct frame_term left = stack_pop(stack);

	if (right.kind == TERM_CONSTANT && right.offset != INT64_MIN)
		stack_push(stack, term_add(left, negate ? -right.offset : right.offset));
	else if (left.kind == TERM_CONSTANT && !negate)
		stack_push(stack, term_add(right, left.offset));
	else
		stack->failed = true;
}

/* Reads the operand of a constant operation; false: it is another operation. */
static bool read_constant(struct byte_reader *reader, uint8_t operation, int64_t *ret)
{
	switch (operation) {
	case DW_OP_const1u:
		*ret = read_u8(reader);
		return true;
	case DW_OP_const1s:
		*ret = read_s8(reader);
		return true;
	case DW_OP_const2u:
		*ret = read_u16(reader);
		return true;
	case DW_OP_const2s:
		*ret = read_s16(reader);
		return true;
	case DW_OP_const4u:
		*ret = read_u32(reader);
		return true;
	case DW_OP_const4s:
		*ret = read_s32(reader);
		return true;
	case DW_OP_const8u:
	case DW_OP_const8s:
		*ret = (int64_t)read_u64(reader);
		return true;
	case DW_OP_constu:
		*ret = (int64_t)read_uleb(reader);
		return true;
	case DW_OP_consts:
		*ret = read_sleb(reader);
		return true;
	}
	return false;
}

static void expression_step(struct expression_stack *stack, struct byte_reader *reader)
{
	uint8_t operation = read_u8(reader);
	int64_t constant;

	if (operation >= DW_OP_breg0 && operation <= DW_OP_breg31) {
		stack_push(stack, frame_term_register(operation - DW_OP_breg0, read_sleb(reader)));
		return;
	}
	if (operation >= DW_OP_lit0 && operation <= DW_OP_lit31) {
		stack_push(stack, term_constant(operation - DW_OP_lit0));
		return;
	}
	if (read_constant(reader, operation, &constant)) {
		stack_push(stack, term_constant(constant));
		return;
	}
	switch (operation) {
	case DW_OP_bregx: {
		uint64_t reg = read_uleb(reader);

		stack_push(stack, frame_term_register(reg, read_sleb(reader)));
		return;
	}
	case DW_OP_plus_uconst: {
		uint64_t addend = read_uleb(reader);

		stack->failed |= addend > INT64_MAX;
		stack_push(stack, term_add(stack_pop(stack), (int64_t)addend));
		return;
	}
	case DW_OP_plus:
		stack_add(stack, false);
		return;
	case DW_OP_minus:
		stack_add(stack, true);
		return;
	case DW_OP_deref:
		stack_push(stack, frame_term_deref(stack_pop(stack)));
		return;
	case DW_OP_drop:
		stack_pop(stack);
		return;
	case DW_OP_nop:
		return;
	}
	stack->failed = true;
}

/* rsp + 8 + (((rip & 15) >= N) << 3) */
static bool is_plt_expression(const struct byte_reader *expression, struct frame_term *ret)
{
	static const uint8_t head[] = {DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and};
	static const uint8_t tail[] = {DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
	const uint8_t *bytes = expression->at;

	if (reader_rest(expression) != sizeof(head) + 1 + sizeof(tail) || memcmp(bytes, head, sizeof(head)) != 0 ||
	    memcmp(bytes + sizeof(head) + 1, tail, sizeof(tail)) != 0)
		return false;
	uint8_t literal = bytes[sizeof(head)];

	if (literal < DW_OP_lit0 || literal > DW_OP_lit15)
		return false;
	*ret = (struct frame_term){.kind = TERM_PLT, .offset = literal - DW_OP_lit0};
	return true;
}

/* *(rsp + M + reg * 8) + N, in these words: how OpenSSL's multiplication finds the rsp that it put behind its numbers.
 */
static bool is_indexed_expression(struct byte_reader expression, struct frame_term *ret)
{
	static const uint8_t middle[] = {0, DW_OP_lit8, DW_OP_mul, DW_OP_plus, DW_OP_deref, DW_OP_plus_uconst};

	if (read_u8(&expression) != DW_OP_breg7)
		return false;
	int64_t offset = read_sleb(&expression);
	uint8_t index = read_u8(&expression);

	if (expression.failed || index < DW_OP_breg0 || index > DW_OP_breg15 ||
	    reader_rest(&expression) <= sizeof(middle) || memcmp(expression.at, middle, sizeof(middle)) != 0)
		return false;
	expression.at += sizeof(middle);
	uint64_t add = read_uleb(&expression);

	if (expression.failed || reader_rest(&expression) || add > INT16_MAX)
		return false;
	*ret = (struct frame_term){
		.kind = TERM_INDEXED, .reg = index - DW_OP_breg0, .offset = offset, .add = (int32_t)add};
	return true;
}

struct frame_term frame_expression_evaluate(struct byte_reader expression, bool starts_with_cfa)
{
	struct expression_stack stack = {0};
	struct frame_term term;

	if (!starts_with_cfa && (is_plt_expression(&expression, &term) || is_indexed_expression(expression, &term)))
		return term;
	if (starts_with_cfa)
		stack_push(&stack, (struct frame_term){.kind = TERM_CFA});
	while (reader_rest(&expression) && !stack.failed)
		expression_step(&stack, &expression);
	term = stack_pop(&stack);
	if (stack.failed || expression.failed)
		return (struct frame_term){.kind = TERM_UNKNOWN};
	return term;
}
