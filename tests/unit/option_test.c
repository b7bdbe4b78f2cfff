/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option parser on a table of its own, the table of `ebprof record`, and that help, man page and completion show
 * every row of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include "help.h"
#include "memory.h"
#include "option.h"
#include "record_options.h"
#include "sample.h"

enum { WORDS_MAX = 48 };

struct fields {
	bool flag, other, kept;
	const char *text;
	long long number, size;
	double seconds;
	int nr_custom;
	char custom[64];
};

static int parse_custom(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	struct fields *fields = (struct fields *)((char *)target - offsetof(struct fields, custom));

	(void)row;
	if (value && strcmp(value, "bad") == 0)
		return problem_set(problem, -22, "give a good one");
	fields->nr_custom++;
	snprintf(fields->custom, sizeof(fields->custom), "%s", value ? value : "(none)");
	return 0;
}

#define FIELD(member) .offset = offsetof(struct fields, member)

/* clang-format off */
static const struct option_row rows[] = {
	{.kind = OPTION_GROUP, .help = "Group"},
	{.kind = OPTION_FLAG, .letter = 'f', .name = "flag", FIELD(flag)},
	{.kind = OPTION_FLAG, .letter = 'g', .name = "flag-other", FIELD(other)},
	{.kind = OPTION_UNFLAG, .name = "no-kept", FIELD(kept)},
	{.kind = OPTION_STRING, .letter = 't', .argument = "TEXT", FIELD(text)},
	{.kind = OPTION_INTEGER, .letter = 'n', .name = "number", .argument = "N", FIELD(number), .min = 2, .max = 10},
	{.kind = OPTION_SIZE, .name = "size", .argument = "BYTES", FIELD(size), .min = 1, .max = 1 << 20},
	{.kind = OPTION_SECONDS, .letter = 'd', .name = "duration", .argument = "SECONDS", FIELD(seconds), .min = 0.001,
	 .max = 3600},
	{.kind = OPTION_CUSTOM, .letter = 'c', .name = "custom", .argument = "[=WHAT]", FIELD(custom),
	 .parse = parse_custom},
};
/* clang-format on */

static struct option_table plain = {.command = "try", .rows = rows, .nr_rows = ARRAY_SIZE(rows)};
static struct option_table with_command = {
	.command = "try", .rows = rows, .nr_rows = ARRAY_SIZE(rows), .takes_command = true};

/* Words of a command line, separated by blanks; "_" is an empty word. The texts live in *line. */
static int split(const char *text, char *line, size_t size, char **words)
{
	int nr = 0;

	snprintf(line, size, "%s", text);
	for (char *word = strtok(line, " "); word && nr < WORDS_MAX; word = strtok(NULL, " "))
		words[nr++] = strcmp(word, "_") == 0 ? word + 1 : word;
	words[nr] = NULL;
	return nr;
}

static int parse(const struct option_table *table, const char *text, struct fields *fields, struct option_rest *rest,
		 struct problem *problem)
{
	static char line[512];
	static char *words[WORDS_MAX + 1];
	int nr = split(text, line, sizeof(line), words);

	*fields = (struct fields){.kept = true};
	problem->text[0] = 0;
	return option_parse(table, nr, words, fields, rest, problem);
}

static struct fields parse_good(const char *text)
{
	struct fields fields;
	struct option_rest rest;
	struct problem problem;

	if (parse(&plain, text, &fields, &rest, &problem))
		fail_msg("%s: %s", text, problem.text);
	assert_string_equal(problem.text, "");
	return fields;
}

static void refuse(const char *text, const char *says)
{
	struct fields fields;
	struct option_rest rest;
	struct problem problem;

	assert_true(parse(&plain, text, &fields, &rest, &problem) < 0);
	assert_null(strchr(problem.text, '\n'));
	assert_string_equal(problem.text, says);
}

