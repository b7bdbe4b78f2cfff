/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said about a recording: the lines at its end, --stats, the profile's comments, and what --strict compares.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include <math.h>

#include "memory.h"
#include "reasons.h"
#include "record_comments.h"
#include "stats_json.h"
#include "summary.h"

static struct profile *make_profile(int nr_functions)
{
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, "cpu", "nanoseconds");
	profile_add_mapping(profile, &(struct profile_mapping){.limit = UINT64_MAX});
	for (int i = 0; i < nr_functions; i++) {
		char name[32];

		snprintf(name, sizeof(name), "function_%d", i);
		struct profile_line line = {.function = profile_add_function(profile, name, NULL, "/src/file.c", 1),
					    .line = 10 + (uint32_t)i};
		uint32_t location = profile_add_location(profile, 0, 0x1000 + (uint64_t)i, &line, 1, false);

		/* 40, 30, 20, 10, ... ms */
		int64_t count = i < 4 ? 40 - 10 * i : 1;

		profile_add_sample(profile, &location, 1, NULL, 0, (int64_t[]){count, count * 1000000});
	}
	return profile;
}

static char *print(const struct summary *summary)
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");

	summary_print(summary, out);
	fclose(out);
	return memory_strdup(text);
}

static size_t count_lines(const char *text)
{
	size_t nr = 0;

	for (; *text; text++)
		nr += *text == '\n';
	return nr;
}

static void test_good_run(void **state)
{
	(void)state;
	struct profile *profile = make_profile(3);
	const struct summary summary = {
		.seconds = 10.04,
		.samples = 4950,
		.complete_share = 1,
		.profile = profile,
		.value_index = 1,
		.path = "out.pb.gz",
		.viewer = "go tool pprof -top out.pb.gz",
	};
	_cleanup_free_ char *text = print(&summary);

	assert_string_equal(text, "10.0 s, 4,950 samples, 90 ms of CPU time, 100.00 % complete stacks\n"
				  "   44.44 %  function_0  /src/file.c:10\n"
				  "   33.33 %  function_1  /src/file.c:11\n"
				  "   22.22 %  function_2  /src/file.c:12\n"
				  "wrote out.pb.gz\n"
				  "look further: go tool pprof -top out.pb.gz\n");
	profile_destroy(profile);
}

static void test_never_rounded_to_perfect(void **state)
{
	(void)state;
	struct profile *profile = make_profile(1);
	const struct summary summary = {
		.samples = 1, .complete_share = 0.9999999, .ended_share = 1e-9, .profile = profile, .value_index = 1};
	_cleanup_free_ char *text = print(&summary);

	assert_non_null(strstr(text, "1 sample,"));
	assert_non_null(strstr(text, "99.99 % complete stacks"));
	assert_non_null(strstr(text, "0.01 % ended by frame pointer"));
	assert_non_null(strstr(text, "wrote the profile to standard output\n"));
	profile_destroy(profile);
}

static void test_empty_run(void **state)
{
	(void)state;
	struct profile *profile = make_profile(0);
	const struct summary summary = {
		.seconds = 1, .complete_share = NAN, .profile = profile, .value_index = 1, .path = "x"};
	_cleanup_free_ char *text = print(&summary);

	assert_string_equal(text, "1.00 s, 0 samples: the target used no CPU in this time\nwrote x\n");
	profile_destroy(profile);
}

static void test_callers_are_not_heavy(void **state)
{
	(void)state;
	struct profile *profile = make_profile(1);
	struct profile_line line = {.function = profile_add_function(profile, "main", NULL, "", 1)};
	uint32_t stack[] = {0, profile_add_location(profile, 0, 0x9000, &line, 1, false)};

	profile_add_sample(profile, stack, 2, NULL, 0, (int64_t[]){1, 1});
	const struct summary summary = {.samples = 2, .complete_share = NAN, .profile = profile, .value_index = 1};
	_cleanup_free_ char *text = print(&summary);

	assert_non_null(strstr(text, "100.00 %  function_0"));
	assert_null(strstr(text, "main"));
	profile_destroy(profile);
}

/* Reasons that a text shows, and those that it says it leaves out. */
static size_t count_reasons(const char *text)
{
	const char *rest = strstr(text, "  and ");
	size_t nr = 0, more = 0;

	for (const char *at = text; (at = strstr(at, "lost things: do")); at++)
		nr++;
	if (rest)
		assert_int_equal(sscanf(rest, " and %zu more (see --stats)", &more), 1);
	return nr + more;
}

