/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_stack_test.c - what the walker reads of the stack, and how it goes on where there are no rules.
 *
 * The file has four functions: one with an rsp rule, one that saves rbp, one without any rule, and a root; besides
 * there is code that belongs to no file, as a JIT compiler makes it.
 */
#include "walk_home.h"

#include <string.h>

enum { FUNCTION_SIZE = 0x400, FRAME_SIZE = 0x20, FILE_MODULE = 0, BARE_MODULE = 1 };
static const uint64_t TEXT = 0x400000;
static const uint64_t RSP_RULE = TEXT, SAVES_RBP = TEXT + 0x400, NO_RULE = TEXT + 0x800, ROOT = TEXT + 0xc00;
static const uint64_t BARE_TEXT = 0x500000; /* a file without a table */
static const uint64_t JIT = 0x600000;
static const uint64_t DATA = 0x700000; /* mapped, not as code */
static const uint64_t STACK = 0x7fffff000000, STACK_SIZE = 0x8000;

static struct walk walk;

static int start_stack(void **state)
{
	uint16_t map[4 * FUNCTION_SIZE];
	uint16_t rules[4] = {0, 0, RULE_NONE, RULE_ROOT};

	(void)state;
	home_init();
	memset(&walk, 0, sizeof(walk));
	rules[0] = home_add_rule(rule_of_register(DWARF_RSP, FRAME_SIZE));
	rules[1] = home_add_rule(rule_saving_rbp(DWARF_RSP, FRAME_SIZE));
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		map[i] = rules[i / FUNCTION_SIZE];
	home_add_module(0, map, sizeof(map) / sizeof(map[0]), false);
	*vector_push(&home.modules) = (struct module_table){.state = MODULE_NO_INFO};
	home_add_mapping(TEXT, sizeof(map) / sizeof(map[0]), FILE_MODULE, 0);
	home_add_mapping(BARE_TEXT, 0x1000, BARE_MODULE, 0x3000);
	home_add_mapping(JIT, 0x1000, NO_MODULE, 0);
	home_add_memory(DATA, 0x1000);
	home_add_memory(STACK, STACK_SIZE);
	return 0;
}

static int end_stack(void **state)
{
	(void)state;
	home_deinit();
	return 0;
}

static void walk_from(uint64_t pc, uint64_t rsp, uint64_t rbp)
{
	home.nr_reads = 0;
	home.largest_read = 0;
	walk.pc = pc;
	walk.regs[DWARF_RSP] = rsp;
	walk.regs[DWARF_RBP] = rbp;
	home_walk(&walk, USER_FRAMES_DEFAULT);
}

static void check_end(enum stop stop, uint32_t module, uint32_t nr_walked, uint32_t nr_fp_frames)
{
	assert_int_equal(walk.stop, stop);
	assert_int_equal(walk.record.end_frame, stop > STOP_absent ? frame_make_stop(stop, module) : 0);
	assert_int_equal(walk.nr_walked, nr_walked);
	assert_int_equal(walk.nr_fp_frames, nr_fp_frames);
}

static uint64_t file_frame(uint64_t pc, uint64_t flags)
{
	return frame_make_file(FILE_MODULE, pc - TEXT, flags);
}

/* ---- reading ---- */

/* Puts nr frames of RSP_RULE and then the root; the leaf's rsp is given. */
static void put_chain(uint64_t rsp, uint32_t nr)
{
	for (uint32_t i = 1; i <= nr; i++)
		home_put(rsp + i * FRAME_SIZE - 8, i < nr ? RSP_RULE + i : ROOT + 1);
}

static void check_chain(uint32_t nr)
{
	check_end(STOP_complete, 0, nr + 1, 0);
	assert_int_equal(walk.frames[0], file_frame(RSP_RULE, FRAME_EXACT));
	for (uint32_t i = 1; i < nr; i++)
		assert_int_equal(walk.frames[i], file_frame(RSP_RULE + i, 0));
	assert_int_equal(walk.frames[nr], file_frame(ROOT + 1, 0));
}

/* Wherever in its page a stack begins, the first and last words of a page included. */
static void every_place_in_a_page(void **state)
{
	const uint32_t nr = 200; /* 6,400 bytes: two page boundaries */

	(void)state;
	for (uint64_t rsp = STACK; rsp <= STACK + WALK_PAGE; rsp += 8) {
		put_chain(rsp, nr);
		walk_from(RSP_RULE, rsp, 0);
		check_chain(nr);
		/* A read brings 1 KiB; boundaries and the look-back cost a few. */
		assert_in_range(home.nr_reads, 1, 10);
	}
}

