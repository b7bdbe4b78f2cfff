/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expected_rule.c - holds a rule against a row, column by column.
 *
 * A column fits, differs, or has no form as a rule. A rule that is unsupported is right when some column has no form;
 * any other is right when every column fits.
 */
#include "expected_rule.h"

enum verdict { DIFFERS, FITS, NO_FORM };

bool row_has_expression(const struct readelf_row *row)
{
	return row->cfa.kind == CELL_EXPRESSION || row->ra.kind == CELL_EXPRESSION ||
	       row->ra.kind == CELL_VALUE_EXPRESSION || row->rbp.kind == CELL_EXPRESSION ||
	       row->rbp.kind == CELL_VALUE_EXPRESSION;
}

/* An expression's text as far as rules know such: {register, offset} and what follows. */
struct shape {
	enum { SHAPE_OTHER, SHAPE_REGISTER, SHAPE_MEMORY, SHAPE_INDEXED, SHAPE_PLT } kind;
	unsigned int reg;
	int offset;
	int add;
};

static struct shape parse_shape(const char *text)
{
	struct shape shape = {.kind = SHAPE_OTHER};
	int length = 0;
	int done = 0;
	int literal;

	if (sscanf(text,
		   "DW_OP_breg7 (rsp): 8; DW_OP_breg16 (rip): 0; DW_OP_lit15; DW_OP_and; DW_OP_lit%d; DW_OP_ge; "
		   "DW_OP_lit3; DW_OP_shl; DW_OP_plus%n",
		   &literal, &done) == 1 &&
	    done && !text[done])
		return (struct shape){.kind = SHAPE_PLT, .offset = literal};
	if (sscanf(text,
		   "DW_OP_breg7 (rsp): %d; DW_OP_breg%u (%*[a-z0-9]): 0; DW_OP_lit8; DW_OP_mul; DW_OP_plus; "
		   "DW_OP_deref; "
		   "DW_OP_plus_uconst: %d%n",
		   &shape.offset, &shape.reg, &shape.add, &done) == 3 &&
	    done && !text[done]) {
		shape.kind = SHAPE_INDEXED;
		return shape;
	}
	if (sscanf(text, "DW_OP_breg%u (%*[a-z0-9]): %d%n", &shape.reg, &shape.offset, &length) != 2 || shape.reg > 15)
		return shape;
	text += length;
	if (!*text)
		shape.kind = SHAPE_REGISTER;
	else if (strcmp(text, "; DW_OP_deref") == 0)
		shape.kind = SHAPE_MEMORY;
	else if (sscanf(text, "; DW_OP_deref; DW_OP_plus_uconst: %d%n", &shape.add, &done) == 1 && done && !text[done])
		shape.kind = SHAPE_MEMORY;
	else if (sscanf(text, "; DW_OP_deref; DW_OP_lit%d; DW_OP_plus%n", &shape.add, &done) == 1 && done &&
		 !text[done])
		shape.kind = SHAPE_MEMORY;
	return shape;
}

static enum verdict check_cfa_shape(const struct shape *shape, const struct unwind_rule *rule)
{
	bool same_place = rule->cfa_reg == shape->reg && rule->cfa_offset == shape->offset;

	switch (shape->kind) {
	case SHAPE_OTHER:
		return NO_FORM;
	case SHAPE_REGISTER:
		return rule->cfa == CFA_REGISTER && same_place ? FITS : DIFFERS;
	case SHAPE_INDEXED:
		return rule->cfa == CFA_INDEXED && same_place && rule->cfa_add == shape->add ? FITS : DIFFERS;
	case SHAPE_MEMORY:
		if (shape->add > INT16_MAX)
			return NO_FORM;
		return rule->cfa == CFA_MEMORY && same_place && rule->cfa_add == shape->add ? FITS : DIFFERS;
	case SHAPE_PLT:
		return rule->cfa == CFA_PLT && rule->cfa_offset == shape->offset ? FITS : DIFFERS;
	}
	return DIFFERS;
}

/* A rule's rbp or return address. */
struct rule_value {
	uint8_t kind;
	uint8_t reg;
	int offset;
};

static enum verdict check_value(const struct rule_value *value, uint8_t kind, unsigned int reg, int offset)
{
	if (offset < INT16_MIN || offset > INT16_MAX || reg > 15)
		return NO_FORM;
	return value->kind == kind && value->reg == reg && value->offset == offset ? FITS : DIFFERS;
}

static enum verdict check_value_shape(const struct shape *shape, bool is_value, const struct rule_value *value)
{
	if (shape->kind == SHAPE_REGISTER)
		return check_value(value, is_value ? VALUE_REGISTER : VALUE_AT_REGISTER, shape->reg, shape->offset);
	if (shape->kind == SHAPE_MEMORY && is_value && !shape->add)
		return check_value(value, VALUE_AT_REGISTER, shape->reg, shape->offset);
	return NO_FORM;
}

/* The best verdict of the function's expressions for this column: which one holds at the row isn't known. */
static enum verdict check_expressions(const struct readelf_frames *frames, const struct readelf_fde *fde, char column,
				      const struct unwind_rule *rule, const struct rule_value *value)
{
	enum verdict wanted = rule->cfa == CFA_UNSUPPORTED ? NO_FORM : FITS;
	enum verdict verdict = DIFFERS;

	for (size_t i = 0; i < frames->expressions.nr; i++) {
		const struct readelf_expression *expression = &frames->expressions.data[i];

		if (expression->offset != fde->offset || expression->is_debug_frame != fde->is_debug_frame ||
		    expression->column != column)
			continue;
		struct shape shape = parse_shape(expression->text);

		verdict = column == 'c' ? check_cfa_shape(&shape, rule)
					: check_value_shape(&shape, expression->is_value, value);
		if (verdict == wanted)
			return verdict;
	}
	return verdict;
}

