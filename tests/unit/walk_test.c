/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_test.c - one walk at a time: each kind of rule, each way to end.
 *
 * A scene has one file, mapped at BASE, whose functions each have a rule of their own; a neighbour's is never right, so
 * a lookup one byte off shows. The stack is the two pages at STACK. What a walk should find is written out.
 */
#include "walk_home.h"

#include <string.h>

enum {
	FUNCTION_SIZE = 0x100,
	TEXT_FIRST = 0x2000, /* module offset of the first function, a multiple of the granule */
	TEXT_SIZE = 0x4000,
	MODULE = 0,
};
static const uint64_t BASE = 0x555555000000;
static const uint64_t STACK = 0x7ffffff00000;
static const uint64_t STACK_SIZE = 0x4000;
static const uint64_t SP = 0x7ffffff01000; /* where most scenes start: a page's first byte */

struct expected {
	uint64_t pc;
	uint64_t flags;
};

static struct {
	uint16_t map[TEXT_SIZE];
	uint32_t size;
	struct walk walk;
} scene;

/* The address of a new function. */
static uint64_t add_function_of(uint16_t rule)
{
	uint64_t pc = BASE + TEXT_FIRST + scene.size;

	assert_true(scene.size + FUNCTION_SIZE <= TEXT_SIZE);
	for (uint32_t i = 0; i < FUNCTION_SIZE; i++)
		scene.map[scene.size++] = rule;
	return pc;
}

static uint64_t add_function(struct unwind_rule rule)
{
	return add_function_of(home_add_rule(rule));
}

/* The file is mapped whole, some text before the table and behind it included. */
static void finish_text(void)
{
	assert_int_equal(home_add_module(TEXT_FIRST, scene.map, scene.size, false), MODULE);
	home_add_mapping(BASE + 0x1000, TEXT_FIRST - 0x1000 + TEXT_SIZE + 0x1000, MODULE, 0x1000);
}

static int start_scene(void **state)
{
	(void)state;
	home_init();
	memset(&scene, 0, sizeof(scene));
	memset(scene.walk.frames, 0xee, sizeof(scene.walk.frames));
	home_add_memory(STACK, STACK_SIZE);
	scene.walk.regs[DWARF_RSP] = SP;
	return 0;
}

static int end_scene(void **state)
{
	(void)state;
	home_deinit();
	return 0;
}

static void walk_from(uint64_t pc)
{
	scene.walk.pc = pc;
	home_walk(&scene.walk, USER_FRAMES_DEFAULT);
}

static uint64_t file_frame(uint64_t pc, uint64_t flags)
{
	return frame_make_file(MODULE, pc - BASE, flags);
}

static void check_walk(enum stop stop, uint32_t stop_module, const struct expected *frames, uint32_t nr)
{
	const struct walk *w = &scene.walk;

	assert_int_equal(w->nr_walked, nr);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(w->frames[i], file_frame(frames[i].pc, frames[i].flags));
	assert_int_equal(w->stop, stop);
	assert_int_equal(w->record.end_frame, stop > STOP_absent ? frame_make_stop(stop, stop_module) : 0);
	assert_false(w->has_raw);
}

#define EXPECT(stop, ...)                                                                                              \
	check_walk(stop, MODULE, (const struct expected[]){__VA_ARGS__},                                               \
		   sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

/* ---- rules ---- */

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
#define SCENE(name) cmocka_unit_test_setup_teardown(name, start_scene, end_scene)
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
	const struct CMUnitTest signals[] = {
		SCENE(interrupted_function),      SCENE(registers_after_a_signal_frame), SCENE(alternate_signal_stack),
		SCENE(signal_frame_out_of_place), SCENE(signal_at_a_null_call),
	};
	const struct CMUnitTest ends[] = {
		SCENE(null_return_address_ends),
		SCENE(ends_by_kind),
		SCENE(table_pending),
		SCENE(no_mapping),
		SCENE(cfa_not_above),
		SCENE(another_stack_below),
		SCENE(misaligned_rsp),
	};

	return cmocka_run_group_tests(rules, NULL, NULL) + cmocka_run_group_tests(signals, NULL, NULL) +
	       cmocka_run_group_tests(ends, NULL, NULL);
}
