/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instruction.c - what does this x86-64 instruction do to registers, and where does it lead?
 *
 * encoding.c has taken it apart. What moves stack addresses about and what transfers control is looked at one by one;
 * of all others it is found out which general registers they write, so that nobody believes in values that are gone.
 *
 * Two things are easy to get wrong. Registers 4 to 7 of a byte operation without REX are ah, ch, dh and bh. And "nop"
 * is 0x90 only without REX.B, which makes it an exchange with r8.
 */
#include "instruction.h"

#include "encoding.h"
#include "rows.h"

enum {
	LOST_BY_CALL = 1u << DWARF_RAX | 1u << DWARF_RCX | 1u << DWARF_RDX | 1u << DWARF_RSI | 1u << DWARF_RDI |
		       1u << DWARF_R8 | 1u << DWARF_R9 | 1u << DWARF_R10 | 1u << DWARF_R11,
};

static const uint8_t dwarf_numbers[16] = {
	DWARF_RAX, DWARF_RCX, DWARF_RDX, DWARF_RBX, DWARF_RSP, DWARF_RBP, DWARF_RSI, DWARF_RDI,
	DWARF_R8,  DWARF_R9,  DWARF_R10, DWARF_R11, DWARF_R12, DWARF_R13, DWARF_R14, DWARF_R15,
};

static uint16_t bit_of(uint8_t reg)
{
	return reg < 16 ? (uint16_t)(1u << dwarf_numbers[reg]) : 0;
}

/* The register that an operand of this instruction names, as a set. */
static uint16_t operand_bit(const struct encoding *e, bool is_byte, uint8_t reg)
{
	if (is_byte && !e->has_rex && reg >= 4 && reg < 8)
		reg -= 4;
	return bit_of(reg);
}

/* Whether an opcode of a group reads only, though others of its group write. */
static bool only_reads(const struct encoding *e)
{
	uint8_t group = e->reg & 7;

	if (e->map == MAP_ONE)
		switch (e->opcode) {
		case 0x80:
		case 0x81:
		case 0x83:
			return group == 7; /* cmp */
		case 0xf6:
		case 0xf7:
			return group < 2 || group >= 4; /* test, mul, div */
		case 0xfe:
		case 0xff:
			return group >= 2; /* call, jmp, push */
		default:
			return false;
		}
	return e->map == MAP_TWO && !e->is_vector && e->opcode == 0xba && group == 4; /* bt */
}

static uint16_t lost_implicitly_two(const struct encoding *e)
{
	const uint16_t ax = 1u << DWARF_RAX;
	const uint16_t dx = 1u << DWARF_RDX;
	const uint16_t cx = 1u << DWARF_RCX;

	switch (e->opcode) {
	case 0x01: /* xgetbv, rdtscp and others */
		return e->mode == 3 ? ax | dx | cx : 0;
	case 0x05: /* syscall */
		return ax | cx | 1u << DWARF_R11;
	case 0x31 ... 0x33:
		return ax | dx;
	case 0xa2:
		return ax | dx | cx | 1u << DWARF_RBX;
	case 0xc7: /* cmpxchg8b; rdrand and the like */
		return e->mode == 3 ? bit_of(e->rm) : ax | dx;
	case 0xc8 ... 0xcf: /* bswap */
		return bit_of((e->opcode & 7) + e->rex_b);
	default:
		return 0;
	}
}