static void test_spellings(void **state)
{
	(void)state;
	static const char *const seven[] = {"try -n 7",    "try -n7",    "try --number 7",  "try --number=7",
					    "try --num=7", "try --nu 7", "try -f -n 3 -gn7"};

	for (size_t i = 0; i < ARRAY_SIZE(seven); i++)
		assert_int_equal(parse_good(seven[i]).number, 7);
	struct fields fields = parse_good("try -fgd1.5 -t -f --no-k --size 64k");

	assert_true(fields.flag && fields.other && !fields.kept);
	assert_true(fields.seconds == 1.5);
	assert_string_equal(fields.text, "-f");
	assert_int_equal(fields.size, 65536);
	assert_true(parse_good("try").kept);
	/* A whole name wins over a longer one that begins with it. */
	assert_false(parse_good("try --flag").other);
}

static void test_optional_argument(void **state)
{
	(void)state;
	struct fields fields = parse_good("try --custom=x -c --custom");

	assert_int_equal(fields.nr_custom, 3);
	assert_string_equal(fields.custom, "(none)");
	/* Only with '=': the next word is not its own. */
	refuse("try --custom x", "unexpected argument 'x': see ebprof try --help");
	refuse("try --custom=bad", "-c bad: give a good one");
}

static void test_refusals(void **state)
{
	(void)state;
	refuse("try -x", "unknown option -x: see ebprof try --help");
	refuse("try --durration 1", "unknown option --durration: did you mean --duration?");
	refuse("try -number", "-n umber: give a whole number from 2 to 10");
	refuse("try --zzzzzz", "unknown option --zzzzzz: see ebprof try --help");
	refuse("try --=1", "unknown option --: see ebprof try --help");
	refuse("try --flag=1", "--flag takes no value: leave out '=' and what follows");
	refuse("try --fla", "--fla is ambiguous: did you mean --flag or --flag-other?");
	refuse("try -n", "-n needs an argument: write -n N");
	refuse("try -n 1", "-n 1: give a whole number from 2 to 10");
	refuse("try -n 11", "-n 11: give a whole number from 2 to 10");
	refuse("try -n -3", "-n -3: give a whole number from 2 to 10");
	refuse("try -n _", "-n '': give a whole number from 2 to 10");
	refuse("try -n 99999999999999999999", "-n 99999999999999999999: give a whole number from 2 to 10");
	refuse("try --size 2m", "--size 2m: give a number from 1 to 1048576, also as 64k or 16m");
	refuse("try -d 1e99", "-d 1e99: give a time from 1ms to 1h, such as 10, 1.5s or 5m");
	refuse("try -d -1", "-d -1: give a time from 1ms to 1h, such as 10, 1.5s or 5m");
	refuse("try -t _", "-t '': give a TEXT that is not empty");
	refuse("try -f more", "unexpected argument 'more': see ebprof try --help");
	refuse("try -f -- -f", "unexpected argument '-f' after --: see ebprof try --help");
	refuse("try -n \033[31m\n", "-n ?[31m?: give a whole number from 2 to 10");
}

static void test_dash_too_few(void **state)
{
	(void)state;
	struct fields fields;
	struct option_rest rest;
	struct problem problem;

	assert_true(parse(&with_command, "try -size", &fields, &rest, &problem) < 0);
	assert_string_equal(problem.text, "unknown option -size: did you mean --size?");
}

static void test_command_is_not_ours(void **state)
{
	(void)state;
	static const char *const lines[] = {"try -f -- -x --nonsense", "try -f -x --nonsense"};
	struct fields fields;
	struct option_rest rest;
	struct problem problem;

	assert_int_equal(parse(&with_command, lines[0], &fields, &rest, &problem), 0);
	assert_int_equal(rest.nr_operands, 2);
	assert_string_equal(rest.operands[0], "-x");
	assert_null(rest.operands[2]);
	assert_true(parse(&with_command, lines[1], &fields, &rest, &problem) < 0);
	/* The first operand begins it too, and "-" is one. */
	assert_int_equal(parse(&with_command, "try -f ls -x -- -y", &fields, &rest, &problem), 0);
	assert_int_equal(rest.nr_operands, 4);
	assert_int_equal(parse(&with_command, "try - -x", &fields, &rest, &problem), 0);
	assert_int_equal(rest.nr_operands, 2);
	assert_int_equal(parse(&with_command, "try -f --", &fields, &rest, &problem), 0);
	assert_int_equal(rest.nr_operands, 0);
}

