/* SPDX-License-Identifier: Apache-2.0 */
/* answers_test.c - what of a reader process's answers is let through, whatever their bytes are. */
#include "answers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"

/* ---- unwind tables ---- */

enum { GOOD_GRANULES = 3, GOOD_ROWS = 4, GOOD_RULES = RULE_FIRST_FREE + 2 };

struct table_parts {
	struct told_table told;
	struct unwind_granule granules[GOOD_GRANULES];
	struct unwind_row rows[GOOD_ROWS];
	struct unwind_rule rules[GOOD_RULES];
};

static const struct table_parts good = {
	.told = {.start = 3 * GRANULE_SIZE, .nr_granules = GOOD_GRANULES, .nr_rows = GOOD_ROWS, .nr_rules = GOOD_RULES},
	.granules = {{.first_row = 0, .nr_rows = 3, .rule = 4},
		     {.first_row = 3, .nr_rows = 0, .rule = 5},
		     {.first_row = 3, .nr_rows = 1, .rule = 0}},
	.rows = {{.offset = 0, .rule = 4}, {.offset = 1, .rule = 5}, {.offset = 1023, .rule = 0}, {.offset = 5}},
	.rules = {{.cfa = CFA_NONE},
		  {.cfa = CFA_ROOT},
		  {.cfa = CFA_SIGNAL},
		  {.cfa = CFA_UNSUPPORTED},
		  {.cfa = CFA_REGISTER, .cfa_reg = DWARF_RSP, .cfa_offset = 8, .ra = VALUE_AT_CFA, .ra_offset = -8},
		  {.cfa = CFA_PLT, .ra = VALUE_AT_CFA, .ra_offset = -8}},
};

/* As the agent takes it: head, arrays, check. */
static int take_table(const struct table_parts *parts)
{
	struct unwind_table *table;
	int error = answer_new_table(&parts->told, &table);

	if (error)
		return error;
	memcpy(table->granules, parts->granules, table->nr_granules * sizeof(*table->granules));
	memcpy(table->rows, parts->rows, table->nr_rows * sizeof(*table->rows));
	memcpy(table->rules, parts->rules, table->nr_rules * sizeof(*table->rules));
	error = answer_check_table(table);
	answer_free_table(table);
	return error;
}

static void a_good_table_is_taken(void **state)
{
	struct table_parts empty = good;

	(void)state;
	assert_int_equal(take_table(&good), 0);
	empty.told.nr_granules = empty.told.nr_rows = 0;
	assert_int_equal(take_table(&empty), 0);
}

#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		struct table_parts bad = good;                                                                         \
                                                                                                                       \
		bad.change;                                                                                            \
		assert_int_equal(take_table(&bad), -EPROTO);                                                           \
	} while (0)

static void sizes_of_tables_have_ceilings(void **state)
{
	(void)state;
	REFUSED(told.start = 100);
	REFUSED(told.coarser = GRANULE_COARSER_MAX + 1);
	REFUSED(told.coarser = UINT32_MAX);
	REFUSED(told.nr_granules = UINT32_MAX);
	REFUSED(told.nr_granules = (1u << 22) + 1);
	REFUSED(told.nr_rows = UINT32_MAX);
	REFUSED(told.nr_rows = (64u << 20) + 1);
	REFUSED(told.nr_rules = UINT32_MAX);
	REFUSED(told.nr_rules = RULES_MAX + 1);
	REFUSED(told.nr_rules = RULE_FIRST_FREE - 1);
}

static void broken_tables_are_refused(void **state)
{
	(void)state;
	/* Rows that belong to no granule, to two, or lie beyond the last. */
	REFUSED(told.nr_granules = 2);
	REFUSED(told.nr_rows = 3);
	REFUSED(granules[0].nr_rows = 2);
	REFUSED(granules[0].nr_rows = 4);
	REFUSED(granules[0].nr_rows = UINT16_MAX);
	REFUSED(granules[1].first_row = 0);
	REFUSED(granules[2].first_row = 4);
	REFUSED(granules[2].first_row = UINT32_MAX);
	REFUSED(granules[2].nr_rows = 2);
	/* Rows out of order, twice, or outside of their granule. */
	REFUSED(rows[1].offset = 0);
	REFUSED(rows[2].offset = 1);
	REFUSED(rows[2].offset = GRANULE_SIZE);
	REFUSED(rows[3].offset = UINT16_MAX);
	struct table_parts coarse = good;

	coarse.told.coarser = 1;
	coarse.rows[2].offset = 2 * GRANULE_SIZE - 1;
	assert_int_equal(take_table(&coarse), 0);
	coarse.rows[2].offset = 2 * GRANULE_SIZE;
	assert_int_equal(take_table(&coarse), -EPROTO);
	/* Rules that are not there. */
	REFUSED(granules[1].rule = GOOD_RULES);
	REFUSED(rows[2].rule = GOOD_RULES);
	REFUSED(rows[0].rule = UINT16_MAX);
	/* Rules that are none. */
	REFUSED(rules[4].cfa = NR_CFAS);
	REFUSED(rules[4].cfa = 15);
	REFUSED(rules[4].ra = NR_VALUES);
	REFUSED(rules[5].rbp = 15);
	REFUSED(rules[RULE_ROOT].cfa = CFA_REGISTER);
	REFUSED(rules[RULE_NONE].cfa = CFA_ROOT);
}