/* However much there is to say, 12 lines, and what is left out is counted. */
static void test_line_limit(void **state)
{
	(void)state;
	for (size_t nr_reasons = 0; nr_reasons <= 20; nr_reasons++) {
		for (int nr_functions = 0; nr_functions <= 8; nr_functions++) {
			struct profile *profile = make_profile(nr_functions);
			struct summary_reason reasons[20];

			for (size_t i = 0; i < 20; i++)
				reasons[i] = (struct summary_reason){
					.kind = "", .text = "lost things", .advice = "do", .value = 1, .share = NAN};
			const struct summary summary = {.samples = 1,
							.complete_share = NAN,
							.reasons = reasons,
							.nr_reasons = nr_reasons,
							.profile = profile,
							.value_index = 1,
							.note = "note",
							.path = "x",
							.viewer = "y"};
			_cleanup_free_ char *text = print(&summary);

			assert_true(count_lines(text) <= SUMMARY_LINES_MAX);
			assert_int_equal(count_reasons(text), nr_reasons);
			profile_destroy(profile);
		}
	}
}

static void test_hostile_names(void **state)
{
	(void)state;
	struct profile *profile = profile_create();
	static char longest[5000];

	memset(longest, 'n', sizeof(longest) - 1);
	profile_add_sample_type(profile, "samples", "count");
	profile_add_mapping(profile, &(struct profile_mapping){.limit = UINT64_MAX});
	static const char *const names[] = {"\033]0;owned\007", "two\nlines", longest};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct profile_line line = {.function = profile_add_function(profile, names[i], NULL, names[i], 0),
					    .line = 1};
		uint32_t location = profile_add_location(profile, 0, i, &line, 1, false);

		profile_add_sample(profile, &location, 1, NULL, 0, (int64_t[]){1});
	}
	const struct summary summary = {
		.samples = 3, .complete_share = NAN, .profile = profile, .path = "a\033[2Jb\nc"};
	_cleanup_free_ char *text = print(&summary);

	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\007'));
	assert_int_equal(count_lines(text), 1 + 3 + 1);
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		assert_true(strcspn(line, "\n") < 160);
	profile_destroy(profile);
}

static void test_progress_line(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	summary_print_progress(12.34, 1188, 0, 0.998, out);
	summary_print_progress(13, 1, 0, NAN, out);
	summary_clear_progress(out);
	fclose(out);
	assert_int_equal(strncmp(text, "\r12.3 s  1,188 samples  0 lost  99.80 % complete  ", 50), 0);
	assert_non_null(strstr(text, "\r13.0 s  1 samples  0 lost  - complete  "));
	/* Each as wide as the one before, and nothing left at the end. */
	char *second = strchr(text + 1, '\r'), *third = strchr(second + 1, '\r');

	assert_int_equal(second - text, third - second);
	assert_int_equal(strspn(third + 1, " "), second - text - 1);
	assert_string_equal(text + size - 1, "\r");
	assert_null(strchr(text, '\n'));
	free(text);
}

/* --- counters ------------------------------------------------------------------------------------------------------
 */

static const struct counter_line lines[] = {
	{"samples", "samples", "", COUNTER_OUTCOME, 900},
	{"idle", "ticks of idle CPUs", "", COUNTER_OUTCOME, 90},
	{"lost_scratch", "samples lost: walker busy", "report", COUNTER_LOSS, 4},
	{"lost_counts_full", "samples lost: full", "lower -F", COUNTER_LOSS, 6},
	{"lost_counts_busy", "samples lost: busy", "lower -F", COUNTER_LOSS, 0},
	{"user_complete", "", "", COUNTER_USER_END, 780},
	{"user_ended", "", "", COUNTER_USER_END, 10},
	{"user_absent", "", "", COUNTER_USER_END, 100},
	{"user_no_process_table", "no table yet", "longer", COUNTER_USER_END, 3},
	{"user_no_file_table", "no table yet", "later", COUNTER_USER_END, 5},
	{"user_too_deep", "cut", "raise", COUNTER_USER_END, 2},
	{"user_frames", "user frames walked", "", COUNTER_EVENT, 9999},
	{"throttled", "throttled", "lower -F", COUNTER_LOADER, 1},
	{"stack_lost", "stack lost", "raise --ring", COUNTER_LOADER, 5},
	{"tables_refused", "tables refused", "", COUNTER_LOADER, 50},
};

static const struct cpu_balance cpus[] = {{0, 600, 590, 590, 0, 10}, {1, 420, 410, 410, 10, 0}};

