/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_program.h - the call-frame instructions of one function, run row by row.
 *
 *     struct cfi_program program;
 *     cfi_program_init(&program, fde);
 *     do {
 *             more = cfi_program_next_row(&program);
 *             (program.state holds from program.row_addr on)
 *     } while (more > 0);
 */
#ifndef EBPROF_SYMBOLIZE_CFI_PROGRAM_H
#define EBPROF_SYMBOLIZE_CFI_PROGRAM_H

#include "cfi_pointer.h"
#include "frame_state.h"

enum { REMEMBERED_MAX = 64 };

/* What functions have in common: a common information entry. */
struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_column;
	uint8_t pointer_encoding; /* of the functions' addresses */
	bool has_augmentation;    /* functions carry augmentation data */
	bool is_signal;           /* they are signal trampolines */
	struct frame_state initial;
};

/* A function: a frame description entry. */
struct cfi_fde {
	const struct cfi_cie *cie;
	uint64_t start; /* file_addr */
	uint64_t end;
	struct byte_reader program;
	const struct pointer_bases *bases; /* of the section */
};

struct cfi_program {
	const struct cfi_fde *fde;
	struct byte_reader reader;
	uint64_t row_addr;
	uint64_t next_addr; /* where the row after it begins */
	struct frame_state state;
	unsigned int nr_remembered;
	struct frame_state remembered[REMEMBERED_MAX];
};

void cfi_program_init(struct cfi_program *program, const struct cfi_fde *fde);

/*
 * Completes a row. Positive: another one follows; 0: this one holds to the function's end; -EBADMSG: the instructions
 * are malformed from here on.
 */
int cfi_program_next_row(struct cfi_program *program);

/* Runs a CIE's own instructions, which set up cie->initial. 0 or -EBADMSG. */
int cfi_program_run_cie(struct cfi_cie *cie, struct byte_reader instructions, const struct pointer_bases *bases);

#endif
