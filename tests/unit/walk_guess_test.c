/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_guess_test.c - what the walker does where no rule is known or a rule alone isn't believed: a leaf's return
 * address at rsp, the first frame-pointer step, inferred rules, 32-bit processes, addresses in a probe's page; and rbx,
 * which it follows from frame to frame.
 */
#include "walk_home.h"

#include <string.h>

enum { FUNCTION_SIZE = 0x400, MODULE = 0, BARE_MODULE = 1 };
static const uint64_t TEXT = 0x400000;
static const uint64_t FIRST = TEXT, SECOND = TEXT + 0x400, NO_RULE = TEXT + 0x800, ROOT = TEXT + 0xc00;
static const uint64_t JIT = 0x600000, PROBES = 0x650000, BARE = 0x660000;
static const uint64_t STACK = 0x70000000, SP = 0x70001000;

static struct walk walk;
static const uint8_t no_call[8] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};

/* Two functions have these rules. */
static void start(struct unwind_rule first, struct unwind_rule second)
{
	uint16_t map[4 * FUNCTION_SIZE];
	uint16_t rules[4] = {0, 0, RULE_NONE, RULE_ROOT};

	home_init();
	memset(&walk, 0, sizeof(walk));
	rules[0] = home_add_rule(first);
	rules[1] = home_add_rule(second);
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		map[i] = rules[i / FUNCTION_SIZE];
	home_add_module(0, map, ARRAY_SIZE(map), false);
	*vector_push(&home.modules) = (struct module_table){.state = MODULE_NO_INFO};
	home_add_mapping(TEXT, ARRAY_SIZE(map), MODULE, 0);
	home_add_mapping(JIT, 0x1000, NO_MODULE, 0);
	home_add_memory(STACK, 0x4000);
	walk.regs[DWARF_RSP] = SP;
}

static void start_plain(void)
{
	start(rule_of_register(DWARF_RSP, 0x20), rule_of_register(DWARF_RSP, 0x40));
}

static void walk_from(uint64_t pc)
{
	walk.pc = pc;
	home_walk(&walk, USER_FRAMES_DEFAULT);
}

static void check_frame(uint32_t index, uint64_t pc, uint64_t flags)
{
	assert_in_range(index, 0, walk.nr_walked - 1);
	assert_int_equal(walk.frames[index], pc - TEXT < 4 * FUNCTION_SIZE ? frame_make_file(MODULE, pc - TEXT, flags)
									   : frame_make(FRAME_RAW, flags, pc));
}

static void check_end(enum stop stop, uint32_t nr_walked)
{
	assert_int_equal(walk.stop, stop);
	assert_int_equal(walk.nr_walked, nr_walked);
	home_deinit();
}

/* ---- rbx ---- */

/* As below lazy binding: a frame whose CFA is rbx-based calls functions that save rbx, or leave it alone. */
static void rbx_is_followed(void **state)
{
	struct unwind_rule saves = rule_of_register(DWARF_RSP, 0x20);

	(void)state;
	saves.rbx_offset = -16;
	start(saves, rule_of_register(DWARF_RBX, 0x18));
	/* Two calls of the function that saves it; the outer one's is the value that the third frame had. */
	walk.regs[DWARF_RBX] = 0xbad;
	home_put(SP + 0x10, 0xbad2);
	home_put(SP + 0x18, FIRST + 5);
	home_put(SP + 0x30, SP + 0x200);
	home_put(SP + 0x38, SECOND + 5);
	home_put(SP + 0x210, ROOT + 1);
	walk_from(FIRST);
	check_frame(2, SECOND + 5, 0);
	check_frame(3, ROOT + 1, 0);
	check_end(STOP_complete, 4);
}