static struct run_report make_report(void)
{
	return (struct run_report){
		.seconds = 1.5,
		.period_ns = 10101010,
		.rate_hz = 99,
		.expected = 1020,
		.runs = 1000,
		.samples = 900,
		.idle_skipped = 10,
		.unexplained = 10,
		.lost = 10,
		.user_stacks = 800,
		.complete = 780,
		.ended = 10,
		.incomplete = 10,
		.runtime = RUNTIME_JAVA,
		.kernel = "Linux \"6.1\" x86_64",
		.lines = lines,
		.nr_lines = ARRAY_SIZE(lines),
		.cpus = cpus,
		.nr_cpus = ARRAY_SIZE(cpus),
	};
}

static void test_reasons(void **state)
{
	(void)state;
	struct run_report report = make_report();
	static const struct {
		const char *text, *advice;
		uint64_t value;
	} expected[] = {
		{"samples lost: full", "lower -F", 6},
		{"stack lost", "raise --ring", 5},
		{"samples lost: walker busy", "report", 4},
		{"ticks unexplained", "the kernel skipped them, or the machine's host took the CPU", 10},
		{"no table yet", "longer", 8},
		{"cut", "raise", 2},
		{"throttled", "lower -F", 1},
		{"tables refused", "", 50},
	};
	size_t nr;
	_cleanup_free_ struct summary_reason *reasons = reasons_list(&report, &nr);

	assert_int_equal(nr, ARRAY_SIZE(expected));
	for (size_t i = 0; i < nr; i++) {
		assert_string_equal(reasons[i].text, expected[i].text);
		assert_string_equal(reasons[i].advice, expected[i].advice);
		assert_int_equal(reasons[i].value, expected[i].value);
	}
	assert_string_equal(reasons[4].kind, "incomplete stacks: ");
	assert_true(fabs(reasons[4].share - 0.01) < 1e-9);
	assert_true(isnan(reasons[7].share));
}

static void test_shares(void **state)
{
	(void)state;
	struct run_report report = make_report(), empty = {0};
	size_t nr;

	assert_true(fabs(reasons_loss_share(&report) - 0.02) < 1e-12);
	assert_true(fabs(reasons_complete_share(&report) - 0.975) < 1e-12);
	assert_true(fabs(reasons_ended_share(&report) - 0.0125) < 1e-12);
	assert_true(reasons_loss_share(&empty) == 0);
	assert_true(isnan(reasons_complete_share(&empty)));
	free(reasons_list(&empty, &nr));
	assert_int_equal(nr, 0);
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("'%s' is missing in:\n%s", what, text);
}

/* Just enough of JSON's grammar to know that a reader would take it: behind the value at `at`, NULL = broken. */
static const char *skip_json(const char *at);

static const char *skip_json_string(const char *at)
{
	for (at++; *at && *at != '"'; at++) {
		if ((unsigned char)*at < 0x20)
			return NULL;
		at += *at == '\\';
	}
	return *at ? at + 1 : NULL;
}

static const char *skip_json_members(const char *at, bool is_object, char end)
{
	at++;
	at += strspn(at, " \n");
	if (*at == end)
		return at + 1;
	for (;;) {
		at += strspn(at, " \n");
		if (is_object) {
			at = *at == '"' ? skip_json_string(at) : NULL;
			if (!at || *at++ != ':')
				return NULL;
		}
		at = skip_json(at);
		if (!at)
			return NULL;
		at += strspn(at, " \n");
		if (*at == end)
			return at + 1;
		if (*at++ != ',')
			return NULL;
	}
}

static const char *skip_json(const char *at)
{
	at += strspn(at, " \n");
	if (*at == '"')
		return skip_json_string(at);
	if (*at == '{')
		return skip_json_members(at, true, '}');
	if (*at == '[')
		return skip_json_members(at, false, ']');
	if (strncmp(at, "null", 4) == 0)
		return at + 4;
	size_t length = strspn(at, "-+.0123456789e");

	return length ? at + length : NULL;
}

