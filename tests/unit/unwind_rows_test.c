/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging, patching and packing rows, against a model that says the rule of every single byte: functions painted over
 * each other in order of precedence.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unwind.h"
#include "unwind_rows.h"

enum { SPAN = 5000, ROUNDS = 400, RULES = 9 };

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % limit;
}

struct fixture {
	struct row_ranges ranges;
	struct rule_rows rows;
	struct rule_rows merged;
	struct rule_rows patched;
	struct rule_patches patches;
	struct unwind_table table;
	uint32_t model[SPAN + 1];
};

static void fixture_deinit(struct fixture *fixture)
{
	vector_free(&fixture->ranges.list);
	vector_free(&fixture->rows.list);
	vector_free(&fixture->merged.list);
	vector_free(&fixture->patched.list);
	vector_free(&fixture->patches.list);
	free(fixture->table.granules);
	free(fixture->table.rows);
}

static void add_row(struct fixture *fixture, uint32_t start, uint32_t rule)
{
	*vector_push(&fixture->rows.list) = (struct rule_row){.start = start, .rule = rule};
}

static void add_random_range(struct fixture *fixture, uint32_t longest)
{
	uint32_t start = random_below(SPAN - 1);
	uint32_t rest = SPAN - start;
	uint32_t end = start + 1 + random_below(rest < longest ? rest : longest);
	size_t first = fixture->rows.list.nr;

	for (uint32_t at = start; at < end; at += 1 + random_below(40))
		add_row(fixture, at, random_below(RULES));
	*vector_push(&fixture->ranges.list) = (struct row_range){
		.start = start,
		.end = end,
		.first_row = (uint32_t)first,
		.nr_rows = (uint32_t)(fixture->rows.list.nr - first),
	};
}

static void paint_range(struct fixture *fixture, const struct row_range *range)
{
	for (uint32_t i = 0; i < range->nr_rows; i++)
		for (uint32_t at = fixture->rows.list.data[range->first_row + i].start; at < range->end; at++)
			fixture->model[at] = fixture->rows.list.data[range->first_row + i].rule;
}

/* By ascending start; among equal starts the last one first, so that the first one is painted on top. */
static void paint_model(struct fixture *fixture)
{
	for (uint32_t start = 0; start < SPAN; start++) {
		for (size_t i = fixture->ranges.list.nr; i > 0; i--)
			if (fixture->ranges.list.data[i - 1].start == start)
				paint_range(fixture, &fixture->ranges.list.data[i - 1]);
	}
}

static void check_rows(const struct fixture *fixture, const struct rule_rows *rows)
{
	size_t row = 0;
	uint32_t rule = RULE_NONE;

	for (uint32_t at = 0; at <= SPAN; at++) {
		if (row < rows->list.nr && rows->list.data[row].start == at) {
			assert_int_not_equal(rows->list.data[row].rule, rule); /* no equal neighbours */
			rule = rows->list.data[row++].rule;
		}
		assert_int_equal(rule, fixture->model[at]);
	}
	assert_int_equal(row, rows->list.nr); /* sorted, and none behind the end */
}

static void check_table(struct fixture *fixture, uint64_t origin)
{
	struct unwind_rule rules[RULES];

	for (uint32_t i = 0; i < RULES; i++)
		rules[i] = (struct unwind_rule){.cfa_offset = (int32_t)i};
	fixture->table.rules = rules;
	fixture->table.nr_rules = RULES;
	for (uint32_t at = 0; at <= SPAN; at++)
		assert_int_equal(unwind_table_find(&fixture->table, origin + at)->cfa_offset, fixture->model[at]);
	assert_int_equal(unwind_table_find(&fixture->table, origin - 1)->cfa_offset, RULE_NONE);
	assert_int_equal(unwind_table_find(&fixture->table, UINT64_MAX)->cfa_offset, RULE_NONE);
	assert_int_equal(fixture->table.start % GRANULE_SIZE, 0);
	uint32_t nr_rows = 0;

	for (uint32_t i = 0; i < fixture->table.nr_granules; i++) {
		const struct unwind_granule *granule = &fixture->table.granules[i];

		assert_int_equal(granule->first_row, nr_rows);
		assert_true(granule->nr_rows <= GRANULE_ROWS_MAX);
		for (uint32_t j = 0; j < granule->nr_rows; j++) {
			assert_true(fixture->table.rows[nr_rows + j].offset > 0);
			assert_true(fixture->table.rows[nr_rows + j].offset < GRANULE_SIZE);
		}
		nr_rows += granule->nr_rows;
	}
	assert_int_equal(nr_rows, fixture->table.nr_rows);
}

