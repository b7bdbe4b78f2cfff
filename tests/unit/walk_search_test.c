/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_search_test.c - does the walker find the right mapping and the right row, and does it keep the right frames?
 *
 * Searches are compared with the plain description that the tables were made from: a rule per byte, a list of slots
 * looked through from one end to the other. Depth is tested with a chain whose every frame has a pc of its own.
 */
#include "walk_home.h"

#include <string.h>

static struct walk walk;

static int start_home(void **state)
{
	(void)state;
	home_init();
	memset(&walk, 0, sizeof(walk));
	return 0;
}

static int end_home(void **state)
{
	(void)state;
	home_deinit();
	return 0;
}

/* ---- rows ---- */

static void check_rows(uint32_t module, const uint16_t *map, uint32_t size)
{
	walk.table = home.modules.data[module];
	uint64_t start = walk.table.start, end = start + size;

	for (uint64_t offset = start < 3000 ? 0 : start - 3000; offset < end + 3000; offset++) {
		uint32_t rule = walk_find_rule(&walk, offset);
		/* The last granule's last rule goes on to its end. */
		uint64_t at = offset < end ? offset - start : size - 1;
		bool outside = offset < start || offset / GRANULE_SIZE > (end - 1) / GRANULE_SIZE;

		if (rule != (outside ? RULE_NONE : map[at]))
			fail_msg("offset %#llx: rule %u", (unsigned long long)offset, rule);
	}
	assert_int_equal(walk_find_rule(&walk, 1ull << 42), RULE_NONE);
	assert_int_equal(walk_find_rule(&walk, ~0ull), RULE_NONE);
	assert_int_equal(walk_find_rule(&walk, start + (1ull << (32 + GRANULE_SHIFT))), RULE_NONE);
}

/* Stretches of 1 to longest bytes, now and then a whole granule's worth. */
static void make_random_map(uint16_t *map, uint32_t size, uint64_t longest, uint64_t *random)
{
	for (uint32_t at = 0; at < size;) {
		uint64_t length = 1 + home_random_below(random, home_random_below(random, 20) ? longest : 4096);
		uint16_t rule = (uint16_t)home_random_below(random, RULES_MAX);

		for (; length && at < size; length--)
			map[at++] = rule;
	}
}

static void random_tables(void **state)
{
	enum { SIZE_MAX_BYTES = 40 << GRANULE_SHIFT };
	static uint16_t map[SIZE_MAX_BYTES];
	uint64_t random = 1;

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t size = 1 + (uint32_t)home_random_below(&random, SIZE_MAX_BYTES);
		uint64_t start = home_random_below(&random, 1 << 20) << GRANULE_SHIFT;

		home_init();
		/* Somewhere in the pool, at a segment's end with one in eight. */
		home.used = home_random_below(&random, 8) ? home_random_below(&random, 3 * POOL_SEGMENT_SIZE) & ~3ull
							  : POOL_SEGMENT_SIZE - home_random_below(&random, 300) * 4;
		make_random_map(map, size, 1 + home_random_below(&random, 200), &random);
		check_rows(home_add_module(start, map, size, round % 2), map, size);
	}
}

/* Granules of 2 to 64 KiB, which begin where the table does. */
static void coarser_granules(void **state)
{
	(void)state;
	for (uint32_t coarser = 1; coarser <= GRANULE_COARSER_MAX; coarser++) {
		const uint32_t size = GRANULE_SIZE << coarser, start = 5 * GRANULE_SIZE;
		const struct unwind_row rows[] = {{1, 5}, {(uint16_t)(size / 2 + 3), 6}, {(uint16_t)(size - 1), 7}};
		const struct unwind_granule granules[] = {{.rule = 4}, {.first_row = 64, .nr_rows = 3, .rule = 9}};

		home_init();
		memcpy(home_pool_at(256), rows, sizeof(rows));
		memcpy(home_pool_at(0), granules, sizeof(granules));
		walk.table = (struct module_table){.start = start, .nr_granules = 2, .coarser = coarser};
		assert_int_equal(walk_find_rule(&walk, start - 1), RULE_NONE);
		assert_int_equal(walk_find_rule(&walk, start), 4);
		assert_int_equal(walk_find_rule(&walk, start + size - 1), 4);
		assert_int_equal(walk_find_rule(&walk, start + size), 9);
		assert_int_equal(walk_find_rule(&walk, start + size + 1), 5);
		assert_int_equal(walk_find_rule(&walk, start + size + size / 2 + 2), 5);
		assert_int_equal(walk_find_rule(&walk, start + size + size / 2 + 3), 6);
		assert_int_equal(walk_find_rule(&walk, start + 2 * size - 2), 6);
		assert_int_equal(walk_find_rule(&walk, start + 2 * size - 1), 7);
		assert_int_equal(walk_find_rule(&walk, start + 2 * size), RULE_NONE);
	}
}

