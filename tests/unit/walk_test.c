/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_test.c - each kind of rule: where is the caller's frame, and what are its pc and its rbp?
 *
 * What a walk should find is written out.
 */
#include "walk_scene.h"

static void rsp_rule(void **state)
{
	(void)state;
	uint64_t leaf = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t middle = add_function(rule_of_register(DWARF_RSP, 0x28));
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	home_put(SP, middle + 7);
	home_put(SP + 8 + 0x20, root + 9);
	walk_from(leaf);
	EXPECT(STOP_complete, {leaf, FRAME_EXACT}, {middle + 7, 0}, {root + 9, 0});
	assert_int_equal(scene.walk.nr_fp_frames, 0);
}

static void rbp_rule(void **state)
{
	(void)state;
	uint64_t leaf = add_function(rule_saving_rbp(DWARF_RBP, 16));
	uint64_t keeps = add_function(rule_of_register(DWARF_RSP, 0x48));
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	/* The leaf's variables end at SP + 0x40; twice, so that the saved rbp matters. */
	scene.walk.regs[DWARF_RBP] = SP + 0x40;
	home_put(SP + 0x40, SP + 0x2000);
	home_put(SP + 0x48, keeps + 3);
	home_put(SP + 0x50 + 0x40, leaf + 0x20);
	home_put(SP + 0x2000, 0xbad);
	home_put(SP + 0x2008, root + 1);
	walk_from(leaf + 0x10);
	EXPECT(STOP_complete, {leaf + 0x10, FRAME_EXACT}, {keeps + 3, 0}, {leaf + 0x20, 0}, {root + 1, 0});
}

/* An undefined rbp is 0 in the caller; an rbp that is another register's value comes from the leaf's. */
static void rbp_of_the_caller(void **state)
{
	(void)state;
	struct unwind_rule undefined = rule_of_register(DWARF_RSP, 8);
	struct unwind_rule in_rbx = rule_of_register(DWARF_RSP, 8);
	struct unwind_rule at_rbx = rule_of_register(DWARF_RSP, 8);

	undefined.rbp = VALUE_UNDEFINED;
	in_rbx.rbp = VALUE_REGISTER;
	in_rbx.rbp_reg = DWARF_RBX;
	in_rbx.rbp_offset = -8;
	at_rbx.rbp = VALUE_AT_REGISTER;
	at_rbx.rbp_reg = DWARF_RBX;
	at_rbx.rbp_offset = 24;
	uint64_t leaves[] = {add_function(undefined), add_function(in_rbx), add_function(at_rbx)};
	const uint64_t rbps[] = {0, SP + 0x1000 - 8, 0x1234};
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	home_put(SP, root + 1);
	home_put(SP + 0x1000 + 24, 0x1234);
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		scene.walk.regs[DWARF_RSP] = SP;
		scene.walk.regs[DWARF_RBP] = 0x9999;
		scene.walk.regs[DWARF_RBX] = SP + 0x1000;
		walk_from(leaves[i]);
		EXPECT(STOP_complete, {leaves[i], FRAME_EXACT}, {root + 1, 0});
		assert_int_equal(scene.walk.regs[DWARF_RBP], rbps[i]);
		assert_int_equal(scene.walk.regs[DWARF_RSP], SP + 8);
	}
}

/*
 * A call that never returns may be its function's last instruction: its return address is the next function's first
 * byte. A leaf there is in the next function.
 */
static void return_address_belongs_to_its_call(void **state)
{
	(void)state;
	uint64_t leaf = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t caller = add_function(rule_of_register(DWARF_RSP, 0x18));
	uint64_t next = add_function(rule_of_register(DWARF_RSP, 0x30));
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	home_put(SP, next); /* the end of `caller` */
	home_put(SP + 8 + 0x10, root + 1);
	walk_from(leaf);
	EXPECT(STOP_complete, {leaf, FRAME_EXACT}, {next, 0}, {root + 1, 0});
	assert_int_equal(next, caller + FUNCTION_SIZE);

	scene.walk.regs[DWARF_RSP] = SP;
	home_put(SP + 0x28, root + 2);
	walk_from(next);
	EXPECT(STOP_complete, {next, FRAME_EXACT}, {root + 2, 0});
}

