/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readelf_frames.h - what binutils' readelf says about a file's call-frame information.
 *
 * `readelf --debug-dump=frames-interp` runs the call-frame instructions and prints the resulting table of each
 * function. Here that text becomes rows again; nothing of ebprof's own reading of such sections is used.
 */
#ifndef EBPROF_TESTS_READELF_FRAMES_H
#define EBPROF_TESTS_READELF_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "vector.h"

enum cell_kind {
	CELL_ABSENT,           /* the function has no such column */
	CELL_U,                /* "u": undefined, or never mentioned */
	CELL_SAME,             /* "s" */
	CELL_AT_CFA,           /* "c-16" */
	CELL_CFA,              /* "v+8" */
	CELL_REGISTER,         /* "rbp+16" of the CFA; "rcx" of others */
	CELL_EXPRESSION,       /* "exp" */
	CELL_VALUE_EXPRESSION, /* "vexp" */
	CELL_OTHER,
};
struct readelf_cell {
	uint8_t kind; /* enum cell_kind */
	uint8_t reg;
	int32_t offset;
};

struct readelf_row {
	uint64_t start; /* file_addr */
	struct readelf_cell cfa;
	struct readelf_cell ra;
	struct readelf_cell rbp;
	struct readelf_cell rsp;
	struct readelf_cell rbx;
};

struct readelf_fde {
	uint64_t start;
	uint64_t end;
	uint64_t offset; /* in its section */
	bool is_debug_frame;
	bool is_signal;
	uint32_t first_row;
	uint32_t nr_rows;
};

/* An expression as readelf writes it, and whose it is. */
struct readelf_expression {
	uint64_t offset; /* of the function or common entry that has it, in its section */
	bool is_debug_frame;
	char column; /* 'c' CFA, 'b' rbp, 'a' return address */
	bool is_value;
	char *text; /* "DW_OP_breg7 (rsp): 8; DW_OP_deref" */
};

struct readelf_frames {
	VECTOR(struct readelf_fde) fdes;
	VECTOR(struct readelf_row) rows;
	VECTOR(struct readelf_expression) expressions; /* by section and offset, ascending */
};

/* Runs readelf over a file. 0, or -EIO when it can't be run. */
int readelf_frames_read(const char *path, struct readelf_frames *ret);
/* Adds the expressions: another run. */
int readelf_frames_read_expressions(const char *path, struct readelf_frames *frames);
void readelf_frames_deinit(struct readelf_frames *frames);

#endif