static void test_help_stops(void **state)
{
	(void)state;
	static const char *const lines[] = {"try -h -n 0", "try --help --nonsense", "try -fh", "try --he x"};
	struct fields fields;
	struct option_rest rest;
	struct problem problem;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(&plain, lines[i], &fields, &rest, &problem), 0);
		assert_true(rest.help);
	}
	assert_int_equal(parse(&with_command, "try ls -h", &fields, &rest, &problem), 0);
	assert_false(rest.help);
}

static void test_nearest(void **state)
{
	(void)state;
	static const char *const words[] = {"record", "help", "report"};

	assert_string_equal(option_nearest("recrod", words, 3), "record");
	assert_string_equal(option_nearest("reprot", words, 3), "report");
	assert_string_equal(option_nearest("hlp", words, 3), "help");
	assert_null(option_nearest("nonsense", words, 3));
	assert_null(option_nearest("x", words, 3));
	assert_null(option_nearest("", words, 3));
	assert_null(option_nearest("a-word-that-is-longer-than-any-table-of-distances-has-room-for", words, 3));
}

/* Random words: whatever they are, a sentence or a result, and no access outside. */
static void test_random_words(void **state)
{
	(void)state;
	static const char *const pieces[] = {"-",  "--",   "f",    "n",   "number", "=",        "7",
					     "c",  "size", "flag", "1e9", "\xff",   "duration", "h",
					     "\n", "",     "%s%n", "no-", "64k",    "bad"};
	uint32_t random = 12345;
	unsigned nr_good = 0, nr_bad = 0;

	for (int round = 0; round < 20000; round++) {
		char text[4][64];
		char *words[6] = {"try"};

		for (int i = 0; i < 4; i++) {
			text[i][0] = 0;
			for (int j = 0; j < 4; j++) {
				random = random * 1664525 + 1013904223;
				strcat(text[i], pieces[(random >> 16) % ARRAY_SIZE(pieces)]);
			}
			words[i + 1] = text[i];
		}
		struct fields fields = {0};
		struct option_rest rest = {0};
		struct problem problem = {{0}};
		int error = option_parse(&with_command, 5, words, &fields, &rest, &problem);

		nr_good += error == 0;
		nr_bad += error != 0;
		assert_true((error != 0) == (problem.text[0] != 0));
		assert_null(strchr(problem.text, '\n'));
	}
	assert_true(nr_good > 100 && nr_bad > 100);
}

/* --- the table of record -------------------------------------------------------------------------------------------
 */

static char **record_words(const char *text, int *nr_ret)
{
	static char line[512];
	static char *words[WORDS_MAX + 1];

	*nr_ret = split(text, line, sizeof(line), words);
	return words;
}

static struct record_options record_good(const char *text)
{
	struct record_options options;
	struct problem problem;
	int nr;
	char **words = record_words(text, &nr);

	if (record_options_parse(nr, words, &options, &problem))
		fail_msg("%s: %s", text, problem.text);
	return options;
}