static uint16_t lost_implicitly_one(const struct encoding *e)
{
	const uint16_t ax = 1u << DWARF_RAX;
	const uint16_t strings = 1u << DWARF_RSI | 1u << DWARF_RDI | 1u << DWARF_RCX;

	switch (e->opcode) {
	case 0x6c ... 0x6f:
	case 0xa4 ... 0xa7:
	case 0xaa ... 0xaf:
		return strings | (e->opcode == 0xac || e->opcode == 0xad ? ax : 0);
	case 0x90 ... 0x97: /* exchange with rax */
		return e->opcode == 0x90 && !e->rex_b ? 0 : ax | bit_of((e->opcode & 7) + e->rex_b);
	case 0x99:
		return 1u << DWARF_RDX;
	case 0xa0:
	case 0xa1:
		return ax;
	case 0xb0 ... 0xb7: {
		uint8_t reg = (e->opcode & 7) + e->rex_b;

		return operand_bit(e, true, reg);
	}
	case 0xb8 ... 0xbf:
		return bit_of((e->opcode & 7) + e->rex_b);
	case 0xdf: /* fnstsw ax */
		return ax;
	case 0xe0 ... 0xe2:
		return 1u << DWARF_RCX;
	case 0xf6:
	case 0xf7:
		return (e->reg & 7) >= 4 ? ax | 1u << DWARF_RDX : 0;
	default:
		return 0;
	}
}

static uint16_t find_lost(const struct encoding *e)
{
	uint8_t traits = e->traits;
	uint16_t lost = traits & TRAIT_RAX ? 1u << DWARF_RAX : 0;

	if (traits & TRAIT_WRITES_REG)
		lost |= operand_bit(e, traits & TRAIT_BYTE, e->reg);
	if (traits & TRAIT_WRITES_RM && e->mode == 3 && !only_reads(e))
		lost |= operand_bit(e, traits & TRAIT_BYTE, e->rm);
	if (e->is_vector) {
		/* blsr and its kin write the register in VEX.vvvv, mulx that one and another; xop's likewise. */
		if ((e->map == MAP_38 && (e->opcode == 0xf3 || e->opcode == 0xf6)) || e->map == MAP_XOP_9 ||
		    e->map == MAP_XOP_A)
			lost |= bit_of(e->vector_register);
		return lost;
	}
	if (e->map == MAP_ONE)
		lost |= lost_implicitly_one(e);
	else if (e->map == MAP_TWO)
		lost |= lost_implicitly_two(e);
	return lost;
}

static void set_kind(struct instruction *ret, enum instruction_kind kind, uint8_t reg, uint8_t base)
{
	ret->kind = kind;
	ret->reg = reg < 16 ? dwarf_numbers[reg] : NO_REGISTER;
	ret->base = base < 16 ? dwarf_numbers[base] : NO_REGISTER;
	/* The kind says it better. */
	if (kind != INSTRUCTION_PUSH && kind != INSTRUCTION_STORE)
		ret->lost = ret->lost & ~bit_of(reg);
	if (kind == INSTRUCTION_EXCHANGE)
		ret->lost = ret->lost & ~bit_of(base);
}

static bool is_plain_memory(const struct encoding *e)
{
	return e->mode != 3 && e->has_base && !e->has_index && !e->short_address && !e->has_segment;
}

/* mov, lea and xchg of whole registers. */
static void find_move(const struct encoding *e, struct instruction *ret)
{
	bool to_reg = e->opcode == 0x8b;

	if (e->opcode == 0x8d) {
		if (e->is_relative)
			set_kind(ret, INSTRUCTION_ADDRESS, e->reg, NO_REGISTER);
		else if (is_plain_memory(e))
			set_kind(ret, INSTRUCTION_ADDRESS, e->reg, e->base);
		return;
	}
	if (e->opcode == 0x87) {
		if (e->mode == 3)
			set_kind(ret, INSTRUCTION_EXCHANGE, e->reg, e->rm);
		return;
	}
	if (e->mode == 3)
		set_kind(ret, INSTRUCTION_MOVE, to_reg ? e->reg : e->rm, to_reg ? e->rm : e->reg);
	else if (is_plain_memory(e))
		set_kind(ret, to_reg ? INSTRUCTION_LOAD : INSTRUCTION_STORE, e->reg, e->base);
}