/* The stack's last page has nothing behind it, its first nothing before. */
static void at_the_ends_of_memory(void **state)
{
	(void)state;
	for (uint32_t nr = 1; nr < 40; nr++) {
		put_chain(STACK + STACK_SIZE - nr * FRAME_SIZE, nr);
		walk_from(RSP_RULE, STACK + STACK_SIZE - nr * FRAME_SIZE, 0);
		check_chain(nr);
	}
	home_put(STACK, ROOT + 1);
	walk_from(RSP_RULE, STACK + 8 - FRAME_SIZE, 0);
	check_end(STOP_complete, 0, 2, 0);
	/* The word behind the end. */
	walk_from(RSP_RULE, STACK + STACK_SIZE + 8 - FRAME_SIZE, 0);
	check_end(STOP_unreadable, FILE_MODULE, 1, 0);
}

static void small_stack_is_one_read(void **state)
{
	(void)state;
	put_chain(STACK + 0x1100, 20);
	walk_from(RSP_RULE, STACK + 0x1100, 0);
	check_chain(20);
	assert_int_equal(home.nr_reads, 1);
	assert_int_equal(home.largest_read, WALK_WINDOW);
}

/* What was read for one walk means nothing in the next. */
static void nothing_is_kept_between_walks(void **state)
{
	(void)state;
	put_chain(STACK + 0x1100, 3);
	walk_from(RSP_RULE, STACK + 0x1100, 0);
	check_chain(3);
	put_chain(STACK + 0x1100, 5);
	home.modules.data[FILE_MODULE].state = MODULE_READY;
	walk_from(RSP_RULE, STACK + 0x1100, 0);
	check_chain(5);
	home.modules.data[FILE_MODULE].state = MODULE_PENDING;
	walk_from(RSP_RULE, STACK + 0x1100, 0);
	check_end(STOP_no_file_table, FILE_MODULE, 1, 0);
}

/* Frames that are far apart, so that each value is a read of its own, of which one after the other fails. */
static void each_read_refused(void **state)
{
	struct unwind_rule memory = {
		.cfa = CFA_MEMORY,
		.cfa_reg = DWARF_RBP,
		.cfa_offset = -0x808,
		.ra = VALUE_AT_CFA,
		.ra_offset = -8,
		.rbp = VALUE_AT_REGISTER,
		.rbp_reg = DWARF_RBP,
	};
	/* Reads before each frame: cfa, return address and rbp of the leaf, then two steps by frame pointer. */
	static const uint32_t nr_frames[] = {1, 1, 1, 2, 3};
	const uint64_t rbps[] = {STACK + 0x1808, STACK + 0x4ff0, STACK + 0x6000};

	(void)state;
	home.rules.data[RULE_FIRST_FREE] = memory;
	home_put(rbps[0] - 0x808, STACK + 0x4000);
	home_put(STACK + 0x4000 - 8, NO_RULE + 1);
	home_put(rbps[0], rbps[1]);
	home_put(rbps[1], rbps[2]);
	home_put(rbps[1] + 8, NO_RULE + 2);
	home_put(rbps[2], 0);
	home_put(rbps[2] + 8, ROOT + 1);
	walk_from(RSP_RULE, STACK, rbps[0]);
	check_end(STOP_complete, 0, 4, 2);
	int64_t nr_reads = home.nr_reads;

	assert_int_equal(nr_reads, ARRAY_SIZE(nr_frames));
	for (int64_t i = 0; i < nr_reads; i++) {
		home.refused_read = i;
		walk_from(RSP_RULE, STACK, rbps[0]);
		check_end(i < 3 ? STOP_unreadable : STOP_no_unwind_info, FILE_MODULE, nr_frames[i],
			  nr_frames[i] > 2 ? 1 : 0);
		assert_int_equal(home.nr_reads, i + 1);
	}
	home.refused_read = HOME_NEVER;
}

/* A page in the middle that is not in memory; what lies before it was read. */
static void missing_page(void **state)
{
	(void)state;
	put_chain(STACK + 0x1000, 300);
	for (uint64_t page = 0; page < STACK_SIZE / WALK_PAGE; page++) {
		home.refused_page = STACK + page * WALK_PAGE;
		walk_from(RSP_RULE, STACK + 0x1000, 0);
		if (page < 1 || page > 3)
			check_chain(300);
		else
			check_end(STOP_unreadable, FILE_MODULE, 1 + (uint32_t)(page - 1) * WALK_PAGE / FRAME_SIZE, 0);
	}
}