static void test_record_defaults(void **state)
{
	(void)state;
	struct record_options options = record_good("record -p 12,7,12");

	assert_int_equal(options.pids.list.nr, 2);
	assert_int_equal(options.pids.list.data[0], 12);
	assert_int_equal(options.pids.list.data[1], 7);
	assert_true(options.with_children);
	assert_int_equal(options.rate_hz, 99);
	assert_true(options.seconds == 0);
	assert_int_equal(options.max_depth, 384);
	assert_string_equal(options.output_path, "ebprof.cpu.pb.gz");
	assert_true(options.labels.on.pid && options.labels.on.comm && options.labels.on.thread);
	assert_false(options.labels.on.tid || options.labels.on.cpu || options.strict.enabled || options.command);
	record_options_deinit(&options);
	/* The kernel's own limits, which the table repeats. */
	assert_int_equal(DEPTH_MIN, USER_FRAMES_MIN);
	assert_int_equal(DEPTH_MAX, USER_FRAMES_MAX);
	assert_int_equal(DEPTH_DEFAULT, USER_FRAMES_DEFAULT);
}

static void test_record_all_options(void **state)
{
	(void)state;
	struct record_options options =
		record_good("record -t 5 -t 6 --no-child -e cycles -F 199 -d 2m --user --label tid,cpu --no-label comm "
			    "--max-d 32 --format folded --record-args --stats s.json --strict=2.5 -qv --as-root "
			    "--capture-stacks c --ring 100k --counts 1k --known 2048");

	assert_int_equal(options.tids.list.nr, 2);
	assert_false(options.with_children);
	assert_int_equal(options.event, EVENT_CYCLES);
	assert_int_equal(options.rate_hz, 199);
	assert_true(options.seconds == 120 && options.user_only && !options.kernel_only);
	assert_true(options.labels.on.tid && options.labels.on.cpu && options.labels.on.pid && !options.labels.on.comm);
	assert_int_equal(options.max_depth, 32);
	assert_string_equal(options.output_path, "ebprof.cpu.folded");
	assert_true(options.record_args && options.quiet && options.verbose && options.as_root);
	assert_true(options.strict.enabled && options.strict.percent == 2.5);
	assert_int_equal(options.ring_bytes, 131072);
	assert_int_equal(options.counts_max, 1024);
	assert_int_equal(options.known_max, 2048);
	record_options_deinit(&options);
}

static void test_record_command(void **state)
{
	(void)state;
	struct record_options options = record_good("record --strict -o x -- ls -l --help");

	assert_int_equal(options.nr_command, 3);
	assert_string_equal(options.command[0], "ls");
	assert_int_equal(options.nr_own_arguments, 5);
	assert_true(options.strict.enabled && options.strict.percent == 0.1);
	assert_false(options.help);
}

static void test_record_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *line, *says;
	} cases[] = {
		{"record", "nothing to record: name a target: -p PID, -a (the whole host), or -- COMMAND"},
		{"record --", "nothing to record: name a target: -p PID, -a (the whole host), or -- COMMAND"},
		{"record -p abc", "-p abc: give process ids, numbers from 1 to 4194304 separated by commas"},
		{"record -p 0", "-p 0: give process ids, numbers from 1 to 4194304 separated by commas"},
		{"record -p -1", "-p -1: give process ids, numbers from 1 to 4194304 separated by commas"},
		{"record -p 99999999999",
		 "-p 99999999999: give process ids, numbers from 1 to 4194304 separated by commas"},
		{"record -p 1,,2", "-p 1,,2: give process ids, numbers from 1 to 4194304 separated by commas"},
		{"record -p 1,", "-p 1,: give process ids, numbers from 1 to 4194304 separated by commas"},
		{"record -t x", "-t x: give thread ids, numbers from 1 to 4194304 separated by commas"},
		{"record -p 1 -- ls", "-p and a command (ls) exclude each other: give one of them"},
		{"record -p 1 -t 2", "-p and -t exclude each other: give one of them"},
		{"record -p 1 --user --kernel", "--user and --kernel exclude each other: leave out both to keep both"},
		{"record -p 1 --label foo", "--label foo: no such label: give pid, comm, thread, tid, cpu, cgroup, container or unit"},
		{"record -p 1 --no-label tid,", "--no-label tid,: no such label: give pid, comm, thread, tid, cpu, cgroup, container or unit"},
		{"record -p 1 --strict=-1", "--strict -1: give a percentage from 0 to 100, such as --strict=0.5"},
		{"record -p 1 --strict=100.1", "--strict 100.1: give a percentage from 0 to 100, such as --strict=0.5"},
		{"record -p 1 --max-depth 15", "--max-depth 15: give a whole number from 16 to 1024"},
		{"record -p 1 --max-depth 1025", "--max-depth 1025: give a whole number from 16 to 1024"},
		{"record -p 1 -e heap", "-e heap: no such event: give cpu or cycles"},
		{"record -p 1 --format xml", "--format xml: no such format: give pprof or folded"},
		{"record -p 1 -d 1e99", "-d 1e99: give a time from 1ms to 8760h, such as 10, 1.5s or 5m"},
		{"record -p 1 -o a --stats a", "--stats and -o name the same file: give two"},
		{"record -p 1 --outptu x", "unknown option --outptu: did you mean --output?"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct record_options options;
		struct problem problem = {{0}};
		int nr;
		char **words = record_words(cases[i].line, &nr);

		assert_true(record_options_parse(nr, words, &options, &problem) < 0);
		assert_string_equal(problem.text, cases[i].says);
	}
}

