/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_state.h - where the caller's frame is, at one instruction, as far as a stack walk asks.
 *
 * Of the table that call-frame information describes, five columns matter: the canonical frame address, the return
 * address, rbp, rsp and rbx. Every entry is a term: one of the few shapes of value that compilers really write. DWARF
 * expressions become terms as soon as they are met, so nothing later needs to know expressions.
 */
#ifndef EBPROF_SYMBOLIZE_FRAME_STATE_H
#define EBPROF_SYMBOLIZE_FRAME_STATE_H

#include "byte_reader.h"

enum frame_term_kind {
	TERM_UNKNOWN,   /* none of these shapes */
	TERM_SAME,      /* as in this frame */
	TERM_UNDEFINED, /* not recoverable; of the return address: there is no caller */
	TERM_CONSTANT,  /* offset */
	TERM_REGISTER,  /* reg + offset */
	TERM_MEMORY,    /* *(reg + offset) + add */
	TERM_CFA,       /* CFA + offset */
	TERM_AT_CFA,    /* *(CFA + offset) + add */
	TERM_INDEXED,   /* *(rsp + 8 * reg + offset) + add */
	TERM_PLT,       /* rsp + 8 + ((pc & 15) >= offset ? 8 : 0) */
};

struct frame_term {
	int64_t offset;
	int32_t add;
	uint8_t kind; /* enum frame_term_kind */
	uint8_t reg;  /* enum dwarf_register, below DWARF_RIP */
};

enum frame_column { COLUMN_RA, COLUMN_RBP, COLUMN_RSP, COLUMN_RBX, NR_FRAME_COLUMNS };

struct frame_state {
	struct frame_term cfa;
	struct frame_term columns[NR_FRAME_COLUMNS];
	/* What DW_CFA_def_cfa_register and DW_CFA_def_cfa_offset complete; kept while the CFA is an expression. */
	uint64_t cfa_reg;
	int64_t cfa_offset;
};

/* The value at the address that a term gives. */
struct frame_term frame_term_deref(struct frame_term address);

/* reg + offset; TERM_UNKNOWN for a register that a walk can't know. */
struct frame_term frame_term_register(uint64_t reg, int64_t offset);

/*
 * What a DWARF expression computes. For a register's rule the CFA is on the stack when it begins; for the CFA itself
 * the stack is empty. An expression of no known shape is TERM_UNKNOWN, not an error.
 */
struct frame_term frame_expression_evaluate(struct byte_reader expression, bool starts_with_cfa);

#endif
