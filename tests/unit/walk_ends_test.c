/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_ends_test.c - frames that a signal interrupted, and each way to end.
 *
 * What a walk should find is written out.
 */
#include "walk_scene.h"

/* ---- signals ---- */

/* Writes the kernel's rt_sigframe below the interrupted registers; the handler's rsp. */
static uint64_t put_signal_frame(uint64_t frame, uint64_t restorer, const uint64_t *regs, uint64_t pc)
{
	/* struct sigcontext, in the order of the uapi header */
	static const uint8_t order[] = {DWARF_R8,  DWARF_R9,  DWARF_R10, DWARF_R11, DWARF_R12, DWARF_R13,
					DWARF_R14, DWARF_R15, DWARF_RDI, DWARF_RSI, DWARF_RBP, DWARF_RBX,
					DWARF_RDX, DWARF_RAX, DWARF_RCX, DWARF_RSP};
	uint64_t context = frame + 8 + 40; /* the return address, then uc_flags, uc_link, uc_stack */

	home_put(frame, restorer);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		home_put(context + 8 * i, regs[order[i]]);
	home_put(context + 8 * ARRAY_SIZE(order), pc);
	return frame;
}

/*
 * Interrupted on its first instruction, where the byte before belongs to another function; and needing registers that
 * only a leaf or an interrupted function has.
 */
static void interrupted_function(void **state)
{
	(void)state;
	struct unwind_rule rule = rule_of_register(DWARF_R15, 8);

	rule.rbp = VALUE_REGISTER;
	rule.rbp_reg = DWARF_R8;
	uint64_t handler = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t restorer = add_function_of(RULE_SIGNAL);
	uint64_t interrupted = add_function(rule);
	uint64_t root = add_function_of(RULE_ROOT);
	uint64_t regs[16];

	finish_text();
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		regs[i] = 0x1000 + i;
	regs[DWARF_RSP] = SP + 0x1000;
	regs[DWARF_R15] = SP + 0x1100;
	home_put(SP + 0x1100, root + 1);
	scene.walk.regs[DWARF_RSP] = put_signal_frame(SP + 0x400, restorer + 1, regs, interrupted);
	walk_from(handler + 4);
	EXPECT(STOP_complete, {handler + 4, FRAME_EXACT}, {restorer + 1, FRAME_EXACT}, {interrupted, FRAME_EXACT},
	       {root + 1, 0});
	assert_int_equal(scene.walk.regs[DWARF_RBP], 0x1000 + DWARF_R8);
	assert_int_equal(scene.walk.known_regs & ~WALK_REGS_FROM_LEAF, 1u << DWARF_RBX);
}

static void registers_after_a_signal_frame(void **state)
{
	(void)state;
	uint64_t handler = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t restorer = add_function_of(RULE_SIGNAL);
	uint64_t interrupted = add_function_of(RULE_ROOT);
	uint64_t regs[16];

	finish_text();
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		regs[i] = 0xfeed0000 + i;
	scene.walk.regs[DWARF_RSP] = put_signal_frame(SP + 0x400, restorer + 1, regs, interrupted + 6);
	walk_from(handler);
	EXPECT(STOP_complete, {handler, FRAME_EXACT}, {restorer + 1, FRAME_EXACT}, {interrupted + 6, FRAME_EXACT});
	assert_memory_equal(scene.walk.regs, regs, sizeof(regs));
	assert_int_equal(scene.walk.known_regs, ~0u);
}

/* A handler on an alternate stack: the interrupted function's stack may lie above it or below. */
static void alternate_signal_stack(void **state)
{
	(void)state;
	uint64_t handler = add_function(rule_of_register(DWARF_RSP, 0x18));
	uint64_t restorer = add_function_of(RULE_SIGNAL);
	uint64_t interrupted = add_function(rule_of_register(DWARF_RSP, 0x10));
	uint64_t root = add_function_of(RULE_ROOT);
	const uint64_t alternates[] = {0x700000000000, 0x7fffffff0000};

	finish_text();
	for (size_t i = 0; i < ARRAY_SIZE(alternates); i++) {
		uint64_t regs[16] = {[DWARF_RSP] = SP};

		home_add_memory(alternates[i], 0x2000);
		home_put(SP + 8, root + 1);
		scene.walk.regs[DWARF_RSP] =
			put_signal_frame(alternates[i] + 0x1000, restorer + 1, regs, interrupted + 6) - 0x10;
		walk_from(handler);
		EXPECT(STOP_complete, {handler, FRAME_EXACT}, {restorer + 1, FRAME_EXACT},
		       {interrupted + 6, FRAME_EXACT}, {root + 1, 0});
		assert_int_equal(scene.walk.regs[DWARF_RSP], SP + 0x10);
	}
}

