/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoding.c - takes x86-64 machine code apart (Intel SDM volume 2, chapter 2 and appendix A; AMD APM volume 3).
 *
 * Prefixes select the opcode map; the opcode says whether a ModRM byte follows, how long the constant is, and which of
 * the two operands it writes if that is a general register. That is a byte of traits per opcode. Vector encodings (VEX,
 * EVEX, XOP) have one form, with a constant in some maps and not in others, so instructions that are new today need no
 * entry.
 *
 * A vector instruction's register 4 is not rsp, so only those that do write a general register are said to.
 */
#include "encoding.h"

#include <string.h>

#include "instruction.h"

/* For the tables. */
enum {
	M = TRAIT_MODRM,
	I8 = TRAIT_IMMEDIATE_8,
	IZ = TRAIT_IMMEDIATE,
	R = TRAIT_WRITES_REG,
	W = TRAIT_WRITES_RM,
	B = TRAIT_BYTE,
	A = TRAIT_RAX,
	X = TRAIT_NONE,
};

/* clang-format off */
static const uint8_t one_byte[256] = {
	[0x00] = M | W | B, M | W, M | R | B, M | R, I8 | A, IZ | A, X, X,	  /* add */
	[0x08] = M | W | B, M | W, M | R | B, M | R, I8 | A, IZ | A, X, 0,	  /* or */
	[0x10] = M | W | B, M | W, M | R | B, M | R, I8 | A, IZ | A, X, X,	  /* adc */
	[0x18] = M | W | B, M | W, M | R | B, M | R, I8 | A, IZ | A, X, X,	  /* sbb */
	[0x20] = M | W | B, M | W, M | R | B, M | R, I8 | A, IZ | A, X, X,	  /* and */
	[0x28] = M | W | B, M | W, M | R | B, M | R, I8 | A, IZ | A, X, X,	  /* sub */
	[0x30] = M | W | B, M | W, M | R | B, M | R, I8 | A, IZ | A, X, X,	  /* xor */
	[0x38] = M, M, M, M, I8, IZ, X, X,					  /* cmp */
	[0x40 ... 0x4f] = X,							  /* prefixes are no opcodes */
	[0x60] = X, X, 0, M | R, X, X, X, X,					  /* movsxd */
	[0x68] = IZ, M | IZ | R, I8, M | I8 | R, 0, 0, 0, 0,			  /* push, imul, ins, outs */
	[0x70 ... 0x7f] = I8,							  /* jcc */
	[0x80] = M | I8 | W | B, M | IZ | W, X, M | I8 | W, M, M,		  /* group 1, test */
	[0x86] = M | R | W | B, M | R | W,					  /* xchg */
	[0x88] = M | W | B, M | W, M | R | B, M | R, M | W, M | R, M, M | W,	  /* mov, lea, pop */
	[0x98] = A, 0, X, 0, 0, 0, 0, A,					  /* cwde, cdq, fwait, pushf ... lahf */
	[0xa8] = I8, IZ, 0, 0, A, A, 0, 0,					  /* test, stos, lods, scas */
	[0xb0 ... 0xb7] = I8,							  /* mov, of a byte */
	[0xb8 ... 0xbf] = IZ,							  /* mov; eight bytes with REX.W */
	[0xc0] = M | I8 | W | B, M | I8 | W, I8, 0, 0, 0, M | I8 | W | B, M | IZ | W, /* shifts, ret, mov */
	[0xc8] = I8, 0, I8, 0, 0, I8, X, 0,					  /* enter, leave, retf, int */
	[0xd0] = M | W | B, M | W, M | W | B, M | W, X, X, X, A,		  /* shifts, xlat */
	[0xd8 ... 0xdf] = M,							  /* x87 */
	[0xe0 ... 0xe3] = I8,							  /* loop, jrcxz */
	[0xe4] = I8 | A, I8 | A, I8, I8,					  /* in, out */
	[0xe8] = IZ, IZ, X, I8, A, A, 0, 0,					  /* call, jmp, in, out */
	[0xf0] = X, 0, X, X, 0, 0, M | W | B, M | W,				  /* group 3 */
	[0xfe] = M | W | B, M | W,						  /* inc, dec, and group 5 */
};

