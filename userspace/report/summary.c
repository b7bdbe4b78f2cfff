/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.c - the lines at the end of a recording.
 *
 * The order is what a reader needs first: how much was seen and how well, what is missing and why, what was found,
 * where it is. The number of lines is a promise, so the reasons get what the others leave, and the ones that do not
 * fit are counted in a line of their own: nothing is left out silently.
 *
 * Names come from files that anybody may have written: they are made printable before they reach a terminal.
 */
#include "summary.h"

#include <math.h>
#include <string.h>

#include "text.h"
#include "top.h"

enum { NAME_SHOWN = 64, PATH_SHOWN = 48, PROGRESS_WIDTH = 76 };

/* 0.99954 -> "99.95 %", but never "100.00 %" for what is not all, nor "0.00 %" for what is not nothing. */
static const char *print_share(double share, char ret[TEXT_NUMBER_SIZE])
{
	double percent = share * 100;

	if (percent < 100 && percent > 99.99)
		percent = 99.99;
	if (percent > 0 && percent < 0.01)
		percent = 0.01;
	snprintf(ret, TEXT_NUMBER_SIZE, "%.2f %%", percent);
	return ret;
}

static int64_t profile_total(const struct profile *profile, size_t value_index)
{
	int64_t total = 0;

	for (size_t i = 0; i < profile->samples.nr; i++)
		total += profile->samples.data[i].values[value_index];
	return total;
}

static void print_head(const struct summary *summary, int64_t total, FILE *out)
{
	char duration[TEXT_NUMBER_SIZE], samples[TEXT_NUMBER_SIZE], number[TEXT_NUMBER_SIZE];
	const struct profile *profile = summary->profile;
	const char *unit = profile_text(profile, profile->sample_types[summary->value_index].unit);

	fprintf(out, "%s, %s sample%s", text_duration(summary->seconds, duration),
		text_thousands(summary->samples, samples), summary->samples == 1 ? "" : "s");
	if (!summary->samples) {
		fputs(": the target used no CPU in this time\n", out);
		return;
	}
	if (strcmp(unit, "nanoseconds") == 0)
		fprintf(out, ", %s of CPU time", text_duration((double)total / 1e9, number));
	if (!isnan(summary->complete_share))
		fprintf(out, ", %s complete stacks", print_share(summary->complete_share, number));
	if (summary->ended_share > 0)
		fprintf(out, ", %s ended by frame pointer", print_share(summary->ended_share, number));
	fputc('\n', out);
}

static void print_reason(const struct summary_reason *reason, FILE *out)
{
	char value[TEXT_NUMBER_SIZE], share[TEXT_NUMBER_SIZE];

	fprintf(out, "  %s %s%s", text_thousands(reason->value, value), reason->kind, reason->text);
	if (!isnan(reason->share))
		fprintf(out, " (%s)", print_share(reason->share, share));
	fprintf(out, "%s%s\n", reason->advice[0] ? ": " : "", reason->advice);
}

static void print_reasons(const struct summary *summary, size_t room, FILE *out)
{
	size_t nr = summary->nr_reasons <= room ? summary->nr_reasons : room - 1;

	for (size_t i = 0; i < nr; i++)
		print_reason(&summary->reasons[i], out);
	if (nr < summary->nr_reasons)
		fprintf(out, "  and %zu more (see --stats)\n", summary->nr_reasons - nr);
}

static void print_function(const struct profile *profile, const struct top_line *line, int64_t total, FILE *out)
{
	const struct profile_function *function = &profile->functions.data[line->function];
	const char *file = profile_text(profile, function->filename);
	char name[NAME_SHOWN], path[PATH_SHOWN];

	fprintf(out, "  %6.2f %%  %s", total > 0 ? 100.0 * (double)line->flat / (double)total : 0,
		text_printable(profile_text(profile, function->name), name, sizeof(name)));
	if (file[0])
		fprintf(out, "  %s", text_printable_path(file, path, sizeof(path)));
	if (file[0] && line->line)
		fprintf(out, ":%u", line->line);
	fputc('\n', out);
}

void summary_print(const struct summary *summary, FILE *out)
{
	struct top_line top[SUMMARY_TOP];
	size_t nr_top = report_top(summary->profile, summary->value_index, SUMMARY_TOP, top);
	int64_t total = profile_total(summary->profile, summary->value_index);
	char path[256];

	/* A function that only calls others is not heavy. */
	while (nr_top && top[nr_top - 1].flat <= 0)
		nr_top--;
	size_t others = 1 + nr_top + (summary->note != NULL) + 1 + (summary->viewer != NULL);

	print_head(summary, total, out);
	print_reasons(summary, SUMMARY_LINES_MAX - others, out);
	for (size_t i = 0; i < nr_top; i++)
		print_function(summary->profile, &top[i], total, out);
	if (summary->note)
		fprintf(out, "%s\n", summary->note);
	if (summary->path)
		fprintf(out, "wrote %s\n", text_printable_path(summary->path, path, sizeof(path)));
	else
		fputs("wrote the profile to standard output\n", out);
	if (summary->viewer)
		fprintf(out, "look further: %s\n", summary->viewer);
}

void summary_print_progress(double seconds, uint64_t samples, uint64_t lost, double complete_share, FILE *out)
{
	char line[PROGRESS_WIDTH + 1], duration[TEXT_NUMBER_SIZE], count[TEXT_NUMBER_SIZE], missing[TEXT_NUMBER_SIZE];
	char complete[TEXT_NUMBER_SIZE] = "-";

	if (!isnan(complete_share))
		print_share(complete_share, complete);
	snprintf(line, sizeof(line), "%s  %s samples  %s lost  %s complete", text_duration(seconds, duration),
		 text_thousands(samples, count), text_thousands(lost, missing), complete);
	/* Blanks over what a longer line left; no escape sequence, so it works on every terminal. */
	fprintf(out, "\r%-*s", PROGRESS_WIDTH, line);
	fflush(out);
}

void summary_clear_progress(FILE *out)
{
	fprintf(out, "\r%*s\r", PROGRESS_WIDTH, "");
	fflush(out);
}