/* 0, 1, 2 ... rows in a granule, up to one for each byte; the first row at the granule's first byte or behind it. */
static void every_number_of_rows(void **state)
{
	uint16_t map[3 * GRANULE_SIZE];

	(void)state;
	for (uint32_t nr = 0; nr <= GRANULE_SIZE; nr += nr < 40 || nr > 1020 ? 1 : 61) {
		for (int row_at_start = 0; row_at_start <= 1; row_at_start++) {
			/* The middle granule; rules change at its end, then only at its start. */
			for (uint32_t at = 0; at < 3 * GRANULE_SIZE; at++) {
				bool inside = at / GRANULE_SIZE == 1;
				uint32_t from_end = 2 * GRANULE_SIZE - at;

				map[at] = inside && from_end <= nr ? (uint16_t)(100 + at % GRANULE_SIZE) : RULE_ROOT;
			}
			home_init();
			check_rows(home_add_module(0, map, 3 * GRANULE_SIZE, row_at_start), map, 3 * GRANULE_SIZE);
		}
	}
}

static void rows_at_a_granules_ends(void **state)
{
	uint16_t map[2 * GRANULE_SIZE];

	(void)state;
	memset(map, 0, sizeof(map));
	map[0] = 7;
	map[GRANULE_SIZE - 1] = 8;
	map[GRANULE_SIZE] = 9;
	map[2 * GRANULE_SIZE - 1] = 10;
	for (int row_at_start = 0; row_at_start <= 1; row_at_start++)
		check_rows(home_add_module(5 << GRANULE_SHIFT, map, 2 * GRANULE_SIZE, row_at_start), map,
			   2 * GRANULE_SIZE);
}

/* A module without a table, and one whose part of the pool is not there yet. */
static void no_table(void **state)
{
	(void)state;
	assert_int_equal(walk_find_rule(&walk, 0), RULE_NONE);
	walk.table = (struct module_table){.nr_granules = 1, .index = HOME_SEGMENTS_MAX << (POOL_SEGMENT_SHIFT - 3)};
	assert_int_equal(walk_find_rule(&walk, 0), RULE_NONE);
	struct unwind_granule elsewhere = {
		.first_row = HOME_SEGMENTS_MAX << (POOL_SEGMENT_SHIFT - 2), .nr_rows = 3, .rule = 9};

	memcpy(home_pool_at(0), &elsewhere, sizeof(elsewhere));
	walk.table = (struct module_table){.nr_granules = 1};
	assert_int_equal(walk_find_rule(&walk, 0), RULE_NONE);
}

/* ---- mappings ---- */

/* The slot that holds pc, looked for from the first to the last; UINT32_MAX = none. */
static uint32_t find_slot(uint32_t first, uint32_t nr, uint64_t pc)
{
	for (uint32_t i = first; i < first + nr; i++)
		if (pc >= home.mappings.data[i].start && pc < home.mappings.data[i].end)
			return i;
	return UINT32_MAX;
}

static void check_mapping(uint32_t first, uint32_t nr, uint64_t pc, bool cached)
{
	uint32_t slot = find_slot(first, nr, pc);

	if (!cached)
		walk.mapping_size = 0;
	int found = walk_find_mapping(&walk, pc);

	assert_int_equal(found, slot != UINT32_MAX);
	if (!found)
		return;
	assert_int_equal(walk.mapping_start, home.mappings.data[slot].start);
	assert_int_equal(walk.mapping_start + walk.mapping_size, home.mappings.data[slot].end);
	assert_int_equal(walk.mapping_offset, home.mappings.data[slot].offset);
	assert_int_equal(walk.module, home.mappings.data[slot].module);
	assert_int_equal(walk.table.index, home.mappings.data[slot].module);
}