static void rbx_unchanged(void **state)
{
	(void)state;
	start(rule_of_register(DWARF_RSP, 0x20), rule_of_register(DWARF_RBX, 0x18));
	walk.regs[DWARF_RBX] = SP + 0x200;
	home_put(SP + 0x18, SECOND + 5);
	home_put(SP + 0x210, ROOT + 1);
	walk_from(FIRST);
	check_end(STOP_complete, 3);
}

/* Lost, not readable, or behind a frame that was found by frame pointer. */
static void rbx_lost(void **state)
{
	struct unwind_rule rule = rule_of_register(DWARF_RSP, 0x20);

	(void)state;
	for (int i = 0; i < 3; i++) {
		rule.rbx_offset = (int16_t[]){RBX_LOST, 0x7ff8, 3}[i];
		start(rule, rule_of_register(DWARF_RBX, 0x18));
		walk.regs[DWARF_RBX] = SP + 0x200;
		home_put(SP + 0x18, SECOND + 5);
		home_put(SP + 0x210, ROOT + 1);
		walk_from(FIRST);
		check_end(STOP_leaf_register, 2);
	}
	start(rule, rule_of_register(DWARF_RBX, 0x18));
	walk.regs[DWARF_RBX] = SP + 0x200;
	walk.regs[DWARF_RBP] = SP + 0x40;
	home_put(SP + 0x48, SECOND + 5);
	home_put(SP + 0x210, ROOT + 1);
	walk_from(NO_RULE);
	check_end(STOP_leaf_register, 2);
}

/* ---- leaves ---- */

static void leaf_return_address(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		uint64_t leaf = (uint64_t[]){NO_RULE + 7, JIT + 7}[i];

		start_plain();
		/* A frame pointer that would do is not asked. */
		walk.regs[DWARF_RBP] = SP + 0x10;
		home_put(SP, FIRST + 9);
		home_put(SP + 0x18, SECOND + 9);
		home_put(SP + 8 + 0x18, ROOT + 9);
		walk_from(leaf);
		check_frame(0, leaf, FRAME_EXACT);
		check_frame(1, FIRST + 9, FRAME_GUESSED);
		check_frame(2, ROOT + 9, 0);
		assert_int_equal(walk.nr_guessed_frames, 1);
		assert_int_equal(walk.nr_fp_frames, 0);
		check_end(STOP_complete, 3);
	}
}

/* Of a caller, what lies at rsp is an argument or a variable. */
static void only_a_leafs_word_is_taken(void **state)
{
	(void)state;
	start_plain();
	home_put(SP + 0x18, NO_RULE + 1);
	home_put(SP + 0x20, ROOT + 1);
	walk_from(FIRST);
	check_end(STOP_no_unwind_info, 2);
}

static void not_behind_a_call(void **state)
{
	(void)state;
	start_plain();
	home.code = no_call;
	home_put(SP, FIRST + 9);
	walk_from(NO_RULE);
	check_end(STOP_no_unwind_info, 1);
	/* Nor by frame pointer ... */
	start_plain();
	home.code = no_call;
	walk.regs[DWARF_RBP] = SP + 0x10;
	home_put(SP + 0x18, ROOT + 9);
	walk_from(NO_RULE);
	check_end(STOP_no_unwind_info, 1);
}

static void not_in_code_or_misaligned(void **state)
{
	static const uint64_t words[] = {0, 1, TEXT, STACK, ~0ull};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		start_plain();
		home_put(SP, words[i]);
		walk_from(NO_RULE);
		check_end(STOP_no_unwind_info, 1);
	}
	start_plain();
	walk.regs[DWARF_RSP] = SP + 4;
	home_put(SP, (FIRST + 9) << 32);
	walk_from(NO_RULE);
	check_end(STOP_no_unwind_info, 1);
}