/* Behind 0x0f. */
static const uint8_t two_bytes[256] = {
	[0x00] = M | W, M, M | R, M | R, X, 0, 0, 0, 0, 0, X, 0, X, M, 0, M | I8,
	[0x10 ... 0x1f] = M,
	[0x20] = M | W, M | W, M, M, X, X, X, X,
	[0x28 ... 0x2f] = M,
	[0x36] = X,
	[0x38 ... 0x3f] = X,
	[0x40 ... 0x4f] = M | R, /* cmov */
	[0x50] = M | R,		 /* movmskps */
	[0x51 ... 0x6f] = M,
	[0x70 ... 0x73] = M | I8,
	[0x74 ... 0x76] = M,
	[0x78] = M | W, M, X, X, M, M, M, M,
	[0x80 ... 0x8f] = IZ,		/* jcc */
	[0x90 ... 0x9f] = M | W | B,	/* setcc */
	[0xa3] = M, M | I8 | W, M | W,	/* bt, shld */
	[0xa6] = X, X,
	[0xab] = M | W, M | I8 | W, M | W, M, M | R, /* bts, shrd, fences, imul */
	[0xb0] = M | W | B | A, M | W | A, M | R, M | W, M | R, M | R, M | R, M | R, /* cmpxchg, btr, movzx */
	[0xb8] = M | R, M, M | I8 | W, M | W, M | R, M | R, M | R, M | R,	      /* popcnt, btc, bsf, movsx */
	[0xc0] = M | R | W | B, M | R | W, M | I8, M, M | I8, M | I8 | R, M | I8, M, /* xadd, pextrw */
	[0xd0 ... 0xd6] = M,
	[0xd7] = M | R, /* pmovmskb */
	[0xd8 ... 0xff] = M,
};
/* clang-format on */

/* Whoever reads on behind the end is stopped at the end: there are bytes enough to read (encoding_read). */
static inline uint8_t next_byte(struct encoding *e)
{
	return e->code[e->at++];
}

static inline uint8_t peek_byte(const struct encoding *e)
{
	return e->code[e->at];
}

/* A constant of 1, 2, 4 or 8 bytes, with its sign. */
static inline int64_t next_constant(struct encoding *e, size_t size)
{
	const unsigned int unused_bits = 64 - 8 * (unsigned int)size;
	uint64_t value;

	memcpy(&value, e->code + e->at, sizeof(value));
	e->at += size;
	return (int64_t)(value << unused_bits) >> unused_bits;
}

/* Reads prefixes and returns the byte behind them. */
static uint8_t read_prefixes(struct encoding *e)
{
	uint8_t byte = 0;

	while (e->at < INSTRUCTION_MAX_BYTES) {
		byte = next_byte(e);
		switch (byte) {
		case 0x66:
			e->short_operand = true;
			continue;
		case 0x67:
			e->short_address = true;
			continue;
		case 0xf2:
		case 0xf3:
			e->repeat = byte;
			continue;
		case 0x64:
		case 0x65:
			e->has_segment = true;
			continue;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0xf0:
			continue;
		default:
			break;
		}
		break;
	}
	/* Of several REX prefixes only the last counts, and only right before the opcode: others don't exist. */
	if ((byte & 0xf0) == 0x40) {
		e->has_rex = true;
		e->wide = byte & 8;
		e->rex_r = byte & 4 ? 8 : 0;
		e->rex_x = byte & 2 ? 8 : 0;
		e->rex_b = byte & 1 ? 8 : 0;
		byte = next_byte(e);
	}
	return byte;
}

/* The prefix that a vector encoding implies, in its two low bits. */
static void set_implied_prefix(struct encoding *e, uint8_t bits)
{
	static const uint8_t repeats[4] = {0, 0, 0xf3, 0xf2};

	e->short_operand = (bits & 3) == 1;
	e->repeat = repeats[bits & 3];
}

/* The last byte of the prefixes VEX and XOP: REX.W, vvvv, vector length, implied prefix. */
static void read_vex_tail(struct encoding *e, uint8_t byte)
{
	e->is_vector = true;
	e->vector_register = (uint8_t)(~byte >> 3 & 15);
	set_implied_prefix(e, byte);
}

