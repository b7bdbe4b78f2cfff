/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_switch_test.c - from one stack of a thread to another: a frame pointer that leads to a lower address, a
 * goroutine's state reached from thread-local memory, or from a frame; and callers that were interrupted instead of
 * calling.
 */
#include "walk_home.h"

#include <string.h>

enum { FUNCTION_SIZE = 0x400, MODULE = 0 };
static const uint64_t TEXT = 0x400000;
static const uint64_t SWITCH = TEXT, CALLER = TEXT + 0x400, ROOT = TEXT + 0x800;
/* The thread's own stack lies above the goroutine's. */
static const uint64_t THREAD_STACK = 0x70000000, SP = 0x70001000;
static const uint64_t HEAP = 0x50000000, GOROUTINE_SP = 0x50001000;
static const uint64_t CURRENT = 0x50002000, THREAD = 0x50002100, GOROUTINE = 0x50002200;
static const uint64_t BASE = 0x50003000;

static struct walk walk;

static void start(struct unwind_rule rule)
{
	uint16_t map[3 * FUNCTION_SIZE];
	uint16_t rules[3] = {0, 0, RULE_ROOT};

	home_init();
	memset(&walk, 0, sizeof(walk));
	rules[0] = home_add_rule(rule);
	rules[1] = home_add_rule(rule_saving_rbp(DWARF_RSP, 0x20));
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		map[i] = rules[i / FUNCTION_SIZE];
	home_add_module(0, map, ARRAY_SIZE(map), false);
	home_add_mapping(TEXT, ARRAY_SIZE(map), MODULE, 0);
	home_add_memory(HEAP, 0x4000);
	home_add_memory(THREAD_STACK, 0x4000);
	walk.regs[DWARF_RSP] = SP;
	walk.pc = SWITCH + 0x10;
}

static void check_frames(uint64_t second, uint64_t second_flags)
{
	home_walk(&walk, USER_FRAMES_DEFAULT);
	assert_int_equal(walk.stop, STOP_complete);
	assert_int_equal(walk.nr_walked, 3);
	assert_int_equal(walk.frames[0], frame_make_file(MODULE, 0x10, FRAME_EXACT));
	assert_int_equal(walk.frames[1], frame_make_file(MODULE, second - TEXT, second_flags));
	assert_int_equal(walk.frames[2], frame_make_file(MODULE, ROOT + 5 - TEXT, 0));
}

/* The caller's frame, with rsp here in the caller. */
static void put_caller(uint64_t rsp)
{
	home_put(rsp + 0x18, ROOT + 5);
	home_put(rsp + 0x10, 0x1234);
}

static void check_stop(enum stop stop)
{
	home_walk(&walk, USER_FRAMES_DEFAULT);
	assert_int_equal(walk.stop, stop);
	assert_int_equal(walk.nr_walked, 1);
}

static void frame_pointer_to_a_lower_stack(void **state)
{
	struct unwind_rule rule = rule_saving_rbp(DWARF_RBP, 16);

	(void)state;
	start(rule);
	walk.regs[DWARF_RBP] = GOROUTINE_SP;
	check_stop(STOP_bad_frame);

	rule.flags = RULE_OTHER_STACK;
	start(rule);
	walk.regs[DWARF_RBP] = GOROUTINE_SP;
	home_put(GOROUTINE_SP + 8, CALLER + 5);
	put_caller(GOROUTINE_SP + 16);
	check_frames(CALLER + 5, 0);
	assert_int_equal(walk.regs[DWARF_RBP], 0x1234);
}

/* A chain of such frames that goes round ends at the greatest depth. */
static void frame_pointers_in_a_circle(void **state)
{
	struct unwind_rule rule = rule_saving_rbp(DWARF_RBP, 16);

	(void)state;
	rule.flags = RULE_OTHER_STACK;
	start(rule);
	walk.regs[DWARF_RBP] = GOROUTINE_SP;
	home_put(GOROUTINE_SP, GOROUTINE_SP);
	home_put(GOROUTINE_SP + 8, SWITCH + 5);
	home_walk(&walk, USER_FRAMES_DEFAULT);
	assert_int_equal(walk.stop, STOP_too_deep);
}

static void caller_that_was_interrupted(void **state)
{
	struct unwind_rule rule = rule_of_register(DWARF_RSP, 0x20);

	(void)state;
	rule.flags = RULE_CALLER_EXACT;
	start(rule);
	/* Its first instruction: a byte lower there is another function. */
	home_put(SP + 0x18, CALLER);
	put_caller(SP + 0x20);
	check_frames(CALLER, FRAME_EXACT);
}

enum { TLS = -8, IN_CURRENT = 0x30, IN_THREAD = 0xc0, SAVED = 0x38, SAVED_RBP = 0x68 };

