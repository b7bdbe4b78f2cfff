/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_program.c - interprets call-frame instructions (DWARF 5, section 6.4.2, and the GNU ones).
 *
 * The instructions edit a table of columns and, between edits, advance the address: a row is what the table says
 * when the address moves. Only the columns of a frame_state are kept; edits of others are decoded and dropped.
 *
 * Two things are not in the standard but what compilers count on: restore_state brings back the CFA too, and while the
 * CFA is an expression, def_cfa_offset only sets what a later def_cfa_register combines with.
 */
#include "cfi_program.h"

#include <dwarf.h>
#include <errno.h>

#include "rows.h"

enum {
	/* Newer or rarer than the header that names the others. */
	CFA_ADVANCE_LOC8 = 0x1d,
	CFA_GNU_WINDOW_SAVE = 0x2d,
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,

	CFA_OPERAND_MASK = 0x3f,
};

/* The place of a register's rule in the state, or NULL: a column that nobody asks for. */
static struct frame_term *find_column(struct frame_state *state, const struct cfi_cie *cie, uint64_t reg)
{
	if (reg == cie->ra_column)
		return &state->columns[COLUMN_RA];
	if (reg == DWARF_RBP)
		return &state->columns[COLUMN_RBP];
	if (reg == DWARF_RSP)
		return &state->columns[COLUMN_RSP];
	if (reg == DWARF_RBX)
		return &state->columns[COLUMN_RBX];
	return NULL;
}

static void set_column(struct cfi_program *program, uint64_t reg, struct frame_term term)
{
	struct frame_term *column = find_column(&program->state, program->fde->cie, reg);

	if (column)
		*column = term;
}

/* value * data_align, in two's complement: a file that overflows it gets the nonsense that it asked for. */
static int64_t factor(const struct cfi_program *program, uint64_t value)
{
	return (int64_t)(value * (uint64_t)program->fde->cie->data_align);
}

static void set_at_cfa(struct cfi_program *program, uint64_t reg, int64_t offset)
{
	set_column(program, reg, (struct frame_term){.kind = TERM_AT_CFA, .offset = offset});
}

static void set_cfa_plus(struct cfi_program *program, uint64_t reg, int64_t offset)
{
	set_column(program, reg, (struct frame_term){.kind = TERM_CFA, .offset = offset});
}

static void restore_column(struct cfi_program *program, uint64_t reg)
{
	const struct cfi_cie *cie = program->fde->cie;
	struct frame_state initial = cie->initial;
	const struct frame_term *column = find_column(&initial, cie, reg);

	if (column)
		set_column(program, reg, *column);
}

static void set_expression(struct cfi_program *program, uint64_t reg, bool is_value)
{
	struct byte_reader expression = read_part(&program->reader, read_uleb(&program->reader));
	struct frame_term term = frame_expression_evaluate(expression, true);

	set_column(program, reg, is_value ? term : frame_term_deref(term));
}

static void set_cfa(struct cfi_program *program, uint64_t reg, int64_t offset)
{
	struct frame_state *state = &program->state;

	state->cfa_reg = reg;
	state->cfa_offset = offset;
	state->cfa = frame_term_register(reg, offset);
}

static void set_cfa_offset(struct cfi_program *program, int64_t offset)
{
	struct frame_state *state = &program->state;

	state->cfa_offset = offset;
	if (state->cfa.kind == TERM_REGISTER)
		state->cfa.offset = offset;
}

static void remember_state(struct cfi_program *program)
{
	if (program->nr_remembered == REMEMBERED_MAX)
		reader_fail(&program->reader);
	else
		program->remembered[program->nr_remembered++] = program->state;
}

static void restore_state(struct cfi_program *program)
{
	if (!program->nr_remembered)
		reader_fail(&program->reader);
	else
		program->state = program->remembered[--program->nr_remembered];
}

/* Instructions that say where a register is saved. False: another instruction. */
static bool step_register(struct cfi_program *program, uint8_t operation)
{
	struct byte_reader *reader = &program->reader;
	uint64_t reg;

	switch (operation) {
	case DW_CFA_offset_extended:
		reg = read_uleb(reader);
		set_at_cfa(program, reg, factor(program, read_uleb(reader)));
		return true;
	case DW_CFA_offset_extended_sf:
		reg = read_uleb(reader);
		set_at_cfa(program, reg, factor(program, (uint64_t)read_sleb(reader)));
		return true;
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		reg = read_uleb(reader);
		set_at_cfa(program, reg, factor(program, -read_uleb(reader)));
		return true;
	case DW_CFA_val_offset:
		reg = read_uleb(reader);
		set_cfa_plus(program, reg, factor(program, read_uleb(reader)));
		return true;
	case DW_CFA_val_offset_sf:
		reg = read_uleb(reader);
		set_cfa_plus(program, reg, factor(program, (uint64_t)read_sleb(reader)));
		return true;
	case DW_CFA_register:
		reg = read_uleb(reader);
		set_column(program, reg, frame_term_register(read_uleb(reader), 0));
		return true;
	case DW_CFA_undefined:
		set_column(program, read_uleb(reader), (struct frame_term){.kind = TERM_UNDEFINED});
		return true;
	case DW_CFA_same_value:
		set_column(program, read_uleb(reader), (struct frame_term){.kind = TERM_SAME});
		return true;
	case DW_CFA_restore_extended:
		restore_column(program, read_uleb(reader));
		return true;
	case DW_CFA_expression:
		set_expression(program, read_uleb(reader), false);
		return true;
	case DW_CFA_val_expression:
		set_expression(program, read_uleb(reader), true);
		return true;
	}
	return false;
}