static void test_rates(void **state)
{
	(void)state;
	struct problem problem;

	assert_int_equal(record_rate_check(1, 0, &problem), 0);
	assert_int_equal(record_rate_check(100000, 100000, &problem), 0);
	assert_int_equal(record_rate_check(100000, 0, &problem), 0);
	assert_int_equal(record_rate_check(5000, 5000, &problem), 0);
	assert_true(record_rate_check(6000, 5000, &problem) < 0);
	assert_non_null(strstr(problem.text, "'sudo sysctl kernel.perf_event_max_sample_rate=6000'"));
	assert_true(record_rate_check(10000000, 5000, &problem) < 0);
	assert_non_null(strstr(problem.text, "'sudo sysctl kernel.perf_event_max_sample_rate=100000'"));
	assert_true(record_rate_check(100001, 400000, &problem) < 0);
	assert_non_null(strstr(problem.text, "at most 100000 Hz"));
	assert_true(record_rate_check(0, 5000, &problem) < 0);
	assert_non_null(strstr(problem.text, "from 1 to 5000"));
}

/* --- what is printed from it ---------------------------------------------------------------------------------------
 */

static const struct command *const commands[] = {&record_command, &help_command};
static const struct program program = {.commands = commands, .nr_commands = ARRAY_SIZE(commands)};

static char *printed(void (*print)(const struct option_table *, FILE *), const struct option_table *table)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	print(table, out);
	fclose(out);
	return text;
}

static char *printed_whole(void (*print)(const struct program *, FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	print(&program, out);
	fclose(out);
	return text;
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("'%s' is missing", what);
}

/* The option as the man page spells it: every dash escaped. */
static void man_spelling(const char *dashes, const char *name, char *ret)
{
	ret += sprintf(ret, "\\fB");
	for (; *dashes; dashes++)
		ret += sprintf(ret, "\\-");
	for (; *name; name++)
		ret += sprintf(ret, *name == '-' ? "\\-" : "%c", *name);
	strcpy(ret, "\\fR");
}

static void test_every_row_everywhere(void **state)
{
	(void)state;
	_cleanup_free_ char *help = printed(option_print_help, &record_option_table);
	_cleanup_free_ char *man = printed_whole(help_print_man);
	_cleanup_free_ char *completion = printed_whole(help_print_completion);
	unsigned nr = 0;

	for (size_t i = 0; i <= record_option_table.nr_rows; i++) {
		const struct option_row *row =
			i < record_option_table.nr_rows ? &record_option_table.rows[i] : &option_help_row;
		char spelled[128], letter[] = {row->letter, 0};

		if (row->kind == OPTION_GROUP) {
			assert_has(help, row->help);
			assert_has(man, row->help);
			continue;
		}
		nr++;
		option_spell(row, spelled, sizeof(spelled));
		assert_true(strlen(spelled) < 60);
		assert_has(help, spelled);
		if (row->letter) {
			man_spelling("-", letter, spelled);
			assert_has(man, spelled);
			sprintf(spelled, "-%c ", row->letter);
			assert_has(completion, spelled);
		}
		if (row->name) {
			man_spelling("--", row->name, spelled);
			assert_has(man, spelled);
			sprintf(spelled, "--%s ", row->name);
			assert_has(completion, spelled);
		}
		if (row->values && row->values[0] != '<')
			assert_has(completion, row->values);
	}
	assert_true(nr > 20);
}

static void test_help_is_narrow(void **state)
{
	(void)state;
	_cleanup_free_ char *help = printed(option_print_help, &record_option_table);

	for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(strlen(line) <= 100);
		assert_true(line[strlen(line) - 1] != ' ');
	}
}

