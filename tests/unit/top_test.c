/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heaviest functions: every expected number was added up by hand from the stacks beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include "top.h"

static struct profile *empty_profile(void)
{
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, "cpu", "nanoseconds");
	profile_add_mapping(profile, &(struct profile_mapping){.limit = UINT64_MAX});
	return profile;
}

static uint32_t location_of(struct profile *profile, const char *name, const char *file, uint32_t line)
{
	struct profile_line place = {.function = profile_add_function(profile, name, NULL, file, 0), .line = line};

	return profile_add_location(profile, 0, line, &place, 1, false);
}

static void add_sample(struct profile *profile, const uint32_t *stack, uint32_t nr, int64_t count)
{
	profile_add_sample(profile, stack, nr, NULL, 0, (int64_t[]){count, count * 10});
}

static void assert_line(const struct profile *profile, const struct top_line *line, const char *name, int64_t flat,
			int64_t cum, uint32_t source_line)
{
	assert_string_equal(profile_text(profile, profile->functions.data[line->function].name), name);
	assert_int_equal(line->flat, flat);
	assert_int_equal(line->cum, cum);
	assert_int_equal(line->line, source_line);
}

static void test_nothing(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	struct top_line top[3];

	assert_int_equal(report_top(profile, 0, 3, top), 0);
	/* A function that no sample has is no line either, nor one whose samples weigh nothing. */
	uint32_t location = location_of(profile, "unused", "a.c", 1);

	assert_int_equal(report_top(profile, 0, 3, top), 0);
	add_sample(profile, &location, 1, 0);
	assert_int_equal(report_top(profile, 0, 3, top), 0);
	profile_destroy(profile);
}

static void test_flat_cum_recursion_and_order(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t main_call = location_of(profile, "main", "a.c", 5);
	uint32_t fib_add = location_of(profile, "fib", "a.c", 11);
	uint32_t fib_call = location_of(profile, "fib", "a.c", 12);
	uint32_t leaf = location_of(profile, "leaf", "b.c", 30);
	uint32_t equal = location_of(profile, "also", "b.c", 40);
	struct top_line top[8];

	add_sample(profile, (uint32_t[]){fib_add, main_call}, 2, 3);			 /* fib flat 3 */
	add_sample(profile, (uint32_t[]){fib_add, fib_call, fib_call, main_call}, 4, 4); /* fib flat 4, cum once */
	add_sample(profile, (uint32_t[]){leaf, fib_call, main_call}, 3, 5);		 /* leaf flat 5 */
	add_sample(profile, (uint32_t[]){equal, main_call}, 2, 5);			 /* also flat 5 */
	add_sample(profile, (uint32_t[]){fib_call, main_call}, 2, 1);			 /* fib flat 1 */
	add_sample(profile, (uint32_t[]){equal, leaf}, 2, 0);

	assert_int_equal(report_top(profile, 0, 8, top), 4);
	assert_line(profile, &top[0], "fib", 8, 13, 11);
	assert_line(profile, &top[1], "also", 5, 5, 40);
	assert_line(profile, &top[2], "leaf", 5, 5, 30);
	assert_line(profile, &top[3], "main", 0, 18, 5);

	assert_int_equal(report_top(profile, 1, 2, top), 2);
	assert_line(profile, &top[0], "fib", 80, 130, 11);
	assert_line(profile, &top[1], "also", 50, 50, 40);
	assert_int_equal(report_top(profile, 0, 0, top), 0);

	/* One more caller's sample: equal flat, larger cum goes first. */
	add_sample(profile, (uint32_t[]){main_call, leaf}, 2, 1);
	assert_int_equal(report_top(profile, 0, 8, top), 4);
	assert_line(profile, &top[1], "leaf", 5, 6, 30);
	assert_line(profile, &top[2], "also", 5, 5, 40);
	assert_line(profile, &top[3], "main", 1, 19, 5);
	profile_destroy(profile);
}

static void test_inlined_leaf_takes_the_flat_weight(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	struct profile_line lines[] = {
		{.function = profile_add_function(profile, "inlined", NULL, "a.h", 0), .line = 3},
		{.function = profile_add_function(profile, "outer", NULL, "a.c", 0), .line = 9},
	};
	struct profile_line twice[] = {lines[0], lines[0], lines[1]};
	uint32_t leaf = profile_add_location(profile, 0, 1, lines, 2, false);
	uint32_t nested = profile_add_location(profile, 0, 2, twice, 3, false);
	struct top_line top[4];

	add_sample(profile, &leaf, 1, 2);
	add_sample(profile, &nested, 1, 3);
	assert_int_equal(report_top(profile, 0, 4, top), 2);
	assert_line(profile, &top[0], "inlined", 5, 5, 3);
	assert_line(profile, &top[1], "outer", 0, 5, 9);
	profile_destroy(profile);
}