static void read_vex(struct encoding *e, uint8_t first)
{
	static const uint8_t maps[4] = {MAP_BAD, MAP_TWO, MAP_38, MAP_3A};
	uint8_t byte = next_byte(e);

	e->rex_r = byte & 0x80 ? 0 : 8;
	e->map = MAP_TWO;
	if (first != 0xc5) {
		uint8_t map = byte & 0x1f;

		e->rex_x = byte & 0x40 ? 0 : 8;
		e->rex_b = byte & 0x20 ? 0 : 8;
		if (first == 0x8f)
			e->map = map <= 10 ? (uint8_t)(MAP_XOP_8 + map - 8) : MAP_BAD;
		else
			e->map = map < 4 ? maps[map] : MAP_BAD;
		byte = next_byte(e);
		e->wide = byte & 0x80;
	}
	read_vex_tail(e, byte);
	e->opcode = next_byte(e);
}

static void read_evex(struct encoding *e)
{
	static const uint8_t maps[8] = {MAP_BAD, MAP_TWO, MAP_38, MAP_3A, MAP_BAD, MAP_HALF_5, MAP_HALF_6, MAP_BAD};
	uint8_t first = next_byte(e);

	e->map = maps[first & 7];
	e->rex_r = (uint8_t)((first & 0x80 ? 0 : 8) + (first & 0x10 ? 0 : 16));
	e->rex_x = first & 0x40 ? 0 : 8;
	e->rex_b = first & 0x20 ? 0 : 8;
	uint8_t second = next_byte(e);

	/* One bit is fixed. */
	if (!(second & 4) || first & 8)
		e->map = MAP_BAD;
	e->wide = second & 0x80;
	read_vex_tail(e, second);
	next_byte(e);
	e->opcode = next_byte(e);
}

static void read_opcode(struct encoding *e)
{
	uint8_t byte = read_prefixes(e);

	if (byte == 0xc4 || byte == 0xc5) {
		read_vex(e, byte);
	} else if (byte == 0x62) {
		read_evex(e);
	} else if (byte == 0x8f && (peek_byte(e) & 0x1f) >= 8) {
		read_vex(e, byte);
	} else if (byte == 0x0f) {
		byte = next_byte(e);
		e->map = byte == 0x38 ? MAP_38 : byte == 0x3a ? MAP_3A : MAP_TWO;
		e->opcode = e->map == MAP_TWO ? byte : next_byte(e);
	} else {
		e->map = MAP_ONE;
		e->opcode = byte;
	}
}

/* Constants and general registers of vector encodings in the map that SSE began. */
static uint8_t vector_traits_two(const struct encoding *e)
{
	switch (e->opcode) {
	case 0x70 ... 0x73:
	case 0xc2:
	case 0xc4:
	case 0xc6:
		return M | I8;
	case 0xc5:
		return M | I8 | R;
	case 0x2c:
	case 0x2d:
	case 0x78:
	case 0x79:
		return e->repeat ? M | R : M;
	case 0x7e:
		return e->repeat == 0xf3 ? M : M | W;
	case 0x50:
	case 0x93:
	case 0xd7:
		return M | R;
	case 0x77:
		return 0;
	default:
		return M;
	}
}

static uint8_t traits_3a(uint8_t opcode)
{
	bool extracts = opcode >= 0x14 && opcode <= 0x17;

	return M | I8 | (extracts ? W : 0) | (opcode == 0xf0 ? R : 0);
}

/* The few of this map that are about general registers: crc32, movbe, adcx, and the bit manipulations. */
static uint8_t traits_38(const struct encoding *e)
{
	if (e->opcode < 0xf0)
		return M;
	if (e->is_vector)
		return e->opcode == 0xf3 ? M : M | R;
	if (e->opcode == 0xf1 && !e->repeat)
		return M;
	return M | R;
}

static uint8_t traits_two(const struct encoding *e)
{
	uint8_t traits = two_bytes[e->opcode];

	switch (e->opcode) {
	case 0x2c:
	case 0x2d:
		return e->repeat ? M | R : M; /* to a general register from xmm, or from xmm to mm */
	case 0x7e:
		return e->repeat == 0xf3 ? M : M | W;
	case 0x1e:
	case 0xae:
		return e->repeat == 0xf3 ? M | W : M; /* rdssp, rdfsbase */
	case 0x78:
		/* extrq and insertq have two bytes of constants. */
		return e->short_operand || e->repeat == 0xf2 ? M | I8 : traits;
	default:
		return traits;
	}
}