static void signal_frame_out_of_place(void **state)
{
	(void)state;
	uint64_t restorer = add_function_of(RULE_SIGNAL);

	finish_text();
	scene.walk.regs[DWARF_RSP] = STACK - 0x1000;
	walk_from(restorer);
	EXPECT(STOP_unreadable, {restorer, FRAME_EXACT});
	/* Its last words lie behind the stack's end. */
	scene.walk.regs[DWARF_RSP] = STACK + STACK_SIZE - 40 - 16 * 8;
	walk_from(restorer);
	EXPECT(STOP_unreadable, {restorer, FRAME_EXACT});
}

/* A call through a null pointer: the frame at 0 is the truth, and nothing is known of it. */
static void signal_at_a_null_call(void **state)
{
	(void)state;
	uint64_t restorer = add_function_of(RULE_SIGNAL);
	uint64_t regs[16] = {[DWARF_RSP] = SP + 0x800};

	finish_text();
	scene.walk.regs[DWARF_RSP] = put_signal_frame(SP, restorer, regs, 0) + 8;
	walk_from(restorer);
	assert_int_equal(scene.walk.nr_walked, 2);
	assert_int_equal(scene.walk.frames[1], frame_make(FRAME_RAW, FRAME_EXACT, 0));
	assert_int_equal(scene.walk.stop, STOP_no_mapping);
	assert_true(scene.walk.has_raw);
}

/* ---- ends ---- */

static void null_return_address_ends(void **state)
{
	(void)state;
	struct unwind_rule undefined = rule_of_register(DWARF_RSP, 8);

	undefined.ra = VALUE_UNDEFINED;
	uint64_t zero = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t none = add_function(undefined);

	finish_text();
	walk_from(zero);
	EXPECT(STOP_ended, {zero, FRAME_EXACT});
	home_put(SP, 0x1234);
	walk_from(none);
	EXPECT(STOP_ended, {none, FRAME_EXACT});
}

/* Each kind of end, met by the leaf and by its caller. */
static void ends_by_kind(void **state)
{
	(void)state;
	uint64_t leaf = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t root = add_function_of(RULE_ROOT);
	uint64_t unsupported = add_function_of(RULE_UNSUPPORTED);
	uint64_t beyond_list = add_function_of(RULES_MAX - 1);
	const struct {
		uint64_t pc;
		enum stop stop;
	} kinds[] = {{root, STOP_complete}, {unsupported, STOP_unsupported_rule}, {beyond_list, STOP_unsupported_rule}};

	finish_text();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t pc = kinds[i].pc + 1;

		scene.walk.regs[DWARF_RSP] = SP;
		home_put(SP, pc);
		walk_from(pc);
		EXPECT(kinds[i].stop, {pc, FRAME_EXACT});
		walk_from(leaf);
		EXPECT(kinds[i].stop, {leaf, FRAME_EXACT}, {pc, 0});
	}
}

static void table_pending(void **state)
{
	(void)state;
	uint64_t leaf = add_function(rule_of_register(DWARF_RSP, 8));

	finish_text();
	home.modules.data[MODULE].state = MODULE_PENDING;
	walk_from(leaf);
	EXPECT(STOP_no_file_table, {leaf, FRAME_EXACT});
}

/* What has a rule is walked; what has none may have one soon, so that nothing is guessed. */
static void table_unfinished(void **state)
{
	(void)state;
	uint64_t leaf = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t bare = add_function_of(RULE_NONE);

	finish_text();
	home.modules.data[MODULE].state = MODULE_UNFINISHED;
	scene.walk.regs[DWARF_RSP] = SP;
	home_put(SP, bare + 1);
	walk_from(leaf);
	EXPECT(STOP_no_file_table, {leaf, FRAME_EXACT}, {bare + 1, 0});
}