/* One name in two files: one line, placed where most of it is. */
static void test_functions_of_one_name(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t light = location_of(profile, "hash", "light.c", 4);
	uint32_t heavy = location_of(profile, "hash", "heavy.c", 7);
	uint32_t main_call = location_of(profile, "main", "a.c", 5);
	struct top_line top[4];

	add_sample(profile, (uint32_t[]){light, main_call}, 2, 2);
	add_sample(profile, (uint32_t[]){heavy, light, main_call}, 3, 3);
	assert_int_equal(report_top(profile, 0, 4, top), 2);
	assert_line(profile, &top[0], "hash", 5, 5, 7);
	assert_string_equal(profile_text(profile, profile->functions.data[top[0].function].filename), "heavy.c");
	assert_line(profile, &top[1], "main", 0, 5, 5);
	profile_destroy(profile);
}

static void test_line_of_a_function(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t unknown = location_of(profile, "f", "a.c", 0);
	uint32_t early = location_of(profile, "f", "a.c", 20);
	uint32_t late = location_of(profile, "f", "a.c", 21);
	uint32_t nameless = location_of(profile, "g", "", 0);
	struct top_line top[4];

	/* Equally heavy lines: the first; the unknown line does not count beside a known one. */
	add_sample(profile, &unknown, 1, 50);
	add_sample(profile, &late, 1, 2);
	add_sample(profile, &early, 1, 2);
	add_sample(profile, &nameless, 1, 1);
	assert_int_equal(report_top(profile, 0, 4, top), 2);
	assert_line(profile, &top[0], "f", 54, 54, 20);
	assert_line(profile, &top[1], "g", 1, 1, 0);
	add_sample(profile, &late, 1, 1);
	assert_int_equal(report_top(profile, 0, 4, top), 2);
	assert_line(profile, &top[0], "f", 55, 55, 21);
	profile_destroy(profile);
}

/* A function that is only ever a caller is placed at its heaviest call. */
static void test_line_of_a_caller(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t leaf = location_of(profile, "leaf", "a.c", 1);
	uint32_t first_call = location_of(profile, "f", "a.c", 20);
	uint32_t second_call = location_of(profile, "f", "a.c", 30);
	struct top_line top[2];

	add_sample(profile, (uint32_t[]){leaf, first_call}, 2, 1);
	add_sample(profile, (uint32_t[]){leaf, second_call, second_call}, 3, 2);
	add_sample(profile, (uint32_t[]){leaf, first_call, first_call}, 3, 1);
	assert_int_equal(report_top(profile, 0, 2, top), 2);
	assert_line(profile, &top[0], "leaf", 4, 4, 1);
	assert_line(profile, &top[1], "f", 0, 4, 20);
	add_sample(profile, (uint32_t[]){leaf, second_call}, 2, 1);
	assert_int_equal(report_top(profile, 0, 2, top), 2);
	assert_line(profile, &top[1], "f", 0, 5, 30);
	profile_destroy(profile);
}

static void test_extreme_values(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t big = location_of(profile, "big", "a.c", 1);
	uint32_t negative = location_of(profile, "negative", "a.c", 2);
	struct top_line top[2];

	profile_add_sample(profile, &big, 1, NULL, 0, (int64_t[]){INT64_MAX, 1});
	profile_add_sample(profile, (uint32_t[]){big, negative}, 2, NULL, 0, (int64_t[]){INT64_MAX, 1});
	profile_add_sample(profile, &negative, 1, NULL, 0, (int64_t[]){-5, 1});
	assert_int_equal(report_top(profile, 0, 2, top), 2);
	assert_line(profile, &top[0], "big", INT64_MAX, INT64_MAX, 1);
	assert_line(profile, &top[1], "negative", -5, INT64_MAX - 5, 2);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_flat_cum_recursion_and_order),
		cmocka_unit_test(test_inlined_leaf_takes_the_flat_weight),
		cmocka_unit_test(test_functions_of_one_name),
		cmocka_unit_test(test_line_of_a_function),
		cmocka_unit_test(test_line_of_a_caller),
		cmocka_unit_test(test_extreme_values),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
