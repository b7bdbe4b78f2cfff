/* SPDX-License-Identifier: Apache-2.0 */
/* What call-frame instructions and the expressions in them mean as rules. */
#include "unwind_fixture.h"

/* --- instructions --------------------------------------------------------------------------------------------------
 */

static void function_with_frame_pointer(void **state)
{
	/* push rbp; mov rsp,rbp; ...; leave */
	struct unwind_table *table = compile_program(
		BYTES(DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2, DW_CFA_advance_loc | 3,
		      DW_CFA_def_cfa_register, 6, DW_CFA_advance_loc1, 0x40, DW_CFA_restore | 6, DW_CFA_def_cfa, 7, 8));
	struct unwind_rule saved = usual_rule(DWARF_RSP, 16);

	(void)state;
	saved.rbp = VALUE_AT_CFA;
	saved.rbp_offset = -16;
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	check_rule(table, FUNCTION + 1, saved);
	check_rule(table, FUNCTION + 3, saved);
	saved.cfa_reg = DWARF_RBP;
	check_rule(table, FUNCTION + 4, saved);
	check_rule(table, FUNCTION + 0x43, saved);
	check_rule(table, FUNCTION + 0x44, usual_rule(DWARF_RSP, 8));
	assert_int_equal(table->nr_rows, 5); /* the last one is the end */
	assert_int_equal(table->nr_rules, RULE_FIRST_FREE + 3);
	assert_int_equal(table->nr_rows_unsupported, 0);
	unwind_table_destroy(table);
}

static void locations(void **state)
{
	struct unwind_rule far = usual_rule(DWARF_RSP, 24);
	struct unwind_table *table;

	(void)state;
	table = compile_program(BYTES(DW_CFA_advance_loc2, 0x20, 0, DW_CFA_def_cfa_offset, 24, DW_CFA_advance_loc4,
				      0x20, 0, 0, 0, DW_CFA_def_cfa_offset, 8, 0x1d, 0x20, 0, 0, 0, 0, 0, 0, 0,
				      DW_CFA_def_cfa_offset, 24));
	check_rule(table, FUNCTION + 0x1f, usual_rule(DWARF_RSP, 8));
	check_rule(table, FUNCTION + 0x20, far);
	check_rule(table, FUNCTION + 0x40, usual_rule(DWARF_RSP, 8));
	check_rule(table, FUNCTION + 0x60, far);
	unwind_table_destroy(table);

	/* A row of no length leaves no trace; one behind the end is not looked at. */
	table = compile_program(BYTES(DW_CFA_def_cfa_offset, 99, DW_CFA_advance_loc, DW_CFA_def_cfa_offset, 24,
				      DW_CFA_advance_loc1, FUNCTION_SIZE, 0x3f /* not an instruction */));
	check_rule(table, FUNCTION, far);
	assert_int_equal(table->nr_rows, 2);
	unwind_table_destroy(table);
}

static void set_location(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);

	(void)state;
	fde_begin(&cfi, cie, FUNCTION, FUNCTION_SIZE);
	put_number(&cfi, DW_CFA_set_loc, 1);
	put_number(&cfi, FUNCTION + 9 - (cfi.addr + cfi.size), 4);
	put_bytes(&cfi, BYTES(DW_CFA_def_cfa_offset, 16));
	cfi_end(&cfi);
	fde_begin(&cfi, cie, FUNCTION + 0x100, FUNCTION_SIZE);
	put_number(&cfi, DW_CFA_set_loc, 1); /* backwards */
	put_number(&cfi, FUNCTION - (cfi.addr + cfi.size), 4);
	cfi_end(&cfi);
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes_broken, 1);
	check_rule(table, FUNCTION + 8, usual_rule(DWARF_RSP, 8));
	check_rule(table, FUNCTION + 9, usual_rule(DWARF_RSP, 16));
	unwind_table_destroy(table);
}

