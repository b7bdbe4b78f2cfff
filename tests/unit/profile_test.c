/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile in memory: what is equal is one, and what readers could not bear never gets in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include "memory.h"
#include "profile.h"

static struct profile *two_types(void)
{
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, "cpu", "nanoseconds");
	return profile;
}

/* A location of a function of this name, at an address of its own. */
static uint32_t simple_location(struct profile *profile, const char *name, uint64_t address)
{
	struct profile_mapping mapping = {.limit = 1 << 20, .filename = profile_string(profile, "/bin/a")};
	struct profile_line line = {.function = profile_add_function(profile, name, NULL, NULL, 0)};

	return profile_add_location(profile, profile_add_mapping(profile, &mapping), address, &line, 1, false);
}

static void test_equal_mappings_are_one(void **state)
{
	(void)state;
	struct profile *profile = two_types();
	struct profile_mapping base = {.start = 0x1000, .limit = 0x3000, .file_offset = 0x1000, .filename = 1};
	/* Garbage in the padding must not make a difference. */
	struct profile_mapping dirty;

	memset(&dirty, 0xaa, sizeof(dirty));
	dirty.start = base.start;
	dirty.limit = base.limit;
	dirty.file_offset = base.file_offset;
	dirty.filename = base.filename;
	dirty.build_id = 0;
	dirty.has_functions = dirty.has_filenames = dirty.has_line_numbers = dirty.has_inline_frames = false;
	assert_int_equal(profile_add_mapping(profile, &base), 0);
	assert_int_equal(profile_add_mapping(profile, &dirty), 0);

	struct profile_mapping others[] = {base, base, base, base, base, base, base, base, base};

	others[0].start++;
	others[1].limit++;
	others[2].file_offset++;
	others[3].filename++;
	others[4].build_id++;
	others[5].has_functions = true;
	others[6].has_filenames = true;
	others[7].has_line_numbers = true;
	others[8].has_inline_frames = true;
	for (uint32_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(profile_add_mapping(profile, &others[i]), i + 1);
	assert_int_equal(profile->mappings.nr, ARRAY_SIZE(others) + 1);

	/* Flags that are set later do not make it another mapping. */
	profile->mappings.data[0].has_functions = true;
	assert_int_equal(profile_add_mapping(profile, &base), 0);
	assert_true(profile->mappings.data[0].has_functions);
	profile_destroy(profile);
}

static void test_equal_functions_are_one(void **state)
{
	(void)state;
	struct profile *profile = two_types();

	assert_int_equal(profile_add_function(profile, "f", "_f", "a.c", 3), 0);
	assert_int_equal(profile_add_function(profile, "f", "_f", "a.c", 3), 0);
	assert_int_equal(profile_add_function(profile, "g", "_f", "a.c", 3), 1);
	assert_int_equal(profile_add_function(profile, "f", "_g", "a.c", 3), 2);
	assert_int_equal(profile_add_function(profile, "f", "_f", "b.c", 3), 3);
	assert_int_equal(profile_add_function(profile, "f", "_f", "a.c", 4), 4);
	assert_int_equal(profile_add_function(profile, "f", NULL, NULL, 0), 5);
	assert_int_equal(profile_add_function(profile, "f", "", "", 0), 5);
	profile_destroy(profile);
}

static void test_equal_locations_are_one(void **state)
{
	(void)state;
	struct profile *profile = two_types();
	struct profile_mapping mapping = {.filename = 1};

	for (uint32_t i = 0; i < 2; i++) {
		mapping.start = i;
		profile_add_mapping(profile, &mapping);
	}
	profile_add_function(profile, "f", NULL, NULL, 0);
	profile_add_function(profile, "g", NULL, NULL, 0);

	struct profile_line lines[] = {{.function = 0, .line = 1}, {.function = 1, .line = 2}};
	struct profile_line swapped[] = {lines[1], lines[0]};
	struct profile_line other_line[] = {{.function = 0, .line = 9}, lines[1]};

	assert_int_equal(profile_add_location(profile, 0, 16, lines, 2, false), 0);
	assert_int_equal(profile_add_location(profile, 0, 16, lines, 2, false), 0);
	assert_int_equal(profile_add_location(profile, 1, 16, lines, 2, false), 1);
	assert_int_equal(profile_add_location(profile, 0, 17, lines, 2, false), 2);
	assert_int_equal(profile_add_location(profile, 0, 16, lines, 1, false), 3);
	assert_int_equal(profile_add_location(profile, 0, 16, swapped, 2, false), 4);
	assert_int_equal(profile_add_location(profile, 0, 16, other_line, 2, false), 5);
	assert_int_equal(profile_add_location(profile, 0, 16, lines, 2, true), 6);
	assert_int_equal(profile->locations.nr, 7);
	assert_int_equal(profile->lines.nr, 6 * 2 + 1);
	assert_int_equal(profile->locations.data[5].nr_lines, 2);
	assert_int_equal(profile->lines.data[profile->locations.data[5].first_line].line, 9);
	profile_destroy(profile);
}

static void test_equal_samples_add_up(void **state)
{
	(void)state;
	struct profile *profile = two_types();
	uint32_t stack[] = {simple_location(profile, "f", 1), simple_location(profile, "main", 2)};
	struct profile_label labels[] = {
		profile_label_text(profile, "comm", "a"),
		profile_label_number(profile, "pid", 7, "pid"),
		profile_label_text(profile, "thread", "t"),
	};
	struct profile_label shuffled[] = {labels[2], labels[0], labels[1]};
	int64_t values[] = {1, 100};

	profile_add_sample(profile, stack, 2, labels, 3, values);
	profile_add_sample(profile, stack, 2, shuffled, 3, values);
	assert_int_equal(profile->samples.nr, 1);
	assert_int_equal(profile->samples.data[0].values[0], 2);
	assert_int_equal(profile->samples.data[0].values[1], 200);
	/* Kept sorted by key, whatever came first. */
	assert_string_equal(profile_text(profile, profile->sample_labels.data[0].key), "comm");
	assert_string_equal(profile_text(profile, profile->sample_labels.data[1].key), "pid");
	assert_string_equal(profile_text(profile, profile->sample_labels.data[2].key), "thread");

	struct profile_label other[3];
	size_t nr = 1;

	memcpy(other, labels, sizeof(other));
	other[1] = profile_label_number(profile, "pid", 8, "pid");
	profile_add_sample(profile, stack, 2, other, 3, values);
	assert_int_equal(profile->samples.nr, ++nr);
	other[1] = profile_label_number(profile, "pid", 7, "other");
	profile_add_sample(profile, stack, 2, other, 3, values);
	assert_int_equal(profile->samples.nr, ++nr);
	other[1] = profile_label_text(profile, "pid", "7");
	profile_add_sample(profile, stack, 2, other, 3, values);
	assert_int_equal(profile->samples.nr, ++nr);
	profile_add_sample(profile, stack, 2, labels, 2, values);
	assert_int_equal(profile->samples.nr, ++nr);
	profile_add_sample(profile, stack, 2, NULL, 0, values);
	assert_int_equal(profile->samples.nr, ++nr);
	profile_add_sample(profile, stack, 1, labels, 3, values);
	assert_int_equal(profile->samples.nr, ++nr);
	profile_add_sample(profile, (uint32_t[]){stack[1], stack[0]}, 2, labels, 3, values);
	assert_int_equal(profile->samples.nr, ++nr);
	assert_int_equal(profile->samples.data[0].values[0], 2);
	profile_destroy(profile);
}

static void test_sums_stop_at_the_ends(void **state)
{
	(void)state;
	struct profile *profile = two_types();
	uint32_t location = simple_location(profile, "f", 1);

	profile_add_sample(profile, &location, 1, NULL, 0, (int64_t[]){INT64_MAX, INT64_MIN});
	profile_add_sample(profile, &location, 1, NULL, 0, (int64_t[]){1, -1});
	assert_true(profile->samples.data[0].values[0] == INT64_MAX);
	assert_true(profile->samples.data[0].values[1] == INT64_MIN);
	profile_add_sample(profile, &location, 1, NULL, 0, (int64_t[]){-3, 3});
	assert_true(profile->samples.data[0].values[0] == INT64_MAX - 3);
	assert_true(profile->samples.data[0].values[1] == INT64_MIN + 3);
	profile_destroy(profile);
}

static void test_names_that_readers_would_rewrite(void **state)
{
	(void)state;
	static const struct {
		const char *name, *system_name;		  /* given */
		const char *kept_name, *kept_system_name; /* wanted */
	} cases[] = {
		{"main", "main", "main", "main"},
		{"main", NULL, "main", ""},
		{"foo<int>(int)", "_Z3fooIiEvi", "foo<int>(int)", "_Z3fooIiEvi"},
		{"foo<int>", "foo<int>", "foo<int>", ""},
		{"a::b", "a::b", "a::b", ""},
		{"a:b", "a:b", "a:b", "a:b"},
		{"[k] read", "[k] read", "[k] read", ""},
		{"x]", "x]", "x]", ""},
		{"operator>", "operator>", "operator>", ""},
		{"", "_Z1fv", "_Z1fv", "_Z1fv"},
		{NULL, "a::b", "a::b", ""},
		{NULL, NULL, "[unnamed]", ""},
		{"", "[unnamed]", "[unnamed]", ""},
		/* They differ as given, and are the same as written. */
		{"a::\x01", "a::\x02", "a::\xef\xbf\xbd", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct profile *profile = two_types();

		profile_add_function(profile, cases[i].name, cases[i].system_name, "f.c", 1);
		assert_string_equal(profile_text(profile, profile->functions.data[0].name), cases[i].kept_name);
		assert_string_equal(profile_text(profile, profile->functions.data[0].system_name),
				    cases[i].kept_system_name);
		profile_destroy(profile);
	}
}

#define BAD "\xef\xbf\xbd"

static void test_texts_become_valid(void **state)
{
	(void)state;
	static const struct {
		const char *given, *wanted;
	} cases[] = {
		{"plain", "plain"},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"\xff", BAD},
		{"a\x80z", "a" BAD "z"},
		{"a\xc3", "a" BAD},			  /* cut short by the end */
		{"\xe2\x82", BAD BAD},			  /* likewise */
		{"\xe2\x82z", BAD BAD "z"},		  /* likewise by another character */
		{"\xc0\xaf", BAD BAD},			  /* overlong '/' */
		{"\xe0\x9f\xbf", BAD BAD BAD},		  /* overlong */
		{"\xe0\xa0\x80", "\xe0\xa0\x80"},	  /* the first of three bytes */
		{"\xed\x9f\xbf", "\xed\x9f\xbf"},	  /* the last before the surrogates */
		{"\xed\xa0\x80", BAD BAD BAD},		  /* a surrogate */
		{"\xf0\x8f\xbf\xbf", BAD BAD BAD BAD},	  /* overlong */
		{"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}, /* U+10FFFF */
		{"\xf4\x90\x80\x80", BAD BAD BAD BAD},	  /* above it */
		{"\xf5\x80\x80\x80", BAD BAD BAD BAD},
		{"a\x1b[31mb", "a" BAD "[31mb"},
		{"a\nb\tc\x7f", "a" BAD "b" BAD "c" BAD},
		{"\xc2\x9b"
		 "0m\xc2\xa0",
		 BAD "0m\xc2\xa0"}, /* C1's CSI goes, the no-break space stays */
	};
	struct profile *profile = two_types();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(profile_text(profile, profile_string(profile, cases[i].given)), cases[i].wanted);
	assert_int_equal(profile_string(profile, NULL), 0);

	profile_add_comment(profile, "two\n\tlines\x07");
	assert_string_equal(profile_text(profile, profile->comments.data[0]), "two\n\tlines" BAD);
	profile_destroy(profile);
}

/* The text of nr bytes 'a' followed by tail, as the profile keeps it. */
static const char *kept_after(struct profile *profile, size_t nr, const char *tail)
{
	_cleanup_free_ char *text = memory_zalloc(nr + strlen(tail) + 1, 1);

	memset(text, 'a', nr);
	strcpy(text + nr, tail);
	return profile_text(profile, profile_string(profile, text));
}

static void test_long_texts_are_cut_between_characters(void **state)
{
	(void)state;
	struct profile *profile = two_types();

	assert_int_equal(strlen(kept_after(profile, PROFILE_TEXT_MAX, "")), PROFILE_TEXT_MAX);
	assert_int_equal(strlen(kept_after(profile, PROFILE_TEXT_MAX, "b")), PROFILE_TEXT_MAX);
	assert_int_equal(strlen(kept_after(profile, PROFILE_TEXT_MAX - 2, "\xc3\xa9")), PROFILE_TEXT_MAX);
	assert_int_equal(strlen(kept_after(profile, PROFILE_TEXT_MAX - 1, "\xc3\xa9")), PROFILE_TEXT_MAX - 1);
	assert_int_equal(strlen(kept_after(profile, PROFILE_TEXT_MAX - 3,
					   "\xf0\x9f\x98\x80"
					   "b")),
			 PROFILE_TEXT_MAX - 3);
	/* A replacement that would not fit ends the text as well. */
	assert_int_equal(strlen(kept_after(profile, PROFILE_TEXT_MAX - 2,
					   "\xff"
					   "b")),
			 PROFILE_TEXT_MAX - 2);
	assert_int_equal(strlen(kept_after(profile, PROFILE_TEXT_MAX - 3,
					   "\xff"
					   "b")),
			 PROFILE_TEXT_MAX);
	assert_int_equal(strlen(kept_after(profile, 10 * PROFILE_TEXT_MAX, "")), PROFILE_TEXT_MAX);
	profile_destroy(profile);
}

static void test_labels(void **state)
{
	(void)state;
	struct profile *profile = two_types();
	struct profile_label label = profile_label_number(profile, "cpu", 0, "cpu");

	assert_int_equal(label.text, 0);
	assert_string_equal(profile_text(profile, label.unit), "cpu");
	label = profile_label_number(profile, "tid", -1, NULL);
	assert_int_equal(label.number, -1);
	assert_string_equal(profile_text(profile, label.unit), "tid");
	label = profile_label_text(profile, "comm", "sh");
	assert_string_equal(profile_text(profile, label.text), "sh");
	assert_int_equal(label.unit, 0);
	/* An empty text would be a number to a reader. */
	label = profile_label_text(profile, "comm", "");
	assert_string_equal(profile_text(profile, label.text), "[empty]");
	label = profile_label_text(profile, "comm", NULL);
	assert_string_equal(profile_text(profile, label.text), "[empty]");
	profile_destroy(profile);
}

static void test_many_samples(void **state)
{
	(void)state;
	enum { NR = 100000, DEPTH = 30, NR_LOCATIONS = 5000 };
	struct profile *profile = two_types();
	uint32_t locations[NR_LOCATIONS];
	char name[32];

	for (uint32_t i = 0; i < NR_LOCATIONS; i++) {
		snprintf(name, sizeof(name), "function%u", i);
		locations[i] = simple_location(profile, name, i);
		assert_int_equal(locations[i], i);
	}
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < NR; i++) {
			uint32_t stack[DEPTH];
			uint32_t rest = i;

			/* The digits of i in the stack make each another one. */
			for (uint32_t j = 0; j < DEPTH; j++, rest /= 10)
				stack[j] = locations[j * 10 + rest % 10];
			profile_add_sample(profile, stack, DEPTH, NULL, 0, (int64_t[]){1, i});
		}
	}
	assert_int_equal(profile->samples.nr, NR);
	assert_int_equal(profile->sample_locations.nr, NR * DEPTH);
	for (uint32_t i = 0; i < NR; i++) {
		assert_int_equal(profile->samples.data[i].values[0], 2);
		assert_int_equal(profile->samples.data[i].values[1], 2 * i);
	}
	profile_destroy(profile);
}