/* ---- what a file is ---- */

static const struct object_info good_info = {
	.build_id = {1, 2, 3},
	.build_id_size = 20,
	.is_64bit_x86 = true,
	.stripped = true,
	.base_addr = 0x1000,
	.entry_addr = 0x2345,
	.nr_segments = 2,
	.segments = {{.file_offset = 0x1000, .file_addr = 0x2000, .file_size = 0x500, .size = 0x600},
		     {.file_offset = 0x3000, .file_addr = 0x5000, .file_size = 1, .size = 1}},
	.interpreter = "/lib64/ld-linux-x86-64.so.2",
	.needed = {.size_bytes = 10, .names = "a.so\0b.so\0", .path = "/opt"},
};

static int take_info(const struct told_info *told)
{
	struct object_info info;

	return answer_take_info(told, &info);
}

#define INFO_REFUSED(change)                                                                                           \
	do {                                                                                                           \
		struct told_info bad = {0};                                                                            \
                                                                                                                       \
		answer_put_info(&good_info, &bad);                                                                     \
		bad.change;                                                                                            \
		assert_int_equal(take_info(&bad), -EPROTO);                                                            \
	} while (0)

static void infos_come_back_or_are_refused(void **state)
{
	struct told_info told = {0};
	struct object_info info;

	(void)state;
	answer_put_info(&good_info, &told);
	assert_int_equal(answer_take_info(&told, &info), 0);
	assert_memory_equal(info.segments, good_info.segments, sizeof(info.segments));
	assert_memory_equal(info.build_id, good_info.build_id, sizeof(info.build_id));
	assert_string_equal(info.interpreter, good_info.interpreter);
	assert_int_equal(info.base_addr, 0x1000);
	assert_int_equal(info.entry_addr, 0x2345);
	assert_int_equal(info.nr_segments, 2);
	assert_int_equal(info.build_id_size, 20);
	assert_true(info.is_64bit_x86 && info.stripped && !info.is_executable);

	INFO_REFUSED(nr_segments = OBJECT_SEGMENTS_MAX + 1);
	INFO_REFUSED(nr_segments = UINT32_MAX);
	INFO_REFUSED(build_id_size = BUILD_ID_MAX + 1);
	INFO_REFUSED(is_64bit_x86 = 2);
	INFO_REFUSED(is_executable = 255);
	INFO_REFUSED(stripped = 2);
	INFO_REFUSED(base_addr = 0x2001);
	INFO_REFUSED(segments[1].file_addr = 0x1fff);
	INFO_REFUSED(segments[1].size = UINT64_MAX);
	INFO_REFUSED(segments[0].file_size = 0x601);
	INFO_REFUSED(segments[0].file_offset = UINT64_MAX);
	assert_memory_equal(&info.needed, &good_info.needed, sizeof(info.needed));
	INFO_REFUSED(needed.size_bytes = 9);
	INFO_REFUSED(needed.size_bytes = sizeof(told.needed.names));
	INFO_REFUSED(needed.names[10] = 'x');
	memset(told.needed.path, 'x', sizeof(told.needed.path));
	assert_int_equal(take_info(&told), -EPROTO);
	answer_put_info(&good_info, &told);
	memset(told.interpreter, 'x', sizeof(told.interpreter));
	assert_int_equal(take_info(&told), -EPROTO);
}

/* ---- names ---- */

enum { NR_ADDRS = 4 };

struct names_world {
	struct answer_bytes bytes;
	bool seen[NR_ADDRS];
	unsigned int nr_found, nr_frames;
	char texts[1000];
};

static void note_found(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct names_world *world = context;

	assert_true(index < NR_ADDRS);
	world->nr_found++;
	for (size_t i = 0; i < nr_frames; i++) {
		const char *texts[] = {frames[i].name, frames[i].system_name, frames[i].file};

		world->nr_frames++;
		for (size_t j = 0; j < ARRAY_SIZE(texts); j++) {
			assert_true(!texts[j] || strlen(texts[j]) <= NAME_MAX_BYTES);
			if (strlen(world->texts) < 900)
				snprintf(world->texts + strlen(world->texts), 100, "%.20s,", texts[j] ? texts[j] : "-");
		}
	}
}