static void cfa_forms(void **state)
{
	(void)state;
	check_program(BYTES(DW_CFA_def_cfa, 10, 0), usual_rule(DWARF_R10, 0));
	check_program(BYTES(DW_CFA_def_cfa_sf, 6, 0x7e /* -2, times -8 */), usual_rule(DWARF_RBP, 16));
	check_program(BYTES(DW_CFA_def_cfa_offset_sf, 0x7d), usual_rule(DWARF_RSP, 24));
	check_program(BYTES(DW_CFA_def_cfa_offset, 0x80, 0x80, 0x04), usual_rule(DWARF_RSP, 0x10000));
	check_unsupported(BYTES(DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0x0f));
	check_unsupported(BYTES(DW_CFA_def_cfa, 16, 8));
	check_unsupported(BYTES(DW_CFA_def_cfa, 0x86, 0x02 /* 262: not to be taken for rbp */, 8));
}

static void rbp_forms(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_RSP, 8);

	(void)state;
	check_program(BYTES(DW_CFA_offset | 6, 2, DW_CFA_same_value, 6), rule);
	rule.rbp = VALUE_UNDEFINED;
	check_program(BYTES(DW_CFA_undefined, 6), rule);
	rule.rbp = VALUE_AT_CFA;
	rule.rbp_offset = -24;
	check_program(BYTES(DW_CFA_offset_extended, 6, 3), rule);
	check_program(BYTES(DW_CFA_offset_extended_sf, 6, 3), rule);
	rule.rbp_offset = 24;
	check_program(BYTES(0x2f /* GNU_negative_offset_extended */, 6, 3), rule);
	check_program(BYTES(DW_CFA_offset_extended_sf, 6, 0x7d), rule);
	rule.rbp = VALUE_REGISTER;
	rule.rbp_reg = DWARF_R11;
	rule.rbp_offset = 0;
	check_program(BYTES(DW_CFA_register, 6, 11), rule);
	/* CFA - 16, where the CFA is rsp + 8. */
	rule.rbp_reg = DWARF_RSP;
	rule.rbp_offset = -8;
	check_program(BYTES(DW_CFA_val_offset, 6, 2), rule);
	check_program(BYTES(DW_CFA_val_offset_sf, 6, 2), rule);
	/* Further away than a rule can say. */
	check_unsupported(BYTES(DW_CFA_offset_extended, 6, 0x81, 0x20 /* 4097 * -8 */));
	check_unsupported(BYTES(DW_CFA_register, 6, 17));
}

/* longjmp: the CFA is the jump buffer, and what it jumps to is in registers. */
static void jump_buffers(void **state)
{
	struct unwind_rule rule = {.cfa = CFA_REGISTER,
				   .cfa_reg = DWARF_R8,
				   .ra = VALUE_REGISTER,
				   .ra_reg = DWARF_RDX,
				   .rbp = VALUE_REGISTER,
				   .rbp_reg = DWARF_R9,
				   .rbx_offset = RBX_LOST};

	(void)state;
	check_program(BYTES(DW_CFA_def_cfa, 5, 0, DW_CFA_register, 7, 8, DW_CFA_register, 6, 9, DW_CFA_register, 16, 1,
			    DW_CFA_offset | 3, 0, DW_CFA_offset | 12, 0x7e),
		      rule);
	/* Something is saved where the CFA, which is not rsp, says. */
	check_unsupported(BYTES(DW_CFA_def_cfa, 5, 0, DW_CFA_register, 7, 8, DW_CFA_register, 6, 9));
	check_unsupported(
		BYTES(DW_CFA_def_cfa, 5, 0, DW_CFA_register, 7, 8, DW_CFA_register, 16, 1, DW_CFA_offset | 6, 1));
}

static void return_address_forms(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_RSP, 8);

	(void)state;
	check_program(BYTES(DW_CFA_undefined, 16), (struct unwind_rule){.cfa = CFA_ROOT});
	check_program(BYTES(DW_CFA_def_cfa, 16, 8, DW_CFA_undefined, 16), (struct unwind_rule){.cfa = CFA_ROOT});
	rule.ra_offset = -24;
	check_program(BYTES(DW_CFA_offset | 16, 3), rule);
	rule.ra = VALUE_REGISTER;
	rule.ra_reg = DWARF_RDI;
	rule.ra_offset = 0;
	check_program(BYTES(DW_CFA_register, 16, 5), rule);
	check_program(BYTES(DW_CFA_undefined, 16, DW_CFA_restore_extended, 16), usual_rule(DWARF_RSP, 8));
	check_unsupported(BYTES(DW_CFA_same_value, 16));
}