/* Encodings by the processor's manual: opcode FF /2 with each form of operand, E8 with a distance. */
static void call_instructions(void **state)
{
	static const struct {
		uint8_t code[8];
		bool is_call;
	} cases[] = {
		{{0x90, 0x90, 0x90, 0xe8, 0, 0, 0, 0}, true},              /* call rel32 */
		{{0x90, 0x90, 0x90, 0xe9, 0, 0, 0, 0}, false},             /* jmp rel32 */
		{{0x90, 0x90, 0xe8, 0x90, 0, 0, 0, 0}, false},             /* one byte off */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0}, true},  /* call *%rax */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd4}, true},  /* call *%r12 */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0}, false}, /* jmp *%rax */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xc0}, false}, /* inc %eax */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x13}, true},  /* call *(%rbx) */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x15}, false}, /* call *x(%rip) wants four bytes more */
		{{0x90, 0x90, 0xff, 0x15, 1, 2, 3, 4}, true},              /* call *x(%rip) */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x14, 0x24}, true},  /* call *(%rsp) */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18}, true},  /* call *0x18(%rax) */
		{{0x90, 0x90, 0x90, 0x90, 0xff, 0x54, 0x24, 0x18}, true},  /* call *0x18(%rsp) */
		{{0x90, 0x90, 0xff, 0x90, 1, 2, 0, 0}, true},              /* call *0x201(%rax) */
		{{0x90, 0xff, 0x94, 0x24, 1, 2, 0, 0}, true},              /* call *0x201(%rsp) */
		{{0x90, 0xff, 0x14, 0xc5, 1, 2, 0, 0}, true},              /* call *0x201(,%rax,8) */
		{{0x90, 0x90, 0x90, 0xff, 0x14, 0xc5, 1, 2}, false},       /* the same, cut */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff}, false},
		{{0, 0, 0, 0, 0, 0, 0, 0}, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start_plain();
		home.code = cases[i].code;
		home_put(SP, ROOT + 9);
		walk_from(NO_RULE);
		if ((walk.stop == STOP_complete) != cases[i].is_call)
			fail_msg("case %zu", i);
		home_deinit();
	}
}

/* ---- inferred rules ---- */

static struct unwind_rule inferred(struct unwind_rule rule)
{
	rule.flags = RULE_INFERRED;
	return rule;
}

static void inferred_rule(void **state)
{
	(void)state;
	start(inferred(rule_saving_rbp(DWARF_RSP, 0x20)), rule_saving_rbp(DWARF_RBP, 16));
	home_put(SP + 0x10, SP + 0x100);
	home_put(SP + 0x18, SECOND + 9);
	home_put(SP + 0x108, ROOT + 9);
	walk_from(FIRST);
	check_frame(1, SECOND + 9, FRAME_GUESSED);
	check_frame(2, ROOT + 9, 0);
	assert_int_equal(walk.nr_guessed_frames, 1);
	check_end(STOP_complete, 3);
}

/* What such a rule says isn't believed without a call: then it is as if there were none, rbx and rbp included. */
static void inferred_rule_without_evidence(void **state)
{
	static const uint64_t returns[] = {0, 8, STACK};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(returns); i++) {
		struct unwind_rule rule = inferred(rule_saving_rbp(DWARF_RSP, 0x20));

		rule.rbx_offset = -24;
		start(rule, rule_of_register(DWARF_RBX, 0x18));
		home_put(SP, SECOND + 9);
		home_put(SP + 8, 0xbad);
		home_put(SP + 0x18, returns[i]);
		walk.regs[DWARF_RBX] = SP + 0x200;
		home_put(SP + 0x210, ROOT + 1);
		walk_from(FIRST);
		check_frame(1, SECOND + 9, FRAME_GUESSED);
		check_end(STOP_complete, 3);
	}
	start(inferred(rule_of_register(DWARF_RSP, 0x20)), rule_of_register(DWARF_RSP, 8));
	walk_from(FIRST);
	check_end(STOP_no_unwind_info, 1);
	/* A CFA that isn't above the frame is no reason to say that the stack is corrupt. */
	start(inferred(rule_of_register(DWARF_RSP, -0x20)), rule_of_register(DWARF_RSP, 8));
	walk_from(FIRST);
	check_end(STOP_no_unwind_info, 1);
}

