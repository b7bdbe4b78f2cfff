/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instruction.h - one x86-64 instruction: how long it is and what it does to the general registers, as far as whoever
 * follows the stack pointer asks.
 *
 * Of the effects only those are told apart that move stack addresses about; everything else is a set of registers whose
 * values are lost.
 *
 * What is no instruction to a processor of today isn't one here, which also tells data from code. Nor is what the decoder
 * library doesn't know: Zydis 4.0 has AVX-512 up to FP16 and AMX, XOP and 3DNow!, but neither AVX-IFMA and AVX-VNNI-INT8,
 * CMPccXADD, SHA512, AVX10 nor APX. Whoever sweeps over code knows nothing from there to the next place where it knows
 * the state: a function's start or the target of a jump. A newer library needs no change here.
 */
#ifndef EBPROF_SYMBOLIZE_INSTRUCTION_H
#define EBPROF_SYMBOLIZE_INSTRUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	INSTRUCTION_MAX_BYTES = 15,
	NO_REGISTER = 0xff,
};

enum instruction_kind {
	INSTRUCTION_OTHER,    /* all that it does is in lost */
	INSTRUCTION_FILLER,   /* does nothing: nop of any length, int3 */
	INSTRUCTION_PUSH,     /* reg, or something else */
	INSTRUCTION_POP,      /* reg, or something else */
	INSTRUCTION_MOVE,     /* reg = base */
	INSTRUCTION_ADDRESS,  /* reg = base + offset, or target: lea, and additions of constants */
	INSTRUCTION_CONSTANT, /* a register in lost = target, which may be an address if those are fixed */
	INSTRUCTION_LOAD,     /* reg = *(base + offset) */
	INSTRUCTION_STORE,    /* *(base + offset) = reg, or something else */
	INSTRUCTION_EXCHANGE, /* reg and base swap values */
	INSTRUCTION_REBASE,   /* reg goes down by an amount that depends: aligned, or less a register */
	INSTRUCTION_ENTER,    /* push rbp; rbp = rsp; rsp -= offset */
	INSTRUCTION_LEAVE,    /* rsp = rbp; pop rbp */
	INSTRUCTION_CALL,     /* target, 0 = elsewhere; lost is what the ABI allows */
	INSTRUCTION_JUMP,     /* target, 0 = elsewhere */
	INSTRUCTION_BRANCH,   /* target, or goes on */
	INSTRUCTION_RETURN,
	INSTRUCTION_END, /* execution does not come past it: ud2, hlt */
};

struct instruction {
	uint8_t length; /* bytes */
	uint8_t kind;   /* enum instruction_kind */
	uint8_t reg;    /* enum dwarf_register, or NO_REGISTER */
	uint8_t base;   /* likewise */
	uint16_t lost;  /* bit per DWARF number: gets a value that is not followed (beside what kind says) */
	int32_t offset;
	uint64_t target; /* of a transfer, or what an ADDRESS names; 0 = none */
};

/* Whether execution never goes on to the next instruction. */
bool instruction_ends_flow(enum instruction_kind kind);

/* Decodes the instruction at code[0], whose address is addr. False: these bytes are none, or cut. */
bool instruction_decode(const uint8_t *code, size_t size, uint64_t addr, struct instruction *ret);

#endif