/*
 * Slots compare content only when 32 bits of hash agree, which is rare: among this many that differ in a single number
 * about ten pairs do, and must stay apart.
 */
static void test_equal_hashes_are_not_enough(void **state)
{
	(void)state;
	enum { NR = 300000 };
	struct profile *profile = two_types();
	char unit[16];

	simple_location(profile, "f", 1);
	for (uint32_t i = 0; i < NR; i++)
		profile_add_mapping(profile, &(struct profile_mapping){.start = i + 1});
	for (uint32_t i = 0; i < NR; i++) {
		struct profile_line line = {.line = i + 1};

		assert_int_equal(profile_add_location(profile, 0, 1, &line, 1, false), 3 * i + 1);
		line.line = 0;
		assert_int_equal(profile_add_location(profile, i + 1, 1, &line, 1, false), 3 * i + 2);
		assert_int_equal(profile_add_location(profile, 0, i + 2, &line, 1, false), 3 * i + 3);
	}
	for (uint32_t i = 0; i < NR; i++) {
		struct profile_label label = profile_label_number(profile, "number", i, "unit");

		profile_add_sample(profile, (uint32_t[]){0}, 1, &label, 1, (int64_t[]){1, 1});
		snprintf(unit, sizeof(unit), "%u", i);
		label = profile_label_number(profile, "unit", 0, unit);
		profile_add_sample(profile, (uint32_t[]){0}, 1, &label, 1, (int64_t[]){1, 1});
		label = profile_label_text(profile, "text", unit);
		profile_add_sample(profile, (uint32_t[]){0}, 1, &label, 1, (int64_t[]){1, 1});
		profile_add_sample(profile, &i, 1, NULL, 0, (int64_t[]){1, 1});
		assert_int_equal(profile->samples.nr, 4 * (i + 1));
	}
	profile_destroy(profile);
}

