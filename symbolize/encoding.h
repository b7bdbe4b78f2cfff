/* SPDX-License-Identifier: Apache-2.0 */
/* encoding.h - an x86-64 instruction taken apart into its fields; for instruction.c alone. */
#ifndef EBPROF_SYMBOLIZE_ENCODING_H
#define EBPROF_SYMBOLIZE_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Traits of an opcode. */
enum encoding_trait {
	TRAIT_MODRM = 1,       /* a ModRM byte, and what it entails */
	TRAIT_IMMEDIATE_8 = 2, /* constant of a byte */
	TRAIT_IMMEDIATE = 4,   /* constant of four bytes, two with the operand size prefix */
	TRAIT_WRITES_REG = 8,  /* writes the operand that ModRM.reg names */
	TRAIT_WRITES_RM = 16,  /* writes the operand that ModRM.rm names, if it is a register */
	TRAIT_BYTE = 32,       /* of a byte */
	TRAIT_RAX = 64,        /* writes rax */
	TRAIT_NONE = 128,      /* no instruction */
};

enum opcode_map { MAP_ONE, MAP_TWO, MAP_38, MAP_3A, MAP_XOP_8, MAP_XOP_9, MAP_XOP_A, MAP_HALF_5, MAP_HALF_6, MAP_BAD };

/* An instruction taken apart. */
struct encoding {
	const uint8_t *code;
	size_t at; /* what has been read */

	uint8_t map; /* enum opcode_map */
	uint8_t opcode;
	uint8_t traits;
	uint8_t repeat; /* 0xf2 or 0xf3, the last of them; of vector encodings as the implied prefix */
	bool short_operand;
	bool short_address;
	bool has_segment;
	bool has_rex;
	bool is_vector;              /* VEX, EVEX or XOP */
	bool wide;                   /* REX.W */
	uint8_t rex_r, rex_x, rex_b; /* 8 or 0, and 16 more in EVEX.R' */
	uint8_t vector_register;     /* VEX.vvvv */

	uint8_t mode; /* ModRM.mod: 3 = rm is a register */
	uint8_t reg;
	uint8_t rm;
	bool has_index;
	bool has_base;
	bool is_relative; /* to the next instruction */
	uint8_t base;
	int32_t offset;
	int64_t constant;
};

/* Reads one instruction; what it is gets to be known by map, opcode and traits. False: no instruction, or cut. */
bool encoding_read(const uint8_t *code, size_t size, struct encoding *ret);

#endif