static void add_random_patches(struct fixture *fixture)
{
	uint32_t at = 0;

	for (;;) {
		uint32_t start = at + random_below(900);
		uint32_t end = start + 1 + random_below(60);
		uint32_t rule = random_below(RULES);

		if (end > SPAN)
			return;
		*vector_push(&fixture->patches.list) = (struct rule_patch){.start = start, .end = end, .rule = rule};
		for (uint32_t i = start; i < end; i++)
			fixture->model[i] = rule;
		at = end;
	}
}

static void random_functions(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct fixture fixture = {0};
		uint64_t origin = (uint64_t)random_below(8) * GRANULE_SIZE + GRANULE_SIZE;
		/* From nearly disjoint to deeply nested. */
		uint32_t longest = round % 3 == 0 ? 30 : round % 3 == 1 ? 300 : SPAN;
		uint32_t nr = 1 + random_below(60);

		random_state = round;
		for (uint32_t i = 0; i < nr; i++)
			add_random_range(&fixture, longest);
		paint_model(&fixture);
		rule_rows_merge(&fixture.ranges, &fixture.rows, &fixture.merged);
		check_rows(&fixture, &fixture.merged);
		add_random_patches(&fixture);
		rule_rows_patch(&fixture.merged, &fixture.patches, &fixture.patched);
		check_rows(&fixture, &fixture.patched);
		assert_int_equal(unwind_table_fill(&fixture.table, &fixture.patched, origin), 0);
		check_table(&fixture, origin);
		fixture_deinit(&fixture);
	}
}

static void one_row_per_byte(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	for (uint32_t at = 0; at < 3 * GRANULE_SIZE; at++) {
		fixture.model[at] = 4 + at % 2;
		add_row(&fixture, at, fixture.model[at]);
	}
	*vector_push(&fixture.ranges.list) = (struct row_range){.end = 3 * GRANULE_SIZE, .nr_rows = 3 * GRANULE_SIZE};
	rule_rows_merge(&fixture.ranges, &fixture.rows, &fixture.merged);
	assert_int_equal(unwind_table_fill(&fixture.table, &fixture.merged, GRANULE_SIZE), 0);
	check_table(&fixture, GRANULE_SIZE);
	assert_int_equal(fixture.table.granules[1].nr_rows, GRANULE_SIZE - 1);
	assert_int_equal(fixture.table.granules[1].rule, 4);
	fixture_deinit(&fixture);
}

static const struct unwind_rule *rule_at(const struct fixture *fixture, uint64_t offset)
{
	return unwind_table_find(&fixture->table, offset);
}

/* Two functions, nearly 4 GiB apart: the index has little to say and is small. */
static void functions_far_apart(void **state)
{
	enum { COARSE = GRANULE_SIZE << GRANULE_COARSER_MAX };
	const uint32_t start = 2 * COARSE + 3 * GRANULE_SIZE + 5;
	struct unwind_rule rules[RULES] = {0};
	struct fixture fixture = {0};

	(void)state;
	for (int32_t i = 0; i < RULES; i++)
		rules[i].cfa_offset = i;
	add_row(&fixture, start, 7);
	add_row(&fixture, UINT32_MAX - 10, 8);
	*vector_push(&fixture.ranges.list) = (struct row_range){UINT32_MAX - 10, UINT32_MAX, 1, 1};
	*vector_push(&fixture.ranges.list) = (struct row_range){start, start + 1, 0, 1};
	rule_rows_merge(&fixture.ranges, &fixture.rows, &fixture.merged);
	/* The origin need not be a multiple of what granules become. */
	assert_int_equal(unwind_table_fill(&fixture.table, &fixture.merged, GRANULE_SIZE), 0);
	fixture.table.rules = rules;
	assert_int_equal(fixture.table.coarser, GRANULE_COARSER_MAX);
	assert_int_equal(fixture.table.start, 2 * COARSE + GRANULE_SIZE);
	assert_int_equal(fixture.table.nr_granules, (1u << 16) - 2);
	assert_int_equal(fixture.table.nr_rows, 4);
	assert_int_equal(fixture.table.granules[0].nr_rows, 2);
	assert_int_equal(fixture.table.granules[1].nr_rows, 0);
	assert_int_equal(fixture.table.granules[1].rule, RULE_NONE);
	assert_int_equal(fixture.table.granules[fixture.table.nr_granules - 1].nr_rows, 2);
	assert_int_equal(rule_at(&fixture, GRANULE_SIZE + start - 1)->cfa_offset, RULE_NONE);
	assert_int_equal(rule_at(&fixture, GRANULE_SIZE + start)->cfa_offset, 7);
	assert_int_equal(rule_at(&fixture, GRANULE_SIZE + start + 1)->cfa_offset, RULE_NONE);
	assert_int_equal(rule_at(&fixture, (uint64_t)GRANULE_SIZE + UINT32_MAX - 11)->cfa_offset, RULE_NONE);
	assert_int_equal(rule_at(&fixture, (uint64_t)GRANULE_SIZE + UINT32_MAX - 10)->cfa_offset, 8);
	assert_int_equal(rule_at(&fixture, (uint64_t)GRANULE_SIZE + UINT32_MAX)->cfa_offset, RULE_NONE);
	fixture_deinit(&fixture);
}