static void put_good_names(struct answer_bytes *bytes)
{
	static char longest[NAME_MAX_BYTES + 100];
	const struct name_frame chain[] = {
		{.name = "inner(int)", .system_name = "_Z5inneri", .file = "/src/a.cc", .line = 7, .start_line = 3},
		{.name = "outer", .line = 1},
	};
	const struct name_frame one = {.name = "", .system_name = longest};

	memset(longest, 'n', sizeof(longest) - 1);
	answer_put_names(bytes, 2, chain, 2);
	answer_put_names(bytes, 0, NULL, 0);
	answer_put_names(bytes, 1, &one, 1);
}

static int take_names(struct names_world *world, const uint8_t *bytes, size_t size_bytes)
{
	struct answer_names names = {.nr = NR_ADDRS, .seen = world->seen, .found = note_found, .context = world};

	return answer_take_names(&names, bytes, size_bytes);
}

static void names_come_back(void **state)
{
	struct names_world world = {0};

	(void)state;
	put_good_names(&world.bytes);
	assert_int_equal(take_names(&world, world.bytes.data, world.bytes.nr), 0);
	assert_int_equal(world.nr_found, 3);
	assert_int_equal(world.nr_frames, 3);
	assert_string_equal(world.texts, "inner(int),_Z5inneri,/src/a.cc,outer,-,-,,nnnnnnnnnnnnnnnnnnnn,-,");
	assert_true(world.seen[0] && world.seen[1] && world.seen[2] && !world.seen[3]);
	/* Nothing may be named twice. */
	assert_int_equal(take_names(&world, world.bytes.data, world.bytes.nr), -EPROTO);
	assert_int_equal(world.nr_found, 3);
	vector_free(&world.bytes);
}

/* Wherever the bytes end, what was whole is taken and nothing beyond the end is read (the sanitizers watch). */
static void names_that_end_early_are_refused(void **state)
{
	struct answer_bytes bytes = {0};

	(void)state;
	put_good_names(&bytes);
	for (size_t size = 1; size < bytes.nr; size++) {
		struct names_world world = {0};
		_cleanup_free_ uint8_t *cut = memory_dup(bytes.data, size);
		int error = take_names(&world, cut, size);

		/* Between two addresses, an end is an end. */
		assert_true(error == -EPROTO || (error == 0 && world.nr_found > 0 && world.nr_found < 3));
	}
	vector_free(&bytes);
}

static void names_out_of_range_are_refused(void **state)
{
	const struct name_frame frame = {.name = "name"};
	const uint32_t indexes[] = {NR_ADDRS, UINT32_MAX}, counts[] = {NAME_FRAMES_MAX + 1, UINT32_MAX};
	const uint16_t lengths[] = {4, 6, NAME_MAX_BYTES + 2, UINT16_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(indexes) + ARRAY_SIZE(counts) + ARRAY_SIZE(lengths); i++) {
		struct names_world world = {0};

		answer_put_names(&world.bytes, 0, &frame, 1);
		if (i < 2)
			memcpy(world.bytes.data, &indexes[i], 4);
		else if (i < 4)
			memcpy(world.bytes.data + 4, &counts[i - 2], 4);
		else
			memcpy(world.bytes.data + 16, &lengths[i - 4], 2);
		assert_int_equal(take_names(&world, world.bytes.data, world.bytes.nr), -EPROTO);
		assert_int_equal(world.nr_found, 0);
		vector_free(&world.bytes);
	}
}

/* Changed at random: refused or taken, always within bounds. */
static void random_changes_stay_within_bounds(void **state)
{
	struct answer_bytes bytes = {0};
	unsigned int seed = 1, nr_refused = 0;

	(void)state;
	put_good_names(&bytes);
	for (int round = 0; round < 20000; round++) {
		struct names_world world = {0};
		_cleanup_free_ uint8_t *changed = memory_dup(bytes.data, bytes.nr);

		for (int i = 0; i < 3; i++)
			changed[(size_t)rand_r(&seed) % (i ? 100 : bytes.nr)] = (uint8_t)rand_r(&seed);
		nr_refused += take_names(&world, changed, bytes.nr) != 0;
	}
	assert_true(nr_refused > 10000);
	vector_free(&bytes);
}

static void functions_begin_before_what_they_cover(void **state)
{
	const uint64_t addrs[] = {10, 20, UINT64_MAX};
	const uint64_t good_starts[] = {10, 0, 5}, bad_starts[] = {10, 21, 5};

	(void)state;
	assert_int_equal(answer_check_starts(addrs, good_starts, 3), 0);
	assert_int_equal(answer_check_starts(addrs, bad_starts, 3), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_table_is_taken),
		cmocka_unit_test(sizes_of_tables_have_ceilings),
		cmocka_unit_test(broken_tables_are_refused),
		cmocka_unit_test(infos_come_back_or_are_refused),
		cmocka_unit_test(names_come_back),
		cmocka_unit_test(names_that_end_early_are_refused),
		cmocka_unit_test(names_out_of_range_are_refused),
		cmocka_unit_test(random_changes_stay_within_bounds),
		cmocka_unit_test(functions_begin_before_what_they_cover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
