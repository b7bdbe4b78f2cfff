/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_scene.h - one walk at a time through one file, mapped at BASE, whose functions each have a rule of their own; a
 * neighbour's is never right, so a lookup one byte off shows. The stack is the pages at STACK.
 */
#ifndef EBPROF_TESTS_WALK_SCENE_H
#define EBPROF_TESTS_WALK_SCENE_H

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
static inline uint64_t add_function_of(uint16_t rule)
{
	uint64_t pc = BASE + TEXT_FIRST + scene.size;

	assert_true(scene.size + FUNCTION_SIZE <= TEXT_SIZE);
	for (uint32_t i = 0; i < FUNCTION_SIZE; i++)
		scene.map[scene.size++] = rule;
	return pc;
}

static inline uint64_t add_function(struct unwind_rule rule)
{
	return add_function_of(home_add_rule(rule));
}

/* The file is mapped whole, some text before the table and behind it included. */
static inline void finish_text(void)
{
	assert_int_equal(home_add_module(TEXT_FIRST, scene.map, scene.size, false), MODULE);
	home_add_mapping(BASE + 0x1000, TEXT_FIRST - 0x1000 + TEXT_SIZE + 0x1000, MODULE, 0x1000);
}

static inline int start_scene(void **state)
{
	(void)state;
	home_init();
	memset(&scene, 0, sizeof(scene));
	memset(scene.walk.frames, 0xee, sizeof(scene.walk.frames));
	home_add_memory(STACK, STACK_SIZE);
	scene.walk.regs[DWARF_RSP] = SP;
	return 0;
}

static inline int end_scene(void **state)
{
	(void)state;
	home_deinit();
	return 0;
}

static inline void walk_from(uint64_t pc)
{
	scene.walk.pc = pc;
	home_walk(&scene.walk, USER_FRAMES_DEFAULT);
}

static inline uint64_t file_frame(uint64_t pc, uint64_t flags)
{
	return frame_make_file(MODULE, pc - BASE, flags);
}

static inline void check_walk(enum stop stop, uint32_t stop_module, const struct expected *frames, uint32_t nr)
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

#define SCENE(name) cmocka_unit_test_setup_teardown(name, start_scene, end_scene)

#endif