/* The walker takes the CFA for the caller's rsp. */
static void rsp_forms(void **state)
{
	(void)state;
	check_program(BYTES(DW_CFA_val_offset, 7, 0), usual_rule(DWARF_RSP, 8));
	check_program(BYTES(DW_CFA_val_expression, 7, 2, DW_OP_breg7, 8), usual_rule(DWARF_RSP, 8));
	check_unsupported(BYTES(DW_CFA_val_offset, 7, 1));
	check_unsupported(BYTES(DW_CFA_register, 7, 8));
	check_unsupported(BYTES(DW_CFA_offset | 7, 2));
	check_unsupported(BYTES(DW_CFA_same_value, 7));
}

static void instructions_without_effect(void **state)
{
	(void)state;
	check_program(BYTES(DW_CFA_nop, 0x2e /* GNU_args_size */, 0x90, 0x01, 0x2d /* GNU_window_save */,
			    DW_CFA_offset | 12, 2, DW_CFA_restore | 12, DW_CFA_register, 12, 13, DW_CFA_expression, 13,
			    2, DW_OP_breg6, 0, DW_CFA_undefined, 40),
		      usual_rule(DWARF_RSP, 8));
}

/* Followed where it is unchanged or saved next to the CFA; lost otherwise, which is no reason to refuse the rule. */
static void rbx(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_RSP, 8);

	(void)state;
	check_program(BYTES(DW_CFA_offset | 3, 2, DW_CFA_restore | 3), rule);
	rule.rbx_offset = -24;
	check_program(BYTES(DW_CFA_offset | 3, 3), rule);
	check_program(BYTES(DW_CFA_expression, 3, 2, DW_OP_plus_uconst, 0x68, DW_CFA_offset | 3, 3), rule);
	rule.rbx_offset = RBX_LOST;
	check_program(BYTES(DW_CFA_register, 3, 12), rule);
	check_program(BYTES(DW_CFA_undefined, 3), rule);
	check_program(BYTES(DW_CFA_offset | 3, 0), rule);
	check_program(BYTES(DW_CFA_val_offset, 3, 2), rule);
	check_program(BYTES(DW_CFA_expression, 3, 2, DW_OP_breg6, 0), rule);
	/* 0x1000 * -8 is exactly the mark. */
	check_program(BYTES(DW_CFA_offset | 3, 0x80, 0x20), rule);
	rule.rbx_offset = RBX_LOST + 8;
	check_program(BYTES(DW_CFA_offset | 3, 0xff, 0x1f), rule);
}

static void remembered_states(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_RBP, 16);

	(void)state;
	rule.rbp = VALUE_AT_CFA;
	rule.rbp_offset = -16;
	/* The CFA comes back too; states nest. */
	check_program(BYTES(DW_CFA_def_cfa, 6, 16, DW_CFA_offset | 6, 2, DW_CFA_remember_state, DW_CFA_def_cfa, 7, 8,
			    DW_CFA_restore | 6, DW_CFA_remember_state, DW_CFA_undefined, 16, DW_CFA_restore_state,
			    DW_CFA_restore_state),
		      rule);

	uint8_t program[65];

	memset(program, DW_CFA_remember_state, sizeof(program));
	check_malformed(program, 65);
	check_program(program, 64, usual_rule(DWARF_RSP, 8));
	check_malformed(BYTES(DW_CFA_restore_state));
}