/* ---- subroutines within the code of one rule ---- */

/* The function of the first rule is called with one word more on the stack than the rule knows of. */
static void start_subroutine(uint64_t where_the_rule_looks, uint64_t on_top)
{
	start_plain();
	home_put(SP, on_top);
	home_put(SP + 0x18, where_the_rule_looks);
	home_put(SP + 8 + 0x18, ROOT + 9);
}

static void subroutine_of_the_same_rule(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start_subroutine((uint64_t[]){0, 0x1234}[i], FIRST + 0x109);
		walk_from(FIRST + 7);
		check_frame(1, FIRST + 0x109, FRAME_GUESSED);
		check_frame(2, ROOT + 9, 0);
		assert_int_equal(walk.nr_guessed_frames, 1);
		check_end(STOP_complete, 3);
	}
}

static void no_subroutine(void **state)
{
	(void)state;
	/* The word on top is of other code. */
	start_subroutine(0, SECOND + 9);
	walk_from(FIRST + 7);
	check_end(STOP_ended, 1);
	/* It is behind no call. */
	start_subroutine(0, FIRST + 0x109);
	home.code = no_call;
	walk_from(FIRST + 7);
	check_end(STOP_ended, 1);
	/* The rule is right. */
	start_subroutine(ROOT + 9, FIRST + 0x109);
	walk_from(FIRST + 7);
	check_end(STOP_complete, 2);
	/* Of a caller, the word on top is something else. */
	start_subroutine(FIRST + 9, 0);
	home_put(SP + 0x20, FIRST + 0x109);
	home_put(SP + 0x20 + 0x18, 0);
	walk_from(FIRST + 7);
	check_end(STOP_ended, 2);
}

/* ---- the first frame pointer of code without a table ---- */

/* A frame at SP + 0x20, whose return address is behind no call, and whose caller has rbp and this return address. */
static void start_links(uint64_t caller_rbp, uint64_t next_pc)
{
	start_plain();
	home.code = no_call;
	walk.regs[DWARF_RBP] = SP + 0x20;
	home_put(SP + 0x20, caller_rbp);
	home_put(SP + 0x28, JIT + 0x109);
	home_put(SP + 0x58, next_pc);
}

/* As in an interpreter, which pushes its return addresses; also where its code is in a file that isn't ELF. */
static void two_links_are_believed(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start_links(SP + 0x50, ROOT + 9);
		home_add_mapping(BARE, 0x1000, BARE_MODULE, 0);
		walk_from((i ? BARE : JIT) + 7);
		check_frame(1, JIT + 0x109, FRAME_BY_FP);
		check_frame(2, ROOT + 9, FRAME_BY_FP);
		assert_int_equal(walk.nr_fp_frames, 2);
		check_end(STOP_complete, 3);
	}
}

static void one_link_is_not_believed(void **state)
{
	const struct {
		uint64_t caller_rbp, next_pc;
	} broken[] = {
		{0, ROOT + 9},                     /* no second link */
		{SP + 0x52, ROOT + 9},             /* not aligned */
		{SP + 0x10, ROOT + 9},             /* below */
		{SP + 0x20, ROOT + 9},             /* itself */
		{SP + 0x20 + (2 << 20), ROOT + 9}, /* too far above */
		{SP + 0x50, 0},                    /* its return address in no code */
		{SP + 0x50, SP},
		{STACK + 0x4000 - 8, ROOT + 9}, /* not readable */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		start_links(broken[i].caller_rbp, broken[i].next_pc);
		walk_from(JIT + 7);
		check_end(STOP_no_unwind_info, 1);
	}
}

/* Of a file that has a table, code without a rule may use rbp for anything. */
static void links_of_a_files_code(void **state)
{
	(void)state;
	start_links(SP + 0x50, ROOT + 9);
	walk_from(NO_RULE + 7);
	check_end(STOP_no_unwind_info, 1);
}

