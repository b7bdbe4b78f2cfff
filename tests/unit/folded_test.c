/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folded stacks: the expected texts are what a flame graph script should be given.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include "folded.h"
#include "memory_sink.h"

static struct profile *empty_profile(void)
{
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, "cpu", "nanoseconds");
	return profile;
}

static uint32_t location_in(struct profile *profile, const char *file, uint64_t address, const char *name)
{
	struct profile_mapping mapping = {.limit = UINT64_MAX, .filename = profile_string(profile, file)};
	struct profile_line line = {.function = profile_add_function(profile, name, NULL, NULL, 0)};

	return profile_add_location(profile, profile_add_mapping(profile, &mapping), address, &line, 1, false);
}

static void add_sample(struct profile *profile, const uint32_t *stack, uint32_t nr, const char *comm, int64_t count)
{
	struct profile_label label;

	if (comm)
		label = profile_label_text(profile, "comm", comm);
	profile_add_sample(profile, stack, nr, comm ? &label : NULL, comm ? 1 : 0, (int64_t[]){count, count * 1000});
}

static void assert_folded(const struct profile *profile, const char *expected)
{
	struct memory_sink sink;

	memory_sink_init(&sink);
	assert_int_equal(folded_write(profile, &sink.sink), 0);
	assert_string_equal(sink.data ? sink.data : "", expected);
	memory_sink_deinit(&sink);
}

static void test_no_samples(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();

	assert_folded(profile, "");
	profile_destroy(profile);
}

static void test_merge_sort_and_root_first(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t main_function = location_in(profile, "/bin/a", 1, "main");
	uint32_t work = location_in(profile, "/bin/a", 2, "work");
	uint32_t work_elsewhere = location_in(profile, "/bin/a", 3, "work");
	uint32_t big = location_in(profile, "/bin/a", 4, "Big");

	add_sample(profile, (uint32_t[]){work, main_function}, 2, "b", 3);
	add_sample(profile, (uint32_t[]){main_function}, 1, "b", 1);
	add_sample(profile, (uint32_t[]){work_elsewhere, main_function}, 2, "b", 4);
	add_sample(profile, (uint32_t[]){big, main_function}, 2, "b", 5);
	add_sample(profile, (uint32_t[]){work, main_function}, 2, "a", 7);
	add_sample(profile, (uint32_t[]){work, main_function}, 2, NULL, 9);
	add_sample(profile, (uint32_t[]){big}, 1, NULL, 0);
	assert_folded(profile, "a;main;work 7\n"
			       "b;main 1\n"
			       "b;main;Big 5\n"
			       "b;main;work 7\n"
			       "main;work 9\n");
	profile_destroy(profile);
}

static void test_inlined_functions_are_frames(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t mapping = profile_add_mapping(profile, &(struct profile_mapping){.limit = 100});
	struct profile_line lines[] = {
		{.function = profile_add_function(profile, "innermost", NULL, NULL, 0)},
		{.function = profile_add_function(profile, "between", NULL, NULL, 0)},
		{.function = profile_add_function(profile, "real", NULL, NULL, 0)},
	};
	uint32_t stack[] = {profile_add_location(profile, mapping, 1, lines, 3, false),
			    location_in(profile, "/bin/a", 1, "main")};

	add_sample(profile, stack, 2, NULL, 2);
	assert_folded(profile, "main;real;between;innermost 2\n");
	profile_destroy(profile);
}

static void test_kernel_functions_are_marked(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t stack[] = {
		location_in(profile, "[nf_tables]", 0xffffffffc0001000, "nft_do_chain"),
		location_in(profile, "[kernel.kallsyms]_text", 0xffffffff81000000, "do_syscall_64"),
		location_in(profile, "[kernel]", 0, "[kernel]+0x10"),
		location_in(profile, "[vsyscall]", 0xffffffffff600000, "gettimeofday"),
		location_in(profile, "[vdso]", 0x7fff00001000, "clock_gettime"),
		location_in(profile, "/bin/kernel", 0x7ffffffff000, "main"),
	};

	add_sample(profile, stack, 6, "sh", 1);
	assert_folded(profile,
		      "sh;main;clock_gettime;gettimeofday;[kernel]+0x10_[k];do_syscall_64_[k];nft_do_chain_[k] "
		      "1\n");
	profile_destroy(profile);
}