static uint8_t find_traits(const struct encoding *e)
{
	switch ((enum opcode_map)e->map) {
	case MAP_ONE:
		return one_byte[e->opcode];
	case MAP_TWO:
		return e->is_vector ? vector_traits_two(e) : traits_two(e);
	case MAP_38:
		return traits_38(e);
	case MAP_3A:
		return traits_3a(e->opcode);
	case MAP_XOP_8:
		return M | I8;
	case MAP_XOP_9:
		return M | R;
	case MAP_XOP_A:
		return M | IZ | R;
	case MAP_HALF_5:
		return e->opcode == 0x7e ? M | W : M | (vector_traits_two(e) & R);
	case MAP_HALF_6:
		return M;
	case MAP_BAD:
		break;
	}
	return X;
}

static void read_memory(struct encoding *e, uint8_t rm)
{
	uint8_t base = rm;

	e->has_base = true;
	if (rm == 4) {
		uint8_t sib = next_byte(e);

		base = sib & 7;
		e->has_index = (sib >> 3 & 7) != 4 || e->rex_x;
	}
	if (e->mode == 0 && base == 5) {
		/* Without a base: relative to the next instruction in the short form, absolute behind a SIB byte. */
		e->has_base = false;
		e->is_relative = rm == 5;
		e->offset = (int32_t)next_constant(e, 4);
	} else if (e->mode) {
		e->offset = (int32_t)next_constant(e, e->mode == 1 ? 1 : 4);
	}
	e->base = base + e->rex_b;
}

static void read_modrm(struct encoding *e)
{
	uint8_t byte = next_byte(e);

	e->mode = byte >> 6;
	e->reg = (uint8_t)((byte >> 3 & 7) + e->rex_r);
	e->rm = (byte & 7) + e->rex_b;
	if (e->map == MAP_TWO && e->opcode >= 0x20 && e->opcode <= 0x23 && !e->is_vector)
		e->mode = 3; /* control registers: never memory */
	if (e->mode != 3)
		read_memory(e, byte & 7);
}

static void read_constants(struct encoding *e)
{
	uint8_t traits = e->traits;
	size_t word = e->short_operand && !e->wide ? 2 : 4;
	uint8_t group = e->reg & 7;

	if (traits & I8)
		e->constant = next_constant(e, 1);
	if (e->map == MAP_XOP_A)
		next_constant(e, 4);
	else if (traits & IZ)
		e->constant = next_constant(e, word);
	if (e->map == MAP_TWO && e->opcode == 0x78 && traits & I8)
		next_constant(e, 1);
	if (e->map != MAP_ONE)
		return;
	switch (e->opcode) {
	case 0xa0 ... 0xa3:
		next_constant(e, e->short_address ? 4 : 8);
		break;
	case 0xb8 ... 0xbf:
		if (e->wide)
			next_constant(e, 4); /* the upper half */
		break;
	case 0xc2:
	case 0xca:
		next_constant(e, 1); /* they are two bytes */
		break;
	case 0xc8:
		/* Two bytes of size, one of nesting level. */
		e->constant = (e->constant & 0xff) | (int64_t)((uint64_t)next_constant(e, 1) << 8 & 0xff00);
		next_constant(e, 1);
		break;
	case 0xf6:
		if (group < 2)
			next_constant(e, 1);
		break;
	case 0xf7:
		if (group < 2)
			next_constant(e, word);
		break;
	default:
		break;
	}
}

/* Without a look at where the bytes end. */
static bool read_encoding(struct encoding *e)
{
	read_opcode(e);
	e->traits = find_traits(e);
	if (e->traits & X)
		return false;
	/* Jumps and calls have four bytes of distance whatever the operand size prefix says (on Intel's processors). */
	if (e->map == MAP_ONE ? (e->opcode & 0xfe) == 0xe8
			      : e->map == MAP_TWO && !e->is_vector && (e->opcode & 0xf0) == 0x80)
		e->short_operand = false;
	if (e->traits & M)
		read_modrm(e);
	read_constants(e);
	return true;
}

bool encoding_read(const uint8_t *code, size_t size, struct encoding *ret)
{
	/* Prefixes, opcode, ModRM, SIB, and constants that are read as eight bytes. */
	enum { READ_MAX_BYTES = 48 };
	uint8_t tail[READ_MAX_BYTES];

	*ret = (struct encoding){.code = code};
	if (size < READ_MAX_BYTES) {
		memset(tail, 0, sizeof(tail));
		memcpy(tail, code, size);
		ret->code = tail;
	}
	bool known = read_encoding(ret);

	ret->code = code;
	return known && ret->at <= size && ret->at <= INSTRUCTION_MAX_BYTES;
}
