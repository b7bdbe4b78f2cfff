/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_found_test.c - what a walk found of a pc serves the walks after it, as long as that is right and no longer.
 */
#include "walk_scene.h"

enum { RUN = 7 };

/* A leaf, a caller of it, and the root; the leaf's frame has 8 bytes, its caller's `size`. */
struct chain {
	uint64_t leaf, caller, root;
};

static struct chain add_chain(int32_t size)
{
	struct chain chain = {
		.leaf = add_function(rule_of_register(DWARF_RSP, 8)),
		.caller = add_function(rule_of_register(DWARF_RSP, size)),
		.root = add_function_of(RULE_ROOT),
	};

	finish_text();
	home_put(SP, chain.caller + 7);
	home_put(SP + 8 + (uint64_t)size - 8, chain.root + 9);
	return chain;
}

static void walk_in_run(uint64_t run, uint64_t pc)
{
	scene.walk.run = run;
	scene.walk.regs[DWARF_RSP] = SP;
	walk_from(pc);
}

/* A second walk searches nothing, in no other way does it differ; one of another process does. */
static void known_pcs_are_not_searched(void **state)
{
	(void)state;
	struct chain chain = add_chain(0x28);

	for (int i = 0; i < 3; i++) {
		home.nr_searches = 0;
		walk_in_run(RUN, chain.leaf);
		EXPECT(STOP_complete, {chain.leaf, FRAME_EXACT}, {chain.caller + 7, 0}, {chain.root + 9, 0});
		assert_int_equal(home.nr_searches > 0, i == 0);
	}
	home.nr_searches = 0;
	walk_in_run(RUN + 1, chain.leaf);
	EXPECT(STOP_complete, {chain.leaf, FRAME_EXACT}, {chain.caller + 7, 0}, {chain.root + 9, 0});
	assert_true(home.nr_searches > 0);
	home.nr_searches = 0;
	for (int i = 0; i < 2; i++)
		walk_in_run(WALK_NO_RUN, chain.leaf);
	assert_true(home.nr_searches >= 2 * 3);
}

/* A return address is looked up where the call is; the same place as a leaf's pc is itself. */
static void exact_and_return_address(void **state)
{
	(void)state;
	struct chain chain = add_chain(0x28);

	walk_in_run(RUN, chain.leaf);
	home.nr_searches = 0;
	home_put(SP + 0x28 - 8, chain.root + 9);
	scene.walk.run = RUN;
	scene.walk.regs[DWARF_RSP] = SP;
	walk_from(chain.caller + 6);
	EXPECT(STOP_complete, {chain.caller + 6, FRAME_EXACT}, {chain.root + 9, 0});
	assert_int_equal(home.nr_searches, 0);
}

/* Other code in the place of the old one has a run of its own: exec, or a library in the place of another. */
static void another_run_is_another_answer(void **state)
{
	(void)state;
	struct chain chain = add_chain(0x28);

	walk_in_run(RUN, chain.leaf);
	uint16_t other[TEXT_SIZE];
	uint16_t root = RULE_ROOT;

	for (uint32_t i = 0; i < TEXT_SIZE; i++)
		other[i] = root;
	uint32_t module = home_add_module(TEXT_FIRST, other, TEXT_SIZE, false);

	home.mappings.data[0].module = module;
	walk_in_run(RUN + (1ull << 32), chain.leaf);
	assert_int_equal(scene.walk.nr_walked, 1);
	assert_int_equal(scene.walk.frames[0], frame_make_file(module, chain.leaf - BASE, FRAME_EXACT));
	/* And back, as if the first process went on beside the other. */
	home.mappings.data[0].module = MODULE;
	walk_in_run(RUN, chain.leaf);
	EXPECT(STOP_complete, {chain.leaf, FRAME_EXACT}, {chain.caller + 7, 0}, {chain.root + 9, 0});
}

/* A walk that turns out to have begun with two runs' halves leaves nothing behind. */
static void what_is_forgotten(void **state)
{
	(void)state;
	struct chain chain = add_chain(0x28);
	struct mapping_slot mapping = home.mappings.data[0];

	home.mappings.data[0].start += 1;
	walk_in_run(RUN, chain.leaf);
	walk_forget(&scene.walk);
	home.mappings.data[0] = mapping;
	walk_in_run(RUN, chain.leaf);
	EXPECT(STOP_complete, {chain.leaf, FRAME_EXACT}, {chain.caller + 7, 0}, {chain.root + 9, 0});
}

/* Without a table, or with a part of one, a walk's answer is not the last word. */
static void a_table_that_comes_late(void **state)
{
	static const uint32_t states[] = {MODULE_PENDING, MODULE_UNFINISHED, MODULE_NO_INFO};

	(void)state;
	struct chain chain = add_chain(0x28);

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct module_table table = home.modules.data[MODULE];

		home.modules.data[MODULE].state = states[i];
		if (states[i] == MODULE_UNFINISHED)
			home.modules.data[MODULE].nr_granules = 0;
		for (int walks = 0; walks < 2; walks++) {
			walk_in_run(RUN + i, chain.leaf);
			assert_int_equal(scene.walk.stop == STOP_complete, 0);
		}
		home.modules.data[MODULE] = table;
		walk_in_run(RUN + i, chain.leaf);
		EXPECT(STOP_complete, {chain.leaf, FRAME_EXACT}, {chain.caller + 7, 0}, {chain.root + 9, 0});
	}
}

/* The unfinished table's own rules are replaced, too: its offsets in the pool are other ones. */
static void a_table_that_is_replaced(void **state)
{
	(void)state;
	struct chain chain = add_chain(0x28);

	home.modules.data[MODULE].state = MODULE_UNFINISHED;
	walk_in_run(RUN, chain.leaf);
	EXPECT(STOP_complete, {chain.leaf, FRAME_EXACT}, {chain.caller + 7, 0}, {chain.root + 9, 0});
	uint16_t other[TEXT_SIZE];

	for (uint32_t i = 0; i < TEXT_SIZE; i++)
		other[i] = RULE_ROOT;
	home_add_module(TEXT_FIRST, other, TEXT_SIZE, false);
	home.modules.data[MODULE] = home.modules.data[MODULE + 1];
	walk_in_run(RUN, chain.leaf);
	EXPECT(STOP_complete, {chain.leaf, FRAME_EXACT});
}

/* More pcs than are kept push each other out, and each is right all the same. */
static void more_pcs_than_are_kept(void **state)
{
	(void)state;
	struct chain chain = add_chain(0x28);
	uint64_t nr_known = 0;

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < FUNCTION_SIZE; i++) {
			home_put(SP, chain.caller + 1 + i);
			home_put(SP + 0x28, chain.root + 1 + (i * 7) % FUNCTION_SIZE);
			home.nr_searches = 0;
			walk_in_run(RUN, chain.leaf + i);
			EXPECT(STOP_complete, {chain.leaf + i, FRAME_EXACT}, {chain.caller + 1 + i, 0},
			       {chain.root + 1 + (i * 7) % FUNCTION_SIZE, 0});
			nr_known += !home.nr_searches;
		}
	}
	assert_true(nr_known < FUNCTION_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(known_pcs_are_not_searched),    SCENE(exact_and_return_address),
		SCENE(another_run_is_another_answer), SCENE(what_is_forgotten),
		SCENE(a_table_that_comes_late),       SCENE(a_table_that_is_replaced),
		SCENE(more_pcs_than_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