/* As many rows as a granule of 1 KiB can hold stay in one of 2 KiB; with more there is no index of a fair size. */
static void dense_and_far_apart(void **state)
{
	(void)state;
	for (uint32_t nr = GRANULE_ROWS_MAX - 10; nr <= GRANULE_ROWS_MAX + 10; nr += 10) {
		struct fixture fixture = {0};

		for (uint32_t at = 0; at < nr; at++)
			*vector_push(&fixture.merged.list) = (struct rule_row){.start = at, .rule = 4 + at % 2};
		/* 100 MiB: granules have to become coarser once. */
		*vector_push(&fixture.merged.list) = (struct rule_row){.start = 100 << 20, .rule = 4 + nr % 2};
		if (nr > GRANULE_ROWS_MAX) {
			assert_int_equal(unwind_table_fill(&fixture.table, &fixture.merged, 0), -E2BIG);
			assert_null(fixture.table.granules);
		} else {
			assert_int_equal(unwind_table_fill(&fixture.table, &fixture.merged, 0), 0);
			assert_int_equal(fixture.table.coarser, 1);
			assert_int_equal(fixture.table.granules[0].nr_rows, nr - 1);
		}
		fixture_deinit(&fixture);
	}
}

static void patches_that_overlap(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	*vector_push(&fixture.patches.list) = (struct rule_patch){20, 30, 5};
	*vector_push(&fixture.patches.list) = (struct rule_patch){10, 25, 6}; /* sorts first, and wins up to its end */
	*vector_push(&fixture.patches.list) = (struct rule_patch){40, 40, 7}; /* empty */
	*vector_push(&fixture.patches.list) = (struct rule_patch){12, 20, 7}; /* nothing is left of it */
	for (uint32_t at = 10; at < 30; at++)
		fixture.model[at] = at < 25 ? 6 : 5;
	rule_rows_patch(&fixture.merged, &fixture.patches, &fixture.patched);
	check_rows(&fixture, &fixture.patched);
	fixture_deinit(&fixture);
}

static void nothing(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	rule_rows_merge(&fixture.ranges, &fixture.rows, &fixture.merged);
	rule_rows_patch(&fixture.merged, &fixture.patches, &fixture.patched);
	assert_int_equal(fixture.patched.list.nr, 0);
	assert_int_equal(unwind_table_fill(&fixture.table, &fixture.patched, GRANULE_SIZE), 0);
	assert_int_equal(fixture.table.nr_granules, 0);
	check_table(&fixture, GRANULE_SIZE);
	fixture_deinit(&fixture);
}

/* More distinct rules than a table can number. */
static void too_many_rules(void **state)
{
	struct unwind_rules rules;

	(void)state;
	unwind_rules_init(&rules);
	assert_int_equal(rules.list.nr, RULE_FIRST_FREE);
	for (int i = 0; i < RULES_MAX + 100; i++) {
		struct unwind_rule rule = {.cfa = CFA_REGISTER, .cfa_offset = i};
		uint16_t number = unwind_rules_intern(&rules, &rule);

		assert_int_equal(number, i < RULES_MAX - RULE_FIRST_FREE ? RULE_FIRST_FREE + i : RULE_UNSUPPORTED);
	}
	struct unwind_rule known = {.cfa = CFA_REGISTER, .cfa_offset = 9};

	assert_int_equal(unwind_rules_intern(&rules, &known), RULE_FIRST_FREE + 9);
	assert_int_equal(rules.list.nr, RULES_MAX);
	unwind_rules_deinit(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_functions),     cmocka_unit_test(one_row_per_byte),
		cmocka_unit_test(functions_far_apart),  cmocka_unit_test(dense_and_far_apart),
		cmocka_unit_test(patches_that_overlap), cmocka_unit_test(nothing),
		cmocka_unit_test(too_many_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