static enum verdict check_cfa(const struct readelf_row *row, const struct readelf_fde *fde,
			      const struct readelf_frames *frames, const struct unwind_rule *rule)
{
	if (row->cfa.kind == CELL_EXPRESSION)
		return check_expressions(frames, fde, 'c', rule, NULL);
	if (row->cfa.kind != CELL_REGISTER || row->cfa.reg >= DWARF_RIP)
		return NO_FORM;
	return rule->cfa == CFA_REGISTER && rule->cfa_reg == row->cfa.reg && rule->cfa_offset == row->cfa.offset
		       ? FITS
		       : DIFFERS;
}

static enum verdict check_cell(const struct readelf_row *row, const struct readelf_cell *cell,
			       const struct rule_value *value)
{
	switch ((enum cell_kind)cell->kind) {
	case CELL_ABSENT:
	case CELL_SAME:
		return check_value(value, VALUE_SAME, 0, 0);
	case CELL_U:
		return value->kind == VALUE_UNDEFINED ? FITS : check_value(value, VALUE_SAME, 0, 0);
	case CELL_AT_CFA:
		return check_value(value, VALUE_AT_CFA, 0, cell->offset);
	case CELL_CFA:
		if (row->cfa.kind != CELL_REGISTER)
			return NO_FORM;
		return check_value(value, VALUE_REGISTER, row->cfa.reg, row->cfa.offset + cell->offset);
	case CELL_REGISTER:
		return check_value(value, VALUE_REGISTER, cell->reg, 0);
	case CELL_EXPRESSION:
	case CELL_VALUE_EXPRESSION:
	case CELL_OTHER:
		return NO_FORM;
	}
	return NO_FORM;
}

static bool is_expression(const struct readelf_cell *cell)
{
	return cell->kind == CELL_EXPRESSION || cell->kind == CELL_VALUE_EXPRESSION;
}

static enum verdict check_rsp(const struct readelf_row *row)
{
	switch ((enum cell_kind)row->rsp.kind) {
	case CELL_ABSENT:
	case CELL_U:
		return FITS;
	case CELL_CFA:
		return row->rsp.offset == 0 ? FITS : NO_FORM;
	case CELL_SAME:
	case CELL_AT_CFA:
	case CELL_REGISTER:
	case CELL_EXPRESSION:
	case CELL_VALUE_EXPRESSION:
	case CELL_OTHER:
		return NO_FORM;
	}
	return NO_FORM;
}

/* rbx has a form only where it is unchanged or saved next to the CFA. */
static enum verdict check_rbx(const struct readelf_cell *cell, const struct unwind_rule *rule)
{
	int expected = RBX_LOST;

	if (rule->cfa == CFA_UNSUPPORTED)
		return FITS;
	if (cell->kind == CELL_ABSENT || cell->kind == CELL_U || cell->kind == CELL_SAME)
		expected = RBX_SAME;
	else if (cell->kind == CELL_AT_CFA && cell->offset && cell->offset > RBX_LOST && cell->offset <= INT16_MAX)
		expected = cell->offset;
	if (cell->kind == CELL_U && rule->rbx_offset == RBX_LOST)
		return FITS; /* said to be undefined, which readelf doesn't tell from never mentioned */
	return rule->rbx_offset == expected ? FITS : DIFFERS;
}

static bool refers_to_cfa(const struct readelf_cell *cell)
{
	return cell->kind == CELL_AT_CFA || cell->kind == CELL_CFA;
}

/* longjmp's row: the caller's rsp is in a register, and nothing that rules know depends on the CFA. */
static struct readelf_row without_cfa(struct readelf_row row)
{
	if (row.rsp.kind != CELL_REGISTER || refers_to_cfa(&row.ra) || refers_to_cfa(&row.rbp))
		return row;
	row.cfa = row.rsp;
	row.rsp.kind = CELL_ABSENT;
	if (refers_to_cfa(&row.rbx))
		row.rbx.kind = CELL_OTHER;
	return row;
}

bool expected_rule_is(const struct readelf_row *said, const struct readelf_fde *fde,
		      const struct readelf_frames *frames, const struct unwind_rule *rule)
{
	struct rule_value ra = {rule->ra, rule->ra_reg, rule->ra_offset};
	struct rule_value rbp = {rule->rbp, rule->rbp_reg, rule->rbp_offset};
	struct readelf_row usual = without_cfa(*said), *row = &usual;

	if (row->ra.kind == CELL_U)
		return rule->cfa == CFA_ROOT;
	enum verdict verdicts[] = {
		check_cfa(row, fde, frames, rule),
		is_expression(&row->ra)     ? check_expressions(frames, fde, 'a', rule, &ra)
		: row->ra.kind == CELL_SAME ? NO_FORM
					    : check_cell(row, &row->ra, &ra),
		is_expression(&row->rbp) ? check_expressions(frames, fde, 'b', rule, &rbp)
					 : check_cell(row, &row->rbp, &rbp),
		check_rsp(row),
		check_rbx(&row->rbx, rule),
	};
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		if (rule->cfa == CFA_UNSUPPORTED ? verdicts[i] == NO_FORM : verdicts[i] != FITS)
			return rule->cfa == CFA_UNSUPPORTED;
	}
	return rule->cfa != CFA_UNSUPPORTED;
}