/* The CFA, the state as a whole, and what has no effect. */
static void step_other(struct cfi_program *program, uint8_t operation)
{
	struct byte_reader *reader = &program->reader;
	uint64_t reg;

	switch (operation) {
	case DW_CFA_nop:
	case CFA_GNU_WINDOW_SAVE:
		return;
	case CFA_GNU_ARGS_SIZE:
		read_uleb(reader);
		return;
	case DW_CFA_def_cfa:
		reg = read_uleb(reader);
		set_cfa(program, reg, (int64_t)read_uleb(reader));
		return;
	case DW_CFA_def_cfa_sf:
		reg = read_uleb(reader);
		set_cfa(program, reg, factor(program, (uint64_t)read_sleb(reader)));
		return;
	case DW_CFA_def_cfa_register:
		set_cfa(program, read_uleb(reader), program->state.cfa_offset);
		return;
	case DW_CFA_def_cfa_offset:
		set_cfa_offset(program, (int64_t)read_uleb(reader));
		return;
	case DW_CFA_def_cfa_offset_sf:
		set_cfa_offset(program, factor(program, (uint64_t)read_sleb(reader)));
		return;
	case DW_CFA_def_cfa_expression:
		program->state.cfa = frame_expression_evaluate(read_part(reader, read_uleb(reader)), false);
		return;
	case DW_CFA_remember_state:
		remember_state(program);
		return;
	case DW_CFA_restore_state:
		restore_state(program);
		return;
	}
	reader_fail(reader);
}

/* Instructions that begin a new row: the address it begins at. False: another instruction. */
static bool step_location(struct cfi_program *program, uint8_t operation)
{
	struct byte_reader *reader = &program->reader;
	const struct cfi_cie *cie = program->fde->cie;
	uint64_t delta;

	switch (operation) {
	case DW_CFA_advance_loc1:
		delta = read_u8(reader);
		break;
	case DW_CFA_advance_loc2:
		delta = read_u16(reader);
		break;
	case DW_CFA_advance_loc4:
		delta = read_u32(reader);
		break;
	case CFA_ADVANCE_LOC8:
		delta = read_u64(reader);
		break;
	case DW_CFA_set_loc:
		program->next_addr = read_pointer(reader, cie->pointer_encoding, program->fde->bases);
		return true;
	default:
		return false;
	}
	program->next_addr = program->row_addr + delta * cie->code_align;
	return true;
}

/* True: the address has moved. */
static bool step(struct cfi_program *program)
{
	uint8_t operation = read_u8(&program->reader);
	uint8_t operand = operation & CFA_OPERAND_MASK;

	switch (operation & ~CFA_OPERAND_MASK) {
	case DW_CFA_advance_loc:
		program->next_addr = program->row_addr + operand * program->fde->cie->code_align;
		return true;
	case DW_CFA_offset:
		set_at_cfa(program, operand, factor(program, read_uleb(&program->reader)));
		return false;
	case DW_CFA_restore:
		restore_column(program, operand);
		return false;
	}
	if (step_location(program, operation))
		return true;
	if (!step_register(program, operation))
		step_other(program, operation);
	return false;
}

void cfi_program_init(struct cfi_program *program, const struct cfi_fde *fde)
{
	program->fde = fde;
	program->reader = fde->program;
	program->row_addr = fde->start;
	program->next_addr = fde->start;
	program->state = fde->cie->initial;
	program->nr_remembered = 0;
}

int cfi_program_next_row(struct cfi_program *program)
{
	program->row_addr = program->next_addr;
	while (reader_rest(&program->reader)) {
		if (!step(program))
			continue;
		if (program->reader.failed || program->next_addr < program->row_addr)
			return -EBADMSG;
		if (program->next_addr >= program->fde->end)
			return 0;
		if (program->next_addr > program->row_addr)
			return 1;
	}
	return program->reader.failed ? -EBADMSG : 0;
}

int cfi_program_run_cie(struct cfi_cie *cie, struct byte_reader instructions, const struct pointer_bases *bases)
{
	struct cfi_fde fde = {.cie = cie, .end = UINT64_MAX, .program = instructions, .bases = bases};
	struct cfi_program program;

	/* No rule for rbp: a callee leaves it alone. No rule for rsp: it was the CFA at the call. */
	cie->initial = (struct frame_state){
		.columns[COLUMN_RBP] = {.kind = TERM_SAME},
		.columns[COLUMN_RSP] = {.kind = TERM_CFA},
		.columns[COLUMN_RBX] = {.kind = TERM_SAME},
	};
	cfi_program_init(&program, &fde);
	/* An address that moves means nothing here. */
	if (cfi_program_next_row(&program) != 0)
		return -EBADMSG;
	cie->initial = program.state;
	return 0;
}