static void test_stats(void **state)
{
	(void)state;
	struct run_report report = make_report();
	const struct stats_context context = {.output_path = "a\"b\\c\n\xff", .end = "time", .exit_status = 7};
	size_t size;

	report.first_tick_ns = 123;
	_cleanup_free_ char *text = stats_json_format(&report, &context, &size);
	const char *end = skip_json(text);

	assert_int_equal(strlen(text), size);
	assert_non_null(end);
	assert_string_equal(end, "\n");
	assert_has(text, "\"output\": \"a\\\"b\\\\c??\"");
	assert_has(text, "\"kernel\": \"Linux \\\"6.1\\\" x86_64\"");
	assert_has(text, "\"command_status\": 7,");
	assert_has(text, "\"runtime\": \"java\"");
	assert_has(text, "\"seconds\": 1.5,");
	assert_has(text, "\"loss_share\": 0.02,");
	assert_has(text, "\"first_tick_ns\": 123,");
	assert_has(text, "\"first_complete_ns\": null");
	/* Zero or not. */
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_free_ char *line =
			memory_format("\"%s\": %llu", lines[i].name, (unsigned long long)lines[i].value);

		assert_has(text, line);
	}
	assert_has(text, "\"cpu\": 1,");
	assert_has(text, "\"unexplained\": 10");
	assert_has(text, "\"idle_skipped\": 10");
}

static void test_stats_of_nothing(void **state)
{
	(void)state;
	struct run_report report = {.seconds = NAN};
	const struct stats_context context = {.output_path = "", .end = "stopped", .exit_status = -1};
	size_t size;
	_cleanup_free_ char *text = stats_json_format(&report, &context, &size);
	const char *end = skip_json(text);

	assert_non_null(end);
	assert_string_equal(end, "\n");
	assert_has(text, "\"seconds\": null,");
	assert_has(text, "\"complete_share\": null,");
	assert_has(text, "\"counters\": {},");
	assert_has(text, "\"cpus\": []");
	assert_null(strstr(text, "command_status"));
}

/* --- comments ------------------------------------------------------------------------------------------------------
 */

static void assert_command_line(char **words, int nr, const char *expected)
{
	struct record_options options;
	struct problem problem;

	if (record_options_parse(nr, words, &options, &problem))
		fail_msg("%s", problem.text);
	_cleanup_free_ char *line = record_command_line(&options, words);

	assert_string_equal(line, expected);
	record_options_deinit(&options);
}

static void test_arguments_are_secrets(void **state)
{
	(void)state;
	char record[] = "record", quiet[] = "-q", dashes[] = "--", program[] = "./my prog", secret[] = "--password=x";
	char all[] = "--record-args", pid[] = "-p1";
	char *hidden[] = {record, quiet, dashes, program, secret, NULL};
	char *shown[] = {record, all, dashes, program, secret, NULL};
	char *without_dashes[] = {record, quiet, program, secret, NULL};
	char *process[] = {record, quiet, pid, NULL};

	assert_command_line(hidden, 5, "ebprof " EBPROF_VERSION " record -q -- './my prog'");
	assert_command_line(shown, 5, "ebprof " EBPROF_VERSION " record --record-args -- './my prog' --password=x");
	assert_command_line(without_dashes, 4, "ebprof " EBPROF_VERSION " record -q -- './my prog'");
	assert_command_line(process, 3, "ebprof " EBPROF_VERSION " record -q -p1");
}

static void test_comments(void **state)
{
	(void)state;
	struct run_report report = make_report();
	struct profile *profile = make_profile(1);
	struct record_options options = {.nr_own_arguments = 1};
	char record[] = "record";
	char *words[] = {record, NULL};
	size_t nr;
	_cleanup_free_ struct summary_reason *reasons = reasons_list(&report, &nr);
	_cleanup_free_ char *all = memory_strdup("");

	record_add_comments(profile, &options, words, &report, reasons, nr);
	assert_int_equal(profile->comments.nr, 5 + nr);
	for (size_t i = 0; i < profile->comments.nr; i++) {
		const char *comment = profile_text(profile, profile->comments.data[i]);
		_cleanup_free_ char *before = all;

		assert_null(strchr(comment, '\n'));
		all = memory_format("%s%s\n", before, comment);
	}
	assert_has(all, "kernel: Linux \"6.1\" x86_64\n");
	assert_has(all, "rate: 99 Hz, a sample per 10101010 ns of CPU time\n");
	assert_has(all, "complete 97.500 %");
	assert_has(all, "missing: 6 samples lost: full: lower -F\n");
	assert_has(all, "missing: 8 incomplete stacks: no table yet: longer\n");
	assert_has(all, "missing: 50 tables refused\n");
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_run),         cmocka_unit_test(test_never_rounded_to_perfect),
		cmocka_unit_test(test_empty_run),        cmocka_unit_test(test_callers_are_not_heavy),
		cmocka_unit_test(test_line_limit),       cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_progress_line),    cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_shares),           cmocka_unit_test(test_stats),
		cmocka_unit_test(test_stats_of_nothing), cmocka_unit_test(test_arguments_are_secrets),
		cmocka_unit_test(test_comments),
	};

	return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