/* Line breaks can't come in through the profile's own functions, but through a file that was read. */
static void test_separators_in_names(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t stack[] = {location_in(profile, "/bin/a", 1, "a;b c"), location_in(profile, "/bin/a", 2, "x")};

	profile->functions.data[1].name = strings_intern(&profile->strings, "one\ntwo\r");
	add_sample(profile, stack, 2, "co;mm", 1);
	assert_folded(profile, "co:mm;one two ;a:b c 1\n");
	profile_destroy(profile);
}

/* A number under the key "comm" is no name, nor is another text label. */
static void test_only_the_comm_text_is_a_root(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t location = location_in(profile, "/bin/a", 1, "main");
	struct profile_label number = profile_label_number(profile, "comm", 5, "x");
	struct profile_label thread = profile_label_text(profile, "thread", "worker");

	profile_add_sample(profile, &location, 1, &number, 1, (int64_t[]){1, 1});
	profile_add_sample(profile, &location, 1, &thread, 1, (int64_t[]){2, 1});
	assert_folded(profile, "main 3\n");
	profile_destroy(profile);
}

static void test_weights(void **state)
{
	(void)state;
	struct profile *profile = empty_profile();
	uint32_t a = location_in(profile, "/bin/a", 1, "a");
	uint32_t a_elsewhere = location_in(profile, "/bin/a", 2, "a");
	uint32_t b = location_in(profile, "/bin/a", 3, "b");
	uint32_t c = location_in(profile, "/bin/a", 4, "c");
	uint32_t c_elsewhere = location_in(profile, "/bin/a", 5, "c");

	profile_add_sample(profile, &a, 1, NULL, 0, (int64_t[]){INT64_MAX, 0});
	profile_add_sample(profile, &a_elsewhere, 1, NULL, 0, (int64_t[]){INT64_MAX, 0});
	profile_add_sample(profile, &b, 1, NULL, 0, (int64_t[]){-5, 0});
	profile_add_sample(profile, &c, 1, NULL, 0, (int64_t[]){-5, 0});
	profile_add_sample(profile, &c_elsewhere, 1, NULL, 0, (int64_t[]){5, 0});
	assert_folded(profile, "a 9223372036854775807\nb -5\n");
	profile_destroy(profile);
}

static void test_large_output_and_errors(void **state)
{
	(void)state;
	enum { NR = 20000 };
	struct profile *profile = empty_profile();
	struct memory_sink sink;
	char name[32];

	for (uint32_t i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "function%05u", NR - 1 - i);
		uint32_t location = location_in(profile, "/bin/a", i, name);

		add_sample(profile, &location, 1, NULL, NR - i);
	}
	memory_sink_init(&sink);
	assert_int_equal(folded_write(profile, &sink.sink), 0);
	size_t nr_writes = sink.nr_writes;
	const char *at = sink.data;

	assert_true(nr_writes > 3);
	for (uint32_t i = 0; i < NR; i++) {
		int length = snprintf(name, sizeof(name), "function%05u %u\n", i, i + 1);

		assert_memory_equal(at, name, (size_t)length);
		at += length;
	}
	assert_ptr_equal(at, sink.data + sink.size_bytes);
	memory_sink_deinit(&sink);

	for (size_t i = 0; i < 3; i++) {
		memory_sink_init(&sink);
		sink.fail_at = (size_t[]){1, 2, nr_writes}[i];
		sink.error = -EPIPE;
		assert_int_equal(folded_write(profile, &sink.sink), -EPIPE);
		assert_int_equal(sink.nr_writes, sink.fail_at);
		memory_sink_deinit(&sink);
	}
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_samples),
		cmocka_unit_test(test_merge_sort_and_root_first),
		cmocka_unit_test(test_inlined_functions_are_frames),
		cmocka_unit_test(test_kernel_functions_are_marked),
		cmocka_unit_test(test_separators_in_names),
		cmocka_unit_test(test_only_the_comm_text_is_a_root),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_large_output_and_errors),
	};

	return cmocka_run_group_tests_name("folded", tests, NULL, NULL);
}