static struct unwind_rule goroutine_rule(void)
{
	return (struct unwind_rule){
		.cfa = CFA_GOROUTINE,
		.cfa_offset = (int32_t)((uint32_t)IN_CURRENT << 16 | (uint16_t)TLS),
		.rbx_offset = IN_THREAD,
		.ra_offset = SAVED,
	};
}

static void put_goroutine(void)
{
	home.thread_base = BASE;
	home_put(BASE + TLS, CURRENT);
	home_put(CURRENT + IN_CURRENT, THREAD);
	home_put(THREAD + IN_THREAD, GOROUTINE);
	home_put(GOROUTINE + SAVED, GOROUTINE_SP);
	home_put(GOROUTINE + SAVED + 8, CALLER + 5);
	home_put(GOROUTINE + SAVED_RBP, 0x5678);
}

static void goroutine_with_its_saved_pc(void **state)
{
	struct unwind_rule rule = goroutine_rule();

	(void)state;
	rule.rbp = VALUE_AT_REGISTER;
	rule.rbp_offset = SAVED_RBP;
	start(rule);
	put_goroutine();
	put_caller(GOROUTINE_SP);
	check_frames(CALLER + 5, 0);
	/* One step only: what was saved is the caller's. */
	start(rule);
	put_goroutine();
	walk.nr_mappings = 1;
	walk_start(&walk, &home_seed, USER_FRAMES_DEFAULT);
	assert_int_equal(walk_step(&walk), 0);
	assert_int_equal(walk.regs[DWARF_RSP], GOROUTINE_SP);
	assert_int_equal(walk.regs[DWARF_RBP], 0x5678);
}

static void goroutine_with_a_return_address(void **state)
{
	struct unwind_rule rule = goroutine_rule();

	(void)state;
	rule.ra = VALUE_AT_CFA;
	rule.cfa_add = 8;
	start(rule);
	put_goroutine();
	home_put(GOROUTINE + SAVED + 8, 0x99);
	home_put(GOROUTINE_SP, CALLER + 5);
	put_caller(GOROUTINE_SP + 8);
	check_frames(CALLER + 5, 0);
}

static void no_goroutine_is_the_end(void **state)
{
	(void)state;
	start(goroutine_rule());
	put_goroutine();
	home_put(THREAD + IN_THREAD, 0);
	check_stop(STOP_complete);
}

static void goroutine_that_cannot_be_read(void **state)
{
	(void)state;
	start(goroutine_rule());
	put_goroutine();
	home.thread_base = 0;
	check_stop(STOP_unreadable);
	/* Each pointer on the way may be anything. */
	const uint64_t places[] = {BASE + TLS, CURRENT + IN_CURRENT, THREAD + IN_THREAD};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		start(goroutine_rule());
		put_goroutine();
		home_put(places[i], 0xdead0000);
		check_stop(STOP_unreadable);
	}
	start(goroutine_rule());
	put_goroutine();
	home_put(GOROUTINE + SAVED, GOROUTINE_SP + 4);
	check_stop(STOP_bad_frame);
}

enum { STATE = 0x30, DISTANCE = 0x28, TOP = 8 };

static struct unwind_rule stack_top_rule(void)
{
	return (struct unwind_rule){
		.cfa = CFA_STACK_TOP,
		.cfa_offset = (int32_t)((uint32_t)DISTANCE << 16 | STATE),
		.cfa_add = 8,
		.rbx_offset = TOP,
	};
}

static void distance_from_a_stack_top(void **state)
{
	(void)state;
	start(stack_top_rule());
	home_put(SP + STATE, GOROUTINE);
	home_put(SP + DISTANCE, 0x800);
	home_put(GOROUTINE + TOP, GOROUTINE_SP + 0x800);
	home_put(GOROUTINE_SP, CALLER + 5);
	put_caller(GOROUTINE_SP + 8);
	check_frames(CALLER + 5, 0);

	start(stack_top_rule());
	home_put(SP + STATE, 0xdead0000);
	check_stop(STOP_unreadable);

	start(stack_top_rule());
	home_put(SP + STATE, GOROUTINE);
	home_put(SP + DISTANCE, 0x801);
	home_put(GOROUTINE + TOP, GOROUTINE_SP + 0x800);
	check_stop(STOP_bad_frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_pointer_to_a_lower_stack),  cmocka_unit_test(frame_pointers_in_a_circle),
		cmocka_unit_test(caller_that_was_interrupted),     cmocka_unit_test(goroutine_with_its_saved_pc),
		cmocka_unit_test(goroutine_with_a_return_address), cmocka_unit_test(no_goroutine_is_the_end),
		cmocka_unit_test(goroutine_that_cannot_be_read),   cmocka_unit_test(distance_from_a_stack_top),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	home_deinit();
	return failed;
}