static void test_deepest_stack(void **state)
{
	(void)state;
	struct profile *profile = two_types();
	static uint32_t stack[PROFILE_STACK_MAX];
	struct profile_label labels[PROFILE_LABELS_MAX];
	char key[16];

	simple_location(profile, "f", 1);
	for (uint32_t i = 0; i < PROFILE_LABELS_MAX; i++) {
		snprintf(key, sizeof(key), "key%02u", PROFILE_LABELS_MAX - i);
		labels[i] = profile_label_number(profile, key, i, "unit");
	}
	profile_add_sample(profile, stack, PROFILE_STACK_MAX, labels, PROFILE_LABELS_MAX, (int64_t[]){1, 1});
	profile_add_sample(profile, stack, PROFILE_STACK_MAX - 1, labels, PROFILE_LABELS_MAX, (int64_t[]){1, 1});
	assert_int_equal(profile->samples.nr, 2);
	assert_int_equal(profile->sample_labels.data[0].number, PROFILE_LABELS_MAX - 1);
	profile_destroy(profile);
}

static void location_without_line(struct profile *profile)
{
	profile_add_location(profile, 0, 1, NULL, 0, false);
}

static void sample_without_stack(struct profile *profile)
{
	profile_add_sample(profile, NULL, 0, NULL, 0, (int64_t[]){1, 1});
}