/* A pc outside all mappings is kept raw, and the stack means something only together with its process. */
static void no_mapping(void **state)
{
	(void)state;
	uint64_t leaf = add_function(rule_of_register(DWARF_RSP, 8));
	uint64_t end = BASE + TEXT_FIRST + TEXT_SIZE + 0x1000;
	const struct walk *w = &scene.walk;
	const uint64_t outside[] = {BASE + 0x1000, end + 1, 0xffffffffff600000, 0x1234, 1, ~0ull};

	finish_text();
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		scene.walk.regs[DWARF_RSP] = SP;
		home_put(SP, outside[i]); /* a return address: one byte lower is looked up */
		walk_from(leaf);
		assert_int_equal(w->nr_walked, 2);
		assert_int_equal(w->frames[0], file_frame(leaf, FRAME_EXACT));
		assert_int_equal(w->frames[1], frame_make(FRAME_RAW, 0, outside[i]));
		assert_int_equal(w->stop, STOP_no_mapping);
		assert_int_equal(w->record.end_frame, frame_make_stop(STOP_no_mapping, NO_MODULE));
		assert_int_equal(w->has_raw, 1);
		assert_int_equal(w->pc, outside[i]); /* what the loader is told of */
	}
	walk_from(end);
	assert_int_equal(w->frames[0], frame_make(FRAME_RAW, FRAME_EXACT, end));
	assert_int_equal(w->stop, STOP_no_mapping);
}

/*
 * The caller's frame has to lie above its callee's: a broken stack must not send the walk round in circles. Only a
 * frame that is told by rbp may lie on another stack, and then a call has to precede its return address.
 */
static void cfa_not_above(void **state)
{
	(void)state;
	uint64_t rsp_based = add_function(rule_of_register(DWARF_RSP, 0));
	uint64_t rbp_based = add_function(rule_saving_rbp(DWARF_RBP, 16));

	finish_text();
	home_put(SP - 8, rbp_based + 1);
	home_put(SP, rbp_based + 1);
	walk_from(rsp_based);
	/* A leaf may have popped its return address; a caller may not. */
	EXPECT(STOP_bad_frame, {rsp_based, FRAME_EXACT}, {rbp_based + 1, 0});
	static const uint8_t no_call[8] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};

	home.code = no_call;
	const uint64_t rbps[] = {SP - 16, SP - 0x800, 0, 0xdeadbeef, (uint64_t)-16, SP + 1, SP + 0x104};

	for (size_t i = 0; i < ARRAY_SIZE(rbps); i++) {
		scene.walk.regs[DWARF_RSP] = SP;
		scene.walk.regs[DWARF_RBP] = rbps[i];
		walk_from(rbp_based);
		EXPECT(STOP_bad_frame, {rbp_based, FRAME_EXACT});
	}
	home.code = NULL;
}

static void another_stack_below(void **state)
{
	(void)state;
	uint64_t switching = add_function(rule_saving_rbp(DWARF_RBP, 16));
	uint64_t caller = add_function(rule_of_register(DWARF_RSP, 16));
	uint64_t root = add_function_of(RULE_ROOT);
	uint64_t other = SP - 0x1000;

	finish_text();
	home_put(other, 0x1234);
	home_put(other + 8, caller + 1);
	home_put(other + 16 + 8, root + 1);
	scene.walk.regs[DWARF_RBP] = other;
	walk_from(switching);
	EXPECT(STOP_complete, {switching, FRAME_EXACT}, {caller + 1, 0}, {root + 1, 0});
}

static void misaligned_rsp(void **state)
{
	(void)state;
	struct unwind_rule plt = {.cfa = CFA_PLT, .cfa_offset = 11, .ra = VALUE_AT_CFA, .ra_offset = -8};
	uint64_t leaves[] = {add_function(rule_of_register(DWARF_RSP, 8)), add_function(plt)};

	finish_text();
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		scene.walk.regs[DWARF_RSP] = SP + 4;
		walk_from(leaves[i]);
		EXPECT(STOP_bad_frame, {leaves[i], FRAME_EXACT});
	}
}

int main(void)
{
	const struct CMUnitTest signals[] = {
		SCENE(interrupted_function),      SCENE(registers_after_a_signal_frame), SCENE(alternate_signal_stack),
		SCENE(signal_frame_out_of_place), SCENE(signal_at_a_null_call),
	};
	const struct CMUnitTest ends[] = {
		SCENE(null_return_address_ends),
		SCENE(ends_by_kind),
		SCENE(table_pending),
		SCENE(table_unfinished),
		SCENE(no_mapping),
		SCENE(cfa_not_above),
		SCENE(another_stack_below),
		SCENE(misaligned_rsp),
	};

	return cmocka_run_group_tests(signals, NULL, NULL) + cmocka_run_group_tests(ends, NULL, NULL);
}