/* Addresses at which nothing can be read, sums that wrap included. */
static void wild_addresses(void **state)
{
	const uint64_t wild[] = {0,
				 8,
				 56,
				 64,
				 0x1000 - 8,
				 HOME_ADDRESS_END - 8,
				 HOME_ADDRESS_END,
				 1ull << 63,
				 (uint64_t)-64,
				 (uint64_t)-8,
				 (uint64_t)-0x1000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		uint64_t rsp = wild[i] + 8 - FRAME_SIZE;

		walk_from(RSP_RULE, rsp, 0);
		/* A CFA that wrapped is not above. */
		enum stop stop = rsp + FRAME_SIZE > rsp ? STOP_unreadable : STOP_bad_frame;

		check_end(stop, FILE_MODULE, 1, 0);
		walk_from(NO_RULE, wild[i], wild[i]);
		check_end(STOP_no_unwind_info, FILE_MODULE, 1, 0);
	}
}

/* ---- frame pointers ---- */

static void put_fp_frame(uint64_t rbp, uint64_t caller_rbp, uint64_t return_pc)
{
	home_put(rbp, caller_rbp);
	home_put(rbp + 8, return_pc);
}

/* Code without rules, a file without a table and code without a file, then code with rules again. */
static void frame_pointer_chain(void **state)
{
	const uint64_t rsp = STACK + 0x1000;

	(void)state;
	put_fp_frame(rsp, rsp + 0x100, BARE_TEXT + 5); /* the leaf's rbp may be its rsp */
	put_fp_frame(rsp + 0x100, rsp + 0x1800, JIT + 6);
	put_fp_frame(rsp + 0x1800, rsp + 0x1900, SAVES_RBP + 7);
	home_put(rsp + 0x1810 + FRAME_SIZE - 16, rsp + 0x2000);
	home_put(rsp + 0x1810 + FRAME_SIZE - 8, NO_RULE + 8);
	put_fp_frame(rsp + 0x2000, 0, ROOT + 9);
	walk_from(NO_RULE + 4, rsp, rsp);
	check_end(STOP_complete, 0, 6, 4);
	assert_int_equal(walk.frames[0], file_frame(NO_RULE + 4, FRAME_EXACT));
	assert_int_equal(walk.frames[1], frame_make_file(BARE_MODULE, 0x3005, FRAME_BY_FP));
	assert_int_equal(walk.frames[2], frame_make(FRAME_RAW, FRAME_BY_FP, JIT + 6));
	assert_int_equal(walk.frames[3], file_frame(SAVES_RBP + 7, FRAME_BY_FP));
	assert_int_equal(walk.frames[4], file_frame(NO_RULE + 8, 0));
	assert_int_equal(walk.frames[5], file_frame(ROOT + 9, FRAME_BY_FP));
	assert_true(walk.has_raw);
	assert_int_equal(walk.overflow, 0); /* it is not for want of room that JIT code is raw */
}

static void frame_pointer_ends(void **state)
{
	const uint64_t rsp = STACK + 0x1000;

	(void)state;
	/* Where no chain led to it, a 0 in rbp is no end. */
	walk_from(NO_RULE, rsp, 0);
	check_end(STOP_no_unwind_info, FILE_MODULE, 1, 0);
	assert_int_equal(home.nr_reads, 1); /* the word at rsp */
	/* The chain's last rbp is 0; so is the one of code with rules that said rbp is undefined. */
	put_fp_frame(rsp + 0x40, 0, NO_RULE + 3);
	walk_from(NO_RULE, rsp, rsp + 0x40);
	check_end(STOP_ended, FILE_MODULE, 2, 1);
	assert_int_equal(walk.frames[1], file_frame(NO_RULE + 3, FRAME_BY_FP));
}

static void frame_pointer_to_a_null_return_address(void **state)
{
	const uint64_t rsp = STACK + 0x1000;

	(void)state;
	put_fp_frame(rsp + 0x40, rsp + 0x80, 0);
	walk_from(NO_RULE, rsp, rsp + 0x40);
	/* No chain led there, so it is no end; and no frame was found by it. */
	check_end(STOP_no_unwind_info, FILE_MODULE, 1, 0);
}

