/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_gaps.h - a file's executable bytes that no function of known frames covers, and what is noted about them.
 *
 * Addresses are distances from the origin that unwind rows are relative to.
 */
#ifndef EBPROF_SYMBOLIZE_CODE_GAPS_H
#define EBPROF_SYMBOLIZE_CODE_GAPS_H

#include "object.h"
#include "unwind_rows.h"
#include "vector.h"

enum {
	GAP_BYTES_MAX = 16 << 20,  /* of a file: more is left alone */
	GAP_BYTES_MIN = 16,        /* less is padding between functions */
	GAP_PIECE_BYTES = 4 << 20, /* larger ones are cut, for the sake of what has to be kept of each */
};

/* A byte's marks. */
enum code_mark {
	MARK_ENTRY = 1,       /* a function begins here */
	MARK_POINTER = 2,     /* data or code hold this address: likely a function's, or a label's */
	MARK_TARGET = 4,      /* jumped to from the same gap */
	MARK_NO_ENTRY = 8,    /* that a function begins here was refuted */
	MARK_NO_CASE = 16,    /* that the indirect jump before leads here was refuted */
	MARK_NO_RETURN = 32,  /* that the call before returns to here was refuted */
	MARK_CONFIRMED = 64,  /* what is assumed of this place led to a return that it fits */
	MARK_AFTER_END = 128, /* behind a jump, a return or no code, when everything is decoded in order */
};

struct code_gap {
	uint32_t start;
	uint32_t size;     /* bytes */
	bool is_continued; /* of the gap before */
	size_t place;      /* of its bytes in code and marks */
};

struct code_gaps {
	VECTOR(struct code_gap) list; /* by start */
	uint8_t *code;
	uint8_t *marks; /* enum code_mark, by byte of code */
	uint8_t *plain; /* lengths of instructions that nothing has to be known of but how long they are; 0 = others */
	size_t size;
	uint64_t bytes_skipped;
	struct rule_patches roots; /* where stacks begin */
	VECTOR(uint64_t) covered;  /* start in the upper half, end in the lower, sorted */
};

/* Finds the gaps between ranges, and reads them. 0, or an error from reading. */
int code_gaps_find(const struct object *object, uint64_t origin_addr, const struct row_ranges *ranges,
		   struct code_gaps *ret);
void code_gaps_deinit(struct code_gaps *gaps);

/* The largest gap's size, in bytes: at most GAP_PIECE_BYTES. */
uint32_t code_gaps_largest(const struct code_gaps *gaps);

/* Adds a mark, if the address lies in a gap. */
void code_gaps_mark(struct code_gaps *gaps, uint64_t address, enum code_mark mark);

#endif