/* Arithmetic on a register that may hold a stack address. */
static void find_arithmetic(const struct encoding *e, struct instruction *ret)
{
	enum { ADD = 0, AND = 4, SUB = 5 };
	uint8_t group = e->reg & 7;
	int64_t amount = e->constant;

	if (e->mode != 3)
		return;
	if (e->opcode == 0xff) {
		if (group > 1)
			return;
		amount = 1;
		group = group ? SUB : ADD;
	} else if (e->opcode == 0x29) {
		set_kind(ret, INSTRUCTION_REBASE, e->rm, NO_REGISTER);
		return;
	} else if (e->opcode == 0x2b) {
		set_kind(ret, INSTRUCTION_REBASE, e->reg, NO_REGISTER);
		return;
	}
	if (group == AND && amount < 0) {
		set_kind(ret, INSTRUCTION_REBASE, e->rm, NO_REGISTER);
	} else if ((group == ADD || group == SUB) && amount > INT32_MIN) {
		set_kind(ret, INSTRUCTION_ADDRESS, e->rm, e->rm);
		ret->offset = (int32_t)(group == ADD ? amount : -amount);
	}
}

static void set_transfer(const struct encoding *e, enum instruction_kind kind, uint64_t next, struct instruction *ret)
{
	ret->kind = kind;
	ret->target = next + (uint64_t)e->constant;
}

static void find_group_5(const struct encoding *e, struct instruction *ret)
{
	enum { CALL = 2, CALL_FAR, JUMP, JUMP_FAR, PUSH };

	switch (e->reg & 7) {
	case CALL:
		ret->kind = INSTRUCTION_CALL;
		ret->lost = LOST_BY_CALL;
		break;
	case CALL_FAR:
		ret->lost |= 1u << DWARF_RSP;
		break;
	case JUMP:
	case JUMP_FAR:
		ret->kind = INSTRUCTION_JUMP;
		break;
	case PUSH:
		set_kind(ret, INSTRUCTION_PUSH, e->mode == 3 ? e->rm : NO_REGISTER, NO_REGISTER);
		break;
	default:
		if (e->wide)
			find_arithmetic(e, ret);
		break;
	}
}

/* Transfers of control, and what pushes and pops. */
static void find_stack_kind(const struct encoding *e, uint64_t next, struct instruction *ret)
{
	uint8_t low_reg = (e->opcode & 7) + e->rex_b;

	switch (e->opcode) {
	case 0x50 ... 0x57:
		set_kind(ret, INSTRUCTION_PUSH, low_reg, NO_REGISTER);
		break;
	case 0x58 ... 0x5f:
		set_kind(ret, INSTRUCTION_POP, low_reg, NO_REGISTER);
		break;
	case 0x68:
	case 0x6a:
	case 0x9c:
		set_kind(ret, INSTRUCTION_PUSH, NO_REGISTER, NO_REGISTER);
		break;
	case 0x8f:
		set_kind(ret, INSTRUCTION_POP, e->mode == 3 ? e->rm : NO_REGISTER, NO_REGISTER);
		break;
	case 0x9d:
		set_kind(ret, INSTRUCTION_POP, NO_REGISTER, NO_REGISTER);
		break;
	case 0x70 ... 0x7f:
	case 0xe0 ... 0xe3:
		set_transfer(e, INSTRUCTION_BRANCH, next, ret);
		break;
	case 0xc2:
	case 0xc3:
	case 0xca:
	case 0xcb:
	case 0xcf:
		ret->kind = INSTRUCTION_RETURN;
		break;
	case 0xc8:
		ret->kind = INSTRUCTION_ENTER;
		ret->offset = (int32_t)e->constant;
		/* Nested levels copy frame pointers that no compiler asks for. */
		if (e->code[e->at - 1])
			*ret = (struct instruction){
				.length = ret->length,
				.lost = 1u << DWARF_RSP | 1u << DWARF_RBP,
				.reg = NO_REGISTER,
				.base = NO_REGISTER,
			};
		break;
	case 0xc9:
		ret->kind = INSTRUCTION_LEAVE;
		break;
	case 0xcc:
		ret->kind = INSTRUCTION_FILLER;
		break;
	case 0xe8:
		set_transfer(e, INSTRUCTION_CALL, next, ret);
		ret->lost = LOST_BY_CALL;
		break;
	case 0xe9:
	case 0xeb:
		set_transfer(e, INSTRUCTION_JUMP, next, ret);
		break;
	case 0xf4:
		ret->kind = INSTRUCTION_END;
		break;
	case 0xff:
		find_group_5(e, ret);
		break;
	default:
		break;
	}
	/* A word of 16 bits on the stack: not worth following. */
	if (e->short_operand && (ret->kind == INSTRUCTION_PUSH || ret->kind == INSTRUCTION_POP)) {
		ret->kind = INSTRUCTION_OTHER;
		ret->lost |= 1u << DWARF_RSP;
	}
}