static void malformed_programs(void **state)
{
	(void)state;
	check_malformed(BYTES(0x3f));
	check_malformed(BYTES(0x17));
	check_malformed(BYTES(DW_CFA_def_cfa_expression, 0x7f, DW_OP_breg7, 0)); /* longer than the program */
	check_malformed(BYTES(DW_CFA_expression, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01));
	check_malformed(BYTES(0x1d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)); /* wraps around */
}

/* --- expressions ---------------------------------------------------------------------------------------------------
 */

static void lazy_binding_stubs(void **state)
{
	struct unwind_rule rule = usual_rule(0, 11);

	(void)state;
	rule.cfa = CFA_PLT;
	check_program(BYTES(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
			    DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus),
		      rule);
	rule.cfa_offset = 10;
	check_program(BYTES(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
			    DW_OP_lit10, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus),
		      rule);
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
				DW_OP_lit16, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 16, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
				DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus));
}

static void cfa_expressions(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_RBP, -8);

	(void)state;
	/* A function that realigns its stack keeps the old one's address in its frame. */
	rule.cfa = CFA_MEMORY;
	check_program(BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref), rule);
	rule.cfa_reg = DWARF_RSP;
	rule.cfa_offset = 152;
	rule.cfa_add = 8;
	check_program(BYTES(DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0x98, 0x01, DW_OP_deref, DW_OP_plus_uconst, 8),
		      rule);
	check_program(BYTES(DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0x98, 0x01, DW_OP_deref, DW_OP_lit8, DW_OP_plus),
		      rule);
	check_program(
		BYTES(DW_CFA_def_cfa_expression, 7, DW_OP_const1u, 8, DW_OP_breg7, 0x98, 0x01, DW_OP_deref, DW_OP_plus),
		rule);
	rule.cfa_add = -8;
	check_program(
		BYTES(DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0x98, 0x01, DW_OP_deref, DW_OP_lit8, DW_OP_minus),
		rule);
	check_program(BYTES(DW_CFA_def_cfa_expression, 8, DW_OP_bregx, 7, 0x98, 0x01, DW_OP_deref, DW_OP_consts, 0x78,
			    DW_OP_plus),
		      rule);
	check_program(BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 16, DW_OP_plus_uconst, 8),
		      usual_rule(DWARF_RSP, 24));
}

/* At rsp + 8 * r9: behind an array on the stack. */
static void indexed_cfa_expressions(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_R9, 8);

	(void)state;
	rule.cfa = CFA_INDEXED;
	rule.cfa_add = 8;
	check_program(BYTES(DW_CFA_def_cfa_expression, 10, DW_OP_breg7, 8, DW_OP_breg9, 0, DW_OP_lit8, DW_OP_mul,
			    DW_OP_plus, DW_OP_deref, DW_OP_plus_uconst, 8),
		      rule);
	/* Another factor, an offset of the index, nothing added, something behind it. */
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 10, DW_OP_breg7, 8, DW_OP_breg9, 0, DW_OP_lit4, DW_OP_mul,
				DW_OP_plus, DW_OP_deref, DW_OP_plus_uconst, 8));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 10, DW_OP_breg7, 8, DW_OP_breg9, 1, DW_OP_lit8, DW_OP_mul,
				DW_OP_plus, DW_OP_deref, DW_OP_plus_uconst, 8));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 9, DW_OP_breg7, 8, DW_OP_breg9, 0, DW_OP_lit8, DW_OP_mul,
				DW_OP_plus, DW_OP_deref, DW_OP_plus_uconst));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg9, 0, DW_OP_lit8, DW_OP_mul,
				DW_OP_plus, DW_OP_deref, DW_OP_plus_uconst, 8, DW_OP_deref));
}