/* rbp holds whatever the code put there: each of these is no frame. */
static void garbage_frame_pointer(void **state)
{
	const uint64_t rsp = STACK + 0x1000;
	const uint64_t garbage[] = {
		1, 0x1234567, rsp - 24, rsp + 4, rsp + WALK_FP_FRAME_MAX, STACK + STACK_SIZE, STACK - 0x1000, ~7ull,
	};

	(void)state;
	home_add_memory(STACK + WALK_FP_FRAME_MAX, 0x3000);
	put_fp_frame(rsp - 24, rsp + 0x100, ROOT + 1);
	put_fp_frame(rsp + WALK_FP_FRAME_MAX, 0, ROOT + 1);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		walk_from(NO_RULE, rsp, garbage[i]);
		check_end(STOP_no_unwind_info, FILE_MODULE, 1, 0);
		walk_from(BARE_TEXT, rsp, garbage[i]);
		check_end(STOP_no_unwind_info, BARE_MODULE, 1, 0);
		walk_from(JIT, rsp, garbage[i]);
		check_end(STOP_no_unwind_info, NO_MODULE, 1, 0);
	}
	/* The longest step that is believed. */
	put_fp_frame(rsp + WALK_FP_FRAME_MAX - 8, 0, ROOT + 1);
	walk_from(NO_RULE, rsp, rsp + WALK_FP_FRAME_MAX - 8);
	check_end(STOP_complete, 0, 2, 1);
}

/* A return address is believed only in code: its call is the byte before, so a mapping's start is not, its end is. */
static void frame_pointer_into_other_memory(void **state)
{
	const uint64_t rsp = STACK + 0x1000;
	const uint64_t end = ROOT + FUNCTION_SIZE;
	const uint64_t others[] = {DATA + 8, TEXT, end + 1, rsp, 1, ~0ull, 0xffffffff81000000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		put_fp_frame(rsp + 0x40, rsp + 0x80, others[i]);
		walk_from(NO_RULE, rsp, rsp + 0x40);
		check_end(STOP_no_unwind_info, FILE_MODULE, 1, 0);
		walk_from(JIT, rsp, rsp + 0x40);
		check_end(STOP_no_unwind_info, NO_MODULE, 1, 0);
	}
	put_fp_frame(rsp + 0x40, rsp + 0x80, end);
	walk_from(JIT, rsp, rsp + 0x40);
	check_end(STOP_complete, 0, 2, 1);
	assert_int_equal(walk.frames[1], file_frame(end, FRAME_BY_FP));
}

/* rbp may not point back: a chain that closes on itself ends. */
static void frame_pointer_circle(void **state)
{
	const uint64_t rsp = STACK + 0x1000;

	(void)state;
	put_fp_frame(rsp + 0x40, rsp + 0x80, NO_RULE + 1);
	put_fp_frame(rsp + 0x80, rsp + 0x40, NO_RULE + 2);
	walk_from(NO_RULE, rsp, rsp + 0x40);
	check_end(STOP_no_unwind_info, FILE_MODULE, 3, 2);
	/* Onto itself as well. */
	put_fp_frame(rsp + 0x40, rsp + 0x40, NO_RULE + 1);
	walk_from(NO_RULE, rsp, rsp + 0x40);
	check_end(STOP_no_unwind_info, FILE_MODULE, 2, 1);
}

int main(void)
{
#define STACK_TEST(name) cmocka_unit_test_setup_teardown(name, start_stack, end_stack)
	const struct CMUnitTest reading[] = {
		STACK_TEST(every_place_in_a_page),   STACK_TEST(at_the_ends_of_memory),
		STACK_TEST(small_stack_is_one_read), STACK_TEST(nothing_is_kept_between_walks),
		STACK_TEST(each_read_refused),       STACK_TEST(missing_page),
		STACK_TEST(wild_addresses),
	};
	const struct CMUnitTest frame_pointers[] = {
		STACK_TEST(frame_pointer_chain),
		STACK_TEST(frame_pointer_ends),
		STACK_TEST(frame_pointer_to_a_null_return_address),
		STACK_TEST(garbage_frame_pointer),
		STACK_TEST(frame_pointer_into_other_memory),
		STACK_TEST(frame_pointer_circle),
	};

	return cmocka_run_group_tests(reading, NULL, NULL) + cmocka_run_group_tests(frame_pointers, NULL, NULL);
}