/* ---- 32-bit processes ---- */

static void put32(uint64_t address, uint32_t value)
{
	for (size_t i = 0; i < home.regions.nr; i++)
		if (address - home.regions.data[i].start < home.regions.data[i].size)
			memcpy(home.regions.data[i].bytes + (address - home.regions.data[i].start), &value, 4);
}

static void frame_pointers_of_32_bits(void **state)
{
	(void)state;
	start_plain();
	walk.is_32bit = 1;
	walk.regs[DWARF_RBP] = SP + 0x14;
	put32(SP + 0x14, (uint32_t)SP + 0x24);
	put32(SP + 0x18, (uint32_t)FIRST + 9);
	put32(SP + 0x24, 0);
	put32(SP + 0x28, (uint32_t)ROOT + 9);
	walk_from(SECOND);
	check_frame(0, SECOND, FRAME_EXACT);
	check_frame(1, FIRST + 9, FRAME_BY_FP);
	check_frame(2, ROOT + 9, FRAME_BY_FP);
	/* The rules are those of 64-bit code: neither root nor anything else is taken from them. */
	check_end(STOP_ended, 3);
}

static void leaf_of_32_bits(void **state)
{
	(void)state;
	start_plain();
	walk.is_32bit = 1;
	walk.regs[DWARF_RSP] = SP + 4;
	put32(SP + 4, (uint32_t)FIRST + 9);
	walk_from(SECOND);
	check_frame(1, FIRST + 9, FRAME_GUESSED);
	check_end(STOP_not_64bit, 2);
}

/* ---- probes ---- */

static void probed_return(void **state)
{
	(void)state;
	start_plain();
	home.probed_pc = PROBES;
	home.probed_rsp = SP + 0x20;
	home.real_pc = SECOND + 9;
	home_put(SP + 0x18, PROBES);
	home_put(SP + 0x20 + 0x38, ROOT + 9);
	walk_from(FIRST);
	check_frame(1, SECOND + 9, 0);
	assert_false(walk.has_raw);
	check_end(STOP_complete, 3);
}

/* The page may be known as a mapping without a file, and pc may be in it. */
static void stepping_over_a_probe(void **state)
{
	(void)state;
	start_plain();
	home.probed_pc = JIT + 0x80;
	home.probed_rsp = SP;
	home.real_pc = FIRST;
	home_put(SP + 0x18, ROOT + 9);
	walk_from(JIT + 0x80);
	check_frame(0, FIRST, FRAME_EXACT);
	assert_false(walk.has_raw);
	check_end(STOP_complete, 2);
}

static void unknown_probe(void **state)
{
	(void)state;
	start_plain();
	home_put(SP + 0x18, PROBES);
	walk_from(FIRST);
	check_end(STOP_no_mapping, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rbx_is_followed),
		cmocka_unit_test(rbx_unchanged),
		cmocka_unit_test(rbx_lost),
		cmocka_unit_test(leaf_return_address),
		cmocka_unit_test(only_a_leafs_word_is_taken),
		cmocka_unit_test(not_behind_a_call),
		cmocka_unit_test(not_in_code_or_misaligned),
		cmocka_unit_test(call_instructions),
		cmocka_unit_test(inferred_rule),
		cmocka_unit_test(inferred_rule_without_evidence),
		cmocka_unit_test(subroutine_of_the_same_rule),
		cmocka_unit_test(no_subroutine),
		cmocka_unit_test(two_links_are_believed),
		cmocka_unit_test(one_link_is_not_believed),
		cmocka_unit_test(links_of_a_files_code),
		cmocka_unit_test(frame_pointers_of_32_bits),
		cmocka_unit_test(leaf_of_32_bits),
		cmocka_unit_test(probed_return),
		cmocka_unit_test(stepping_over_a_probe),
		cmocka_unit_test(unknown_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