static void test_man_sections(void **state)
{
	(void)state;
	static const char *const sections[] = {"NAME",  "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"",
					       "FILES", "EXAMPLES", "\"SEE ALSO\""};
	_cleanup_free_ char *man = printed_whole(help_print_man);
	const char *at = man;

	/* In this order, which readers expect. */
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		char heading[40];

		snprintf(heading, sizeof(heading), "\n.SH %s\n", sections[i]);
		at = strstr(at, heading);
		assert_non_null(at);
	}
	assert_has(man, "128+N");
	/* roff would take a line that starts so for a request that it does not know. */
	assert_null(strstr(man, "\n.FILE"));
	assert_null(strstr(man, "\n\n"));
}

/* The completion function as bash runs it, for a command line whose last word is completed. */
static void assert_completes(const char *line, const char *expected)
{
	_cleanup_free_ char *completion = printed_whole(help_print_completion);
	char path[] = "/tmp/ebprof-test-XXXXXX", said[4096] = "";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	fprintf(file,
		"%s\nCOMP_WORDS=(%s)\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_ebprof\necho \" ${COMPREPLY[*]} \"\n",
		completion, line);
	fclose(file);
	_cleanup_free_ char *command = memory_format("bash --norc %s 2>&1", path);
	FILE *bash = popen(command, "r");

	said[fread(said, 1, sizeof(said) - 1, bash)] = 0;
	pclose(bash);
	unlink(path);
	if (!strstr(said, expected))
		fail_msg("%s: '%s' is missing in '%s'", line, expected, said);
}

static void test_completion_in_bash(void **state)
{
	(void)state;
	if (access("/bin/bash", X_OK) != 0) {
		print_message("bash is missing\n");
		skip();
	}
	assert_completes("ebprof re", " record ");
	assert_completes("ebprof record --no-c", " --no-children ");
	assert_completes("ebprof record --format ''", " pprof folded ");
	assert_completes("ebprof record --format = fo", " folded ");
	assert_completes("ebprof record -e cy", " cycles ");
	assert_completes("ebprof record --label t", " thread tid ");
	assert_completes("ebprof record -p 1", " 1 ");
	assert_completes("ebprof record -o /etc/pass", " /etc/passwd");
	assert_completes("ebprof record --max-depth ''", "  ");
	assert_completes("ebprof record -- bas", " bash ");
	assert_completes("ebprof record -- cat /etc/pass", " /etc/passwd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_optional_argument),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_dash_too_few),
		cmocka_unit_test(test_command_is_not_ours),
		cmocka_unit_test(test_help_stops),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_random_words),
		cmocka_unit_test(test_record_defaults),
		cmocka_unit_test(test_record_all_options),
		cmocka_unit_test(test_record_command),
		cmocka_unit_test(test_record_refusals),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_every_row_everywhere),
		cmocka_unit_test(test_help_is_narrow),
		cmocka_unit_test(test_man_sections),
		cmocka_unit_test(test_completion_in_bash),
	};

	return cmocka_run_group_tests_name("option", tests, NULL, NULL);
}