static void lazy_binding_stub(void **state)
{
	(void)state;
	struct unwind_rule rule = {.cfa = CFA_PLT, .cfa_offset = 11, .ra = VALUE_AT_CFA, .ra_offset = -8};
	uint64_t stubs = add_function(rule);
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	for (uint64_t at = 0; at < 48; at++) {
		bool pushed = at % 16 >= 11;

		scene.walk.regs[DWARF_RSP] = SP;
		home_put(SP, pushed ? 0xbad : root + 1);
		home_put(SP + 8, pushed ? root + 1 : 0xbad);
		walk_from(stubs + at);
		EXPECT(STOP_complete, {stubs + at, FRAME_EXACT}, {root + 1, 0});
		assert_int_equal(scene.walk.regs[DWARF_RSP], SP + (pushed ? 16 : 8));
	}
}

/* A realigned stack: the CFA is kept in the frame, at rbp - 8; the caller's rbp is where rbp points. */
static void realigned_frame(void **state)
{
	(void)state;
	struct unwind_rule rule = {
		.cfa = CFA_MEMORY,
		.cfa_reg = DWARF_RBP,
		.cfa_offset = -8,
		.ra = VALUE_AT_CFA,
		.ra_offset = -8,
		.rbp = VALUE_AT_REGISTER,
		.rbp_reg = DWARF_RBP,
	};
	struct unwind_rule added = rule;

	added.cfa_add = 16;
	uint64_t leaves[] = {add_function(rule), add_function(added)};
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		uint64_t cfa = SP + 0x200;

		scene.walk.regs[DWARF_RSP] = SP;
		scene.walk.regs[DWARF_RBP] = SP + 0x100;
		home_put(SP + 0x100 - 8, cfa - (i ? 16 : 0));
		home_put(SP + 0x100, 0x4321);
		home_put(cfa - 8, root + 1);
		walk_from(leaves[i]);
		EXPECT(STOP_complete, {leaves[i], FRAME_EXACT}, {root + 1, 0});
		assert_int_equal(scene.walk.regs[DWARF_RSP], cfa);
		assert_int_equal(scene.walk.regs[DWARF_RBP], 0x4321);
	}
}

/* Only the leaf's registers are known: a rule that wants rcx works there and nowhere else. */
static void return_address_in_a_register(void **state)
{
	(void)state;
	struct unwind_rule rule = rule_of_register(DWARF_RSP, 8);

	rule.ra = VALUE_REGISTER;
	rule.ra_reg = DWARF_RCX;
	rule.ra_offset = 2;
	uint64_t odd = add_function(rule);
	uint64_t plain = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	scene.walk.regs[DWARF_RCX] = root + 3;
	walk_from(odd);
	EXPECT(STOP_complete, {odd, FRAME_EXACT}, {root + 5, 0});

	scene.walk.regs[DWARF_RSP] = SP;
	home_put(SP, odd + 1);
	walk_from(plain);
	EXPECT(STOP_complete, {plain, FRAME_EXACT}, {odd + 1, 0}, {root + 5, FRAME_GUESSED});

	scene.walk.regs[DWARF_RSP] = SP;
	home_put(SP, plain + 1);
	home_put(SP + 8, odd + 1);
	walk_from(plain);
	EXPECT(STOP_leaf_register, {plain, FRAME_EXACT}, {plain + 1, 0}, {odd + 1, 0});
}

static void cfa_from_any_register_of_the_leaf(void **state)
{
	(void)state;
	uint64_t odd = add_function(rule_of_register(DWARF_R10, 16));
	uint64_t plain = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	scene.walk.regs[DWARF_R10] = SP + 0x80;
	home_put(SP + 0x88, root + 1);
	walk_from(odd);
	EXPECT(STOP_complete, {odd, FRAME_EXACT}, {root + 1, 0});

	scene.walk.regs[DWARF_RSP] = SP;
	home_put(SP, odd + 1);
	walk_from(plain);
	EXPECT(STOP_complete, {plain, FRAME_EXACT}, {odd + 1, 0}, {root + 1, FRAME_GUESSED});

	/* The leaf has used the register for something else: nothing there confirms a frame. */
	scene.walk.regs[DWARF_R10] = SP + 0x40;
	scene.walk.regs[DWARF_RSP] = SP;
	walk_from(plain);
	EXPECT(STOP_leaf_register, {plain, FRAME_EXACT}, {odd + 1, 0});

	scene.walk.regs[DWARF_R10] = SP + 0x80;
	scene.walk.regs[DWARF_RSP] = SP;
	home_put(SP, plain + 1);
	home_put(SP + 8, odd + 1);
	walk_from(plain);
	EXPECT(STOP_leaf_register, {plain, FRAME_EXACT}, {plain + 1, 0}, {odd + 1, 0});
}