static void sample_of_unknown_location(struct profile *profile)
{
	profile_add_sample(profile, (uint32_t[]){1}, 1, NULL, 0, (int64_t[]){1, 1});
}

static void stack_too_deep(struct profile *profile)
{
	static uint32_t stack[PROFILE_STACK_MAX + 1];

	profile_add_sample(profile, stack, PROFILE_STACK_MAX + 1, NULL, 0, (int64_t[]){1, 1});
}

static void test_programmer_errors_abort(void **state)
{
	(void)state;
	void (*const mistakes[])(struct profile *) = {location_without_line, sample_without_stack,
						      sample_of_unknown_location, stack_too_deep};

	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			struct profile *profile = two_types();

			simple_location(profile, "f", 1);
			if (freopen("/dev/null", "w", stderr))
				mistakes[i](profile);
			_exit(0);
		}
		int status;

		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_mappings_are_one),
		cmocka_unit_test(test_equal_functions_are_one),
		cmocka_unit_test(test_equal_locations_are_one),
		cmocka_unit_test(test_equal_samples_add_up),
		cmocka_unit_test(test_sums_stop_at_the_ends),
		cmocka_unit_test(test_names_that_readers_would_rewrite),
		cmocka_unit_test(test_texts_become_valid),
		cmocka_unit_test(test_long_texts_are_cut_between_characters),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_many_samples),
		cmocka_unit_test(test_equal_hashes_are_not_enough),
		cmocka_unit_test(test_deepest_stack),
		cmocka_unit_test(test_programmer_errors_abort),
	};

	return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