static void set_constant(const struct encoding *e, struct instruction *ret)
{
	ret->kind = INSTRUCTION_CONSTANT;
	ret->target = (uint32_t)e->constant;
}

static void find_kind_one(const struct encoding *e, uint64_t next, struct instruction *ret)
{
	switch (e->opcode) {
	case 0x87:
	case 0x89:
	case 0x8b:
	case 0x8d:
		if (e->wide)
			find_move(e, ret);
		break;
	case 0xb8 ... 0xbf:
		if (!e->wide && !e->short_operand)
			set_constant(e, ret);
		break;
	case 0xc7:
		if (e->wide && e->mode == 3 && (e->reg & 7) == 0)
			set_constant(e, ret);
		else if (e->wide && is_plain_memory(e) && (e->reg & 7) == 0)
			set_kind(ret, INSTRUCTION_STORE, NO_REGISTER, e->base);
		else if (e->mode == 3 && (e->reg & 7) == 7)
			set_transfer(e, INSTRUCTION_BRANCH, next, ret); /* xbegin */
		break;
	case 0x29:
	case 0x2b:
	case 0x81:
	case 0x83:
		if (e->wide)
			find_arithmetic(e, ret);
		break;
	case 0x90 ... 0x97:
		if (e->opcode == 0x90 && !e->rex_b)
			ret->kind = INSTRUCTION_FILLER;
		else if (e->wide)
			set_kind(ret, INSTRUCTION_EXCHANGE, 0, (e->opcode & 7) + e->rex_b);
		break;
	default:
		find_stack_kind(e, next, ret);
		break;
	}
}

static void find_kind_two(const struct encoding *e, uint64_t next, struct instruction *ret)
{
	switch (e->opcode) {
	case 0x0b: /* ud2, and with operands ud1 and ud0 */
	case 0xb9:
	case 0xff:
		ret->kind = INSTRUCTION_END;
		break;
	case 0x1f:
		ret->kind = INSTRUCTION_FILLER;
		break;
	case 0x80 ... 0x8f:
		set_transfer(e, INSTRUCTION_BRANCH, next, ret);
		break;
	case 0xa0:
	case 0xa8:
		set_kind(ret, INSTRUCTION_PUSH, NO_REGISTER, NO_REGISTER);
		break;
	case 0xa1:
	case 0xa9:
		set_kind(ret, INSTRUCTION_POP, NO_REGISTER, NO_REGISTER);
		break;
	default:
		break;
	}
}

bool instruction_ends_flow(enum instruction_kind kind)
{
	return kind == INSTRUCTION_JUMP || kind == INSTRUCTION_RETURN || kind == INSTRUCTION_END;
}

bool instruction_decode(const uint8_t *code, size_t size, uint64_t addr, struct instruction *ret)
{
	struct encoding e;

	if (!encoding_read(code, size, &e))
		return false;
	*ret = (struct instruction){
		.length = (uint8_t)e.at,
		.reg = NO_REGISTER,
		.base = NO_REGISTER,
		.lost = find_lost(&e),
		.offset = e.offset,
	};
	uint64_t next = addr + e.at;

	if (e.map == MAP_ONE)
		find_kind_one(&e, next, ret);
	else if (e.map == MAP_TWO && !e.is_vector)
		find_kind_two(&e, next, ret);
	if (ret->kind == INSTRUCTION_ADDRESS && e.is_relative)
		ret->target = next + (uint64_t)(int64_t)e.offset;
	return true;
}