/* The caller's rsp was stored behind an array, whose size is in r9. */
static void cfa_behind_an_array(void **state)
{
	(void)state;
	struct unwind_rule rule = rule_of_register(DWARF_R9, 8);

	rule.cfa = CFA_INDEXED;
	rule.cfa_add = 8;
	uint64_t leaf = add_function(rule);
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	scene.walk.regs[DWARF_RSP] = SP;
	scene.walk.regs[DWARF_R9] = 16;
	home_put(SP + 8 * 16 + 8, SP + 0x400);
	home_put(SP + 0x400, root + 1);
	walk_from(leaf);
	EXPECT(STOP_complete, {leaf, FRAME_EXACT}, {root + 1, 0});
	assert_int_equal(scene.walk.regs[DWARF_RSP], SP + 0x408);
}

/* In a realigned frame's epilogue the rule still says that rbp is saved where rbp points, but it has been popped. */
static void popped_rbp_of_a_realigned_frame(void **state)
{
	(void)state;
	struct unwind_rule rule = rule_of_register(DWARF_R10, 0);
	static const uint64_t callers[] = {0, 0x1235, SP - 8, SP + 0x200, SP + 0x1000, ~0ull};

	rule.rbp = VALUE_AT_REGISTER;
	rule.rbp_reg = DWARF_RBP;
	uint64_t leaf = add_function(rule);
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	scene.walk.regs[DWARF_R10] = SP + 0x200;
	home_put(SP + 0x1f8, root + 1);
	for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
		scene.walk.regs[DWARF_RSP] = SP;
		scene.walk.regs[DWARF_RBP] = callers[i];
		walk_from(leaf);
		EXPECT(STOP_complete, {leaf, FRAME_EXACT}, {root + 1, 0});
		assert_int_equal(scene.walk.regs[DWARF_RBP], callers[i]);
	}
	/* Before: at both ends of the frame. */
	for (uint64_t at = SP; at < SP + 0x200; at += 0x1f0) {
		scene.walk.regs[DWARF_RSP] = SP;
		scene.walk.regs[DWARF_RBP] = at;
		home_put(at, 0x4321);
		walk_from(leaf);
		EXPECT(STOP_complete, {leaf, FRAME_EXACT}, {root + 1, 0});
		assert_int_equal(scene.walk.regs[DWARF_RBP], 0x4321);
	}
}

static void return_address_beside_another_register(void **state)
{
	(void)state;
	struct unwind_rule rule = rule_of_register(DWARF_RSP, 8);

	rule.ra = VALUE_AT_REGISTER;
	rule.ra_reg = DWARF_RBP;
	rule.ra_offset = 0x18;
	uint64_t leaf = add_function(rule);
	uint64_t root = add_function_of(RULE_ROOT);

	finish_text();
	scene.walk.regs[DWARF_RBP] = SP + 0x300;
	home_put(SP + 0x318, root + 1);
	walk_from(leaf);
	EXPECT(STOP_complete, {leaf, FRAME_EXACT}, {root + 1, 0});

	/* A word that is not aligned is not read. */
	scene.walk.regs[DWARF_RSP] = SP;
	scene.walk.regs[DWARF_RBP] = SP + 0x301;
	walk_from(leaf);
	EXPECT(STOP_bad_frame, {leaf, FRAME_EXACT});
}

int main(void)
{
	const struct CMUnitTest rules[] = {
		SCENE(rsp_rule),
		SCENE(rbp_rule),
		SCENE(rbp_of_the_caller),
		SCENE(return_address_belongs_to_its_call),
		SCENE(lazy_binding_stub),
		SCENE(realigned_frame),
		SCENE(return_address_in_a_register),
		SCENE(cfa_from_any_register_of_the_leaf),
		SCENE(popped_rbp_of_a_realigned_frame),
		SCENE(cfa_behind_an_array),
		SCENE(return_address_beside_another_register),
	};

	return cmocka_run_group_tests(rules, NULL, NULL);
}