/*
 * nr mappings of a process, some adjacent, between those of two others that a search that strays would find. Each
 * module's table has its own number as index, to be told apart.
 */
static void check_mappings(uint32_t nr, uint32_t nr_probes, uint64_t *random)
{
	enum { OTHERS = 3, MODULES = 5 };
	uint64_t at = 0x10000;

	home_init();
	memset(&walk, 0, sizeof(walk));
	for (uint32_t i = 0; i < MODULES; i++)
		*vector_push(&home.modules) = (struct module_table){.state = MODULE_READY, .index = i};
	for (uint32_t i = 0; i < OTHERS; i++)
		home_add_mapping(i * 0x1000, 0x1000, 0, 0);
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t size = (1 + home_random_below(random, 4)) * 0x1000;

		at += home_random_below(random, 3) * 0x1000;
		home_add_mapping(at, size, (uint32_t)home_random_below(random, MODULES), i * 0x10000ull);
		at += size;
	}
	uint64_t end = at;

	for (uint32_t i = 0; i < OTHERS; i++)
		home_add_mapping(0, end + 0x10000, 0, 0);
	walk.first_mapping = OTHERS;
	walk.nr_mappings = nr;
	walk_start(&walk, &home_seed, 16);
	for (uint32_t i = 0; i < nr_probes; i++) {
		uint64_t pc = home_random_below(random, end + 0x2000);

		/* Boundaries more often than they come by chance. */
		if (i % 2)
			pc = (pc & ~0xfffull) - i / 2 % 2;
		check_mapping(OTHERS, nr, pc, i % 3);
	}
	for (uint32_t i = 0; nr && i < 2; i++) {
		const struct mapping_slot *slot = &home.mappings.data[i ? OTHERS + nr - 1 : OTHERS];

		check_mapping(OTHERS, nr, slot->start - 1, false);
		check_mapping(OTHERS, nr, slot->start, false);
		check_mapping(OTHERS, nr, slot->end - 1, false);
		check_mapping(OTHERS, nr, slot->end, false);
	}
	check_mapping(OTHERS, nr, 0, false);
	check_mapping(OTHERS, nr, ~0ull, false);
}

static void few_mappings(void **state)
{
	uint64_t random = 2;

	(void)state;
	for (uint32_t nr = 0; nr <= 70; nr++)
		check_mappings(nr, 500, &random);
	check_mappings(1000, 5000, &random);
}

static void many_mappings(void **state)
{
	uint64_t random = 3;

	(void)state;
	check_mappings(65535, 200, &random);
	check_mappings(65536, 200, &random);
	check_mappings(MAPPINGS_MAX, 200, &random);
}

/* Mappings that overlap a place of new code are not believed, and the walk says that it came by. */
static void fresh_code(void **state)
{
	static const struct {
		uint64_t start, end;
		bool first, second; /* whether these mappings are believed */
	} places[] = {
		{0, 0, true, true},
		{0x1000, 0x2000, true, true},
		{0x2000, 0x2001, false, true},
		{0x2fff, 0x3000, false, true},
		{0x2000, 0x6000, false, false},
		{0x3000, 0x5000, true, true},
		{0x5fff, 0x9000, true, false},
		{0x6000, 0x9000, true, true},
	};

	(void)state;
	*vector_push(&home.modules) = (struct module_table){.state = MODULE_READY};
	home_add_mapping(0x2000, 0x1000, 0, 0);
	home_add_mapping(0x5000, 0x1000, 0, 0x10000);
	walk.nr_mappings = 2;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		walk.fresh_start = places[i].start;
		walk.fresh_end = places[i].end;
		walk.mapping_size = 0;
		walk_start(&walk, &home_seed, 16);
		assert_int_equal(walk_find_mapping(&walk, 0x2800), places[i].first);
		assert_int_equal(walk.is_stale, !places[i].first);
		walk.is_stale = 0;
		assert_int_equal(walk_find_mapping(&walk, 0x5800), places[i].second);
		assert_int_equal(walk.is_stale, !places[i].second);
		assert_false(walk_find_mapping(&walk, 0x4000));
	}
}