static void expressions_of_no_form(void **state)
{
	(void)state;
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 0));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 1, DW_OP_deref));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 1, DW_OP_lit4));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 1, DW_OP_breg7)); /* its operand is missing */
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8, DW_OP_deref, DW_OP_deref));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 5, DW_OP_breg7, 8, DW_OP_breg9, 0, DW_OP_plus));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg7, 8, 0xff));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0, DW_OP_deref, DW_OP_const2s, 0xff, 0x7f,
				DW_CFA_def_cfa_expression, 7, DW_OP_breg7, 0, DW_OP_deref, DW_OP_const2u, 0, 0x80,
				DW_OP_plus)); /* 32768 is one more than fits */
	/* A stack of nine. */
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 9, DW_OP_lit1, DW_OP_lit1, DW_OP_lit1, DW_OP_lit1,
				DW_OP_lit1, DW_OP_lit1, DW_OP_lit1, DW_OP_lit1, DW_OP_lit1));
	/* Numbers at the ends of their range. */
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 12, DW_OP_breg7, 0, DW_OP_const8u, 0, 0, 0, 0, 0, 0, 0, 0x80,
				DW_OP_minus));
	check_unsupported(BYTES(DW_CFA_def_cfa_expression, 15, DW_OP_breg7, 1, DW_OP_plus_uconst, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, DW_OP_plus_uconst, 1));
}

/* An offset said while the CFA is an expression counts when a register is named later. */
static void expression_then_register(void **state)
{
	(void)state;
	check_program(BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref, DW_CFA_def_cfa_offset, 40,
			    DW_CFA_def_cfa_register, 6),
		      usual_rule(DWARF_RBP, 40));
	struct unwind_rule rule = usual_rule(DWARF_RBP, -8);

	rule.cfa = CFA_MEMORY;
	check_program(BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref, DW_CFA_def_cfa_offset, 40),
		      rule);
}

static void register_expressions(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_RSP, 8);

	(void)state;
	rule.rbp = VALUE_AT_REGISTER;
	rule.rbp_reg = DWARF_RBP;
	check_program(BYTES(DW_CFA_expression, 6, 2, DW_OP_breg6, 0), rule);
	check_program(BYTES(DW_CFA_val_expression, 6, 3, DW_OP_breg6, 0, DW_OP_deref), rule);
	rule.rbp = VALUE_REGISTER;
	rule.rbp_reg = DWARF_R12;
	rule.rbp_offset = -16;
	check_program(BYTES(DW_CFA_val_expression, 6, 2, DW_OP_breg12, 0x70), rule);
	/* The CFA is on the stack at the beginning. */
	rule.rbp = VALUE_AT_CFA;
	rule.rbp_reg = 0;
	rule.rbp_offset = -32;
	check_program(BYTES(DW_CFA_expression, 6, 3, DW_OP_const1u, 32, DW_OP_minus), rule);
	check_program(BYTES(DW_CFA_val_expression, 6, 4, DW_OP_const1u, 32, DW_OP_minus, DW_OP_deref), rule);
	check_unsupported(
		BYTES(DW_CFA_val_expression, 6, 6, DW_OP_const1u, 32, DW_OP_minus, DW_OP_deref, DW_OP_plus_uconst, 1));
	check_unsupported(BYTES(DW_CFA_expression, 6, 3, DW_OP_breg6, 0, DW_OP_deref));

	rule = usual_rule(DWARF_RSP, 8);
	rule.ra = VALUE_AT_REGISTER;
	rule.ra_reg = DWARF_RSP;
	rule.ra_offset = 168;
	check_program(BYTES(DW_CFA_expression, 16, 3, DW_OP_breg7, 0xa8, 0x01), rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function_with_frame_pointer),
		cmocka_unit_test(locations),
		cmocka_unit_test(set_location),
		cmocka_unit_test(cfa_forms),
		cmocka_unit_test(rbp_forms),
		cmocka_unit_test(jump_buffers),
		cmocka_unit_test(return_address_forms),
		cmocka_unit_test(rsp_forms),
		cmocka_unit_test(instructions_without_effect),
		cmocka_unit_test(rbx),
		cmocka_unit_test(remembered_states),
		cmocka_unit_test(malformed_programs),
		cmocka_unit_test(lazy_binding_stubs),
		cmocka_unit_test(cfa_expressions),
		cmocka_unit_test(indexed_cfa_expressions),
		cmocka_unit_test(expressions_of_no_form),
		cmocka_unit_test(expression_then_register),
		cmocka_unit_test(register_expressions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
