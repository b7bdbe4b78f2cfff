/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_comments.c - the profile's comments.
 *
 * A profile outlives the terminal that it was made in, so it carries how it was made and what it lacks. Comments are
 * read by people and by `pprof -comments`, one line each.
 */
#include "record_comments.h"

#include <math.h>
#include <string.h>

#include "memory.h"
#include "reasons.h"
#include "text.h"

enum { COMMENT_MAX = 4096 };

char *record_command_line(const struct record_options *options, char *const *argv)
{
	size_t nr_own = (size_t)options->nr_own_arguments;

	if (options->command && nr_own > 1 && strcmp(argv[nr_own - 1], "--") == 0)
		nr_own--;
	_cleanup_free_ char *own = text_shell_join(argv, nr_own);

	if (!options->command)
		return memory_format("ebprof %s %s", EBPROF_VERSION, own);
	size_t nr_shown = options->record_args ? (size_t)options->nr_command : 1;
	_cleanup_free_ char *command = text_shell_join(options->command, nr_shown);

	return memory_format("ebprof %s %s -- %s", EBPROF_VERSION, own, command);
}

/* Takes text. */
static void add_comment(struct profile *profile, char *text)
{
	char line[COMMENT_MAX];

	profile_add_comment(profile, text_printable(text, line, sizeof(line)));
	free(text);
}

static void add_stacks(struct profile *profile, const struct run_report *report)
{
	double complete = reasons_complete_share(report);

	if (isnan(complete))
		return;
	add_comment(profile, memory_format("user stacks: %llu, complete %.3f %%, ended by frame pointer %.3f %%, "
					   "incomplete %llu, with frames found by frame pointer %llu",
					   (unsigned long long)report->user_stacks, 100 * complete,
					   100 * reasons_ended_share(report), (unsigned long long)report->incomplete,
					   (unsigned long long)report->by_frame_pointer));
}

static void add_reason(struct profile *profile, const struct summary_reason *reason)
{
	add_comment(profile, memory_format("missing: %llu %s%s%s%s", (unsigned long long)reason->value, reason->kind,
					   reason->text, reason->advice[0] ? ": " : "", reason->advice));
}

void record_add_comments(struct profile *profile, const struct record_options *options, char *const *argv,
			 const struct run_report *report, const struct summary_reason *reasons, size_t nr_reasons)
{
	add_comment(profile, record_command_line(options, argv));
	add_comment(profile, memory_format("kernel: %s", report->kernel));
	if (report->period_ns)
		add_comment(profile, memory_format("rate: %u Hz, a sample per %llu ns of CPU time", report->rate_hz,
						   (unsigned long long)report->period_ns));
	else
		add_comment(profile, memory_format("rate: about %u Hz, by the cycle counter", report->rate_hz));
	add_comment(profile,
		    memory_format("ticks: %llu expected, %llu unexplained; samples: %llu, lost: %llu; steal: %.3f s",
				  (unsigned long long)report->expected, (unsigned long long)report->unexplained,
				  (unsigned long long)report->samples, (unsigned long long)report->lost,
				  report->steal_seconds));
	add_stacks(profile, report);
	for (size_t i = 0; i < nr_reasons; i++)
		add_reason(profile, &reasons[i]);
}