/* A slot that the array no longer has, as when an entry was read while it changed. */
static void slots_out_of_range(void **state)
{
	(void)state;
	home_add_mapping(0x1000, 0x1000, 0, 0);
	walk_start(&walk, &home_seed, 16);
	walk.first_mapping = UINT32_MAX - 2;
	walk.nr_mappings = 5;
	assert_false(walk_find_mapping(&walk, 0x1800));
	walk.first_mapping = 0;
	walk.nr_mappings = UINT32_MAX;
	assert_false(walk_find_mapping(&walk, 0x1800));
	walk.nr_mappings = 1;
	assert_true(walk_find_mapping(&walk, 0x1800));
}

/* ---- frames ---- */

static uint64_t frame_of(uint32_t module, uint64_t offset, uint32_t *overflow)
{
	home_init();
	memset(&walk, 0, sizeof(walk));
	home_add_mapping(0x1000, 0x1000, module, offset - 0x800);
	walk.nr_mappings = 1;
	walk.pc = 0x1800;
	walk_start(&walk, &home_seed, 16);
	walk_step(&walk);
	*overflow = walk.overflow;
	assert_int_equal(walk.nr_walked, 1);
	assert_int_equal(walk.has_raw, frame_kind(walk.frames[0]) == FRAME_RAW);
	return walk.frames[0];
}

/* The largest module number and offset have a place in a frame; what is larger is raw, and counted. */
static void limits_of_a_frame(void **state)
{
	const uint64_t raw = frame_make(FRAME_RAW, FRAME_EXACT, 0x1800);
	uint32_t overflow;

	(void)state;
	uint64_t frame = frame_of(MODULES_MAX - 1, FRAME_OFFSET_MASK, &overflow);

	assert_int_equal(overflow, 0);
	assert_int_equal(frame_kind(frame), FRAME_FILE);
	assert_int_equal(frame_module(frame), MODULES_MAX - 1);
	assert_int_equal(frame_offset(frame), FRAME_OFFSET_MASK);
	assert_int_equal(frame & (FRAME_EXACT | FRAME_BY_FP | FRAME_GUESSED), FRAME_EXACT);

	assert_int_equal(frame_of(0, FRAME_OFFSET_MASK + 1, &overflow), raw);
	assert_int_equal(overflow, 1);
	assert_int_equal(frame_of(MODULES_MAX, 0x800, &overflow), raw);
	assert_int_equal(overflow, 1);
	assert_int_equal(frame_of(NO_MODULE, 0x800, &overflow), raw);
	assert_int_equal(overflow, 0);
	/* No table, and no frame pointer to go by. */
	assert_int_equal(walk.record.end_frame, frame_make_stop(STOP_no_unwind_info, NO_MODULE));
}

/* ---- depth ---- */

enum { DEPTH_FRAME = 16, DEPTH_MODULE = 0 };
static const uint64_t DEPTH_TEXT = 0x400000, DEPTH_STACK = 0x7fff00000000;

/* Frame i of a chain of `depth`, the root included: a pc that tells i, behind the leaf. */
static uint64_t depth_frame(uint32_t i, uint32_t depth)
{
	return i == 0           ? frame_make_file(DEPTH_MODULE, 0x400, FRAME_EXACT)
	       : i + 1 == depth ? frame_make_file(DEPTH_MODULE, 0x10, 0)
				: frame_make_file(DEPTH_MODULE, 0x400 + i, 0);
}

static void put_deep_code(void)
{
	static uint16_t map[0x4000];
	uint16_t rule = home_add_rule(rule_of_register(DWARF_RSP, DEPTH_FRAME));

	for (uint32_t i = 0; i < ARRAY_SIZE(map); i++)
		map[i] = i < 0x400 ? RULE_ROOT : rule;
	home_add_module(0, map, ARRAY_SIZE(map), false);
	home_add_mapping(DEPTH_TEXT, ARRAY_SIZE(map), DEPTH_MODULE, 0);
	home_add_memory(DEPTH_STACK, 0x20000);
}

static void walk_deep(uint32_t depth, uint32_t max_frames)
{
	for (uint32_t i = 1; i < depth; i++)
		home_put(DEPTH_STACK + i * DEPTH_FRAME - 8, DEPTH_TEXT + frame_offset(depth_frame(i, depth)));
	memset(walk.frames, 0xee, sizeof(walk.frames));
	walk.pc = DEPTH_TEXT + (depth > 1 ? 0x400 : 0x10);
	walk.regs[DWARF_RSP] = DEPTH_STACK;
	home_walk(&walk, max_frames);
}

