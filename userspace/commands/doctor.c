/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c - `ebprof doctor`: can this host record, and what would it lack?
 *
 * Runs every probe and prints a line for each, with what a lack costs and what would mend it below. A remedy that
 * several findings in a row share (the same capabilities for the same file) is printed below the last of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command.h"
#include "doctor.h"
#include "help.h"
#include "json.h"
#include "memory.h"
#include "text.h"

enum { INDENT = 11 };

struct doctor_options {
	bool json, with_trial;
};

static const struct option_row doctor_rows[] = {
	{
		.kind = OPTION_FLAG,
		.name = "json",
		.help = "print one JSON object: works, and of each probe its name, status, text, cost and fix",
		.offset = offsetof(struct doctor_options, json),
	},
	{
		.kind = OPTION_UNFLAG,
		.name = "no-trial",
		.help = "leave out the trial recording of half a second",
		.offset = offsetof(struct doctor_options, with_trial),
	},
};

static const struct option_example doctor_examples[] = {
	{"sudo ebprof doctor", "what this host allows, and what would get the rest"},
	{"ebprof doctor", "the same as far as a user without privileges can know it"},
};

static const struct option_table doctor_table = {
	.command = "doctor",
	.summary = "show what this host allows, and what it would take to get the rest",
	.usage = "[--json] [--no-trial]",
	.description =
		"Looks at everything that a recording needs or can make use of: features of the kernel (by trying "
		"them), capabilities, limits, namespaces, sources of names; and makes a trial recording of a "
		"process of its own. For what is not there it says what that costs and how to get it. Changes "
		"nothing.\n\n"
		"ok: there. note: recording works, and knows or does less. missing: recording can't work. "
		"unknown: only root may look.\n\n"
		"Exit status: 0 recording works, 1 it can't work, 2 a wrong option.",
	.rows = doctor_rows,
	.nr_rows = ARRAY_SIZE(doctor_rows),
	.examples = doctor_examples,
	.nr_examples = ARRAY_SIZE(doctor_examples),
};

static size_t count_status(const struct finding *findings, enum finding_status status)
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_probes; i++)
		nr += findings[i].status == status;
	return nr;
}

static void print_detail(const char *label, const char *text)
{
	char shown[700];

	if (text[0])
		printf("%*s%s %s\n", INDENT, "", label, text_printable(text, shown, sizeof(shown)));
}

static void print_finding(const struct probe *probe, const struct finding *finding, const struct finding *next)
{
	bool shares_fix = next && strcmp(next->fix, finding->fix) == 0;
	char shown[700];

	printf("  %-8s %-26s%s\n", finding_status_name(finding->status), probe->title,
	       text_printable(finding->text, shown, sizeof(shown)));
	print_detail("costs: ", finding->cost);
	if (!shares_fix)
		print_detail("get it:", finding->fix);
}

static void print_conclusion(const struct finding *findings)
{
	size_t nr_missing = count_status(findings, FINDING_MISSING), nr_notes = count_status(findings, FINDING_NOTE);
	size_t nr_unknown = count_status(findings, FINDING_UNKNOWN);

	putchar('\n');
	if (nr_missing)
		printf("Recording can't work here: %zu thing%s missing.\n", nr_missing,
		       nr_missing == 1 ? " is" : "s are");
	else
		printf("Recording works%s.\n", nr_notes ? "; the notes say what it lacks" : "");
	if (nr_unknown)
		printf("%zu thing%s unknown%s.\n", nr_unknown, nr_unknown == 1 ? " is" : "s are",
		       geteuid() ? ": sudo ebprof doctor sees more" : "");
}

static void print_text(const struct finding *findings)
{
	for (size_t i = 0; i < nr_probes; i++) {
		bool begins = !i || probes[i].group != probes[i - 1].group;
		bool ends = i + 1 == nr_probes || probes[i].group != probes[i + 1].group;

		if (begins)
			printf("%s%s\n", i ? "\n" : "", probes[i].group);
		print_finding(&probes[i], &findings[i], ends ? NULL : &findings[i + 1]);
	}
	print_conclusion(findings);
}

static void print_json(const struct finding *findings)
{
	struct utsname system;
	struct json json;
	size_t size;

	json_begin(&json);
	json_open(&json, NULL, '{');
	json_string(&json, "version", EBPROF_VERSION);
	json_string(&json, "kernel", uname(&system) ? "unknown" : system.release);
	json_bool(&json, "works", count_status(findings, FINDING_MISSING) == 0);
	json_open(&json, "probes", '[');
	for (size_t i = 0; i < nr_probes; i++) {
		json_open(&json, NULL, '{');
		json_string(&json, "name", probes[i].name);
		json_string(&json, "group", probes[i].group);
		json_string(&json, "title", probes[i].title);
		json_string(&json, "status", finding_status_name(findings[i].status));
		json_string(&json, "text", findings[i].text);
		json_string(&json, "cost", findings[i].cost);
		json_string(&json, "fix", findings[i].fix);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
	_cleanup_free_ char *text = json_end(&json, &size);

	fwrite(text, 1, size, stdout);
}

static int examine(const struct doctor_options *options)
{
	_cleanup_free_ struct finding *findings = memory_new_array(struct finding, nr_probes);
	char executable[4096] = "ebprof";
	ssize_t length = readlink("/proc/self/exe", executable, sizeof(executable) - 1);
	struct host host = {
		.root = "",
		.executable = executable,
		.path = getenv("PATH"),
		.debuginfod_urls = getenv("DEBUGINFOD_URLS"),
		.feature = feature_probe,
		.trial = options->with_trial ? trial_run : NULL,
	};

	if (length >= 0)
		executable[length] = '\0';
	host_init(&host);
	for (size_t i = 0; i < nr_probes; i++)
		probes[i].look(&host, &probes[i], &findings[i]);
	if (options->json)
		print_json(findings);
	else
		print_text(findings);
	int status = help_finish();

	return status ? status : count_status(findings, FINDING_MISSING) ? STATUS_NO : STATUS_DONE;
}

static int doctor_run(const struct program *program, int argc, char **argv)
{
	struct doctor_options options = {.with_trial = true};
	struct option_rest rest;
	struct problem problem;

	(void)program;
	if (option_parse(&doctor_table, argc, argv, &options, &rest, &problem)) {
		message_error("%s", problem.text);
		return STATUS_FAILED;
	}
	if (rest.help) {
		option_print_help(&doctor_table, stdout);
		return help_finish();
	}
	return examine(&options);
}

const struct command doctor_command = {.options = &doctor_table, .run = doctor_run};