/* All frames, kept or not, go into the key. */
static void check_key(uint32_t nr, uint32_t depth)
{
	struct stack_key key;

	stack_key_start(&key, &home_seed);
	for (uint32_t i = 0; i < nr; i++)
		stack_key_add(&key, depth_frame(i, depth));
	if (walk.record.end_frame)
		stack_key_add(&key, walk.record.end_frame);
	stack_key_finish(&key, 0);
	walk_finish(&walk, 1);
	assert_memory_equal(&key, &walk.key, sizeof(key));
}

static void check_deep(uint32_t depth, uint32_t max_frames)
{
	uint32_t nr = depth < USER_WALK_MAX ? depth : USER_WALK_MAX;
	uint32_t kept = nr < max_frames ? nr : max_frames;
	uint32_t leaf = max_frames - max_frames / 3, round = max_frames - leaf;
	bool cut = depth > USER_WALK_MAX;

	walk_deep(depth, max_frames);
	assert_int_equal(walk.stop, cut ? STOP_too_deep : STOP_complete);
	assert_int_equal(walk.record.end_frame, cut ? frame_make_stop(STOP_too_deep, NO_MODULE) : 0);
	assert_int_equal(walk.nr_walked, nr);
	assert_int_equal(walk_nr_kept(&walk), kept);
	assert_int_equal(walk.nr_leaf_frames, leaf);
	/* The last ones written, whatever was in their place before. */
	for (uint32_t i = 0; i < nr; i++)
		if (i < leaf || i + round >= nr)
			assert_int_equal(walk.frames[i < leaf ? i : leaf + (i - leaf) % round], depth_frame(i, depth));
	for (uint32_t i = kept; i < USER_FRAMES_MAX; i++)
		assert_int_equal(walk.frames[i], 0xeeeeeeeeeeeeeeee);
	check_key(nr, depth);
}

static void deep_stacks(void **state)
{
	const uint32_t max_frames[] = {USER_FRAMES_MIN, 17, USER_FRAMES_DEFAULT, USER_FRAMES_MAX};

	(void)state;
	put_deep_code();
	for (size_t i = 0; i < ARRAY_SIZE(max_frames); i++) {
		uint32_t max = max_frames[i];
		const uint32_t depths[] = {2,       max / 2,       max - max / 3,     max - 1, max,
					   max + 1, max + 2,       max + max / 3,     2 * max, 4094,
					   4095,    USER_WALK_MAX, USER_WALK_MAX + 1, 5000};

		for (size_t j = 0; j < ARRAY_SIZE(depths); j++)
			check_deep(depths[j], max);
	}
}

/* More than there is room for counts as the most, nothing as one; nothing is written outside. */
static void odd_max_frames(void **state)
{
	(void)state;
	put_deep_code();
	for (uint32_t max = 0; max <= 3; max++) {
		walk_deep(100, max);
		assert_int_equal(walk.stop, STOP_complete);
		assert_int_equal(walk.nr_walked, 100);
		assert_int_equal(walk_nr_kept(&walk), max ? max : 1);
		assert_int_equal(walk.frames[0], depth_frame(0, 100));
	}
	walk_deep(2000, UINT32_MAX);
	assert_int_equal(walk_nr_kept(&walk), USER_FRAMES_MAX);
	assert_int_equal(walk.nr_walked, 2000);
}

int main(void)
{
#define HOME_TEST(name) cmocka_unit_test_setup_teardown(name, start_home, end_home)
	const struct CMUnitTest rows[] = {
		HOME_TEST(random_tables),           HOME_TEST(coarser_granules), HOME_TEST(every_number_of_rows),
		HOME_TEST(rows_at_a_granules_ends), HOME_TEST(no_table),
	};
	const struct CMUnitTest mappings[] = {
		HOME_TEST(few_mappings),
		HOME_TEST(many_mappings),
		HOME_TEST(fresh_code),
		HOME_TEST(slots_out_of_range),
	};
	const struct CMUnitTest frames[] = {
		HOME_TEST(limits_of_a_frame),
		HOME_TEST(deep_stacks),
		HOME_TEST(odd_max_frames),
	};

	return cmocka_run_group_tests(rows, NULL, NULL) + cmocka_run_group_tests(mappings, NULL, NULL) +
	       cmocka_run_group_tests(frames, NULL, NULL);
}
