/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reasons.c - from counters to reasons.
 *
 * A counter is a reason when a person who reads the profile would want to know: samples that are missing, stacks that
 * are cut, names that are not there. Counters of ordinary work (frames walked, stacks sent) are for --stats only.
 * Reasons are ordered by what they cost: lost samples, ticks that nobody saw, cut stacks, the rest; within each by
 * number.
 */
#include "reasons.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* Counters of ordinary work. */
static const char *const neutral[] = {
	"idle_samples", "user_complete", "user_ended",     "user_absent", "user_frames",     "fp_frames",
	"fp_stacks",    "stacks_sent",   "process_events", "rescans",     "files_no_unwind",
};

struct ranked_reason {
	struct summary_reason reason;
	int rank; /* lower comes first */
};

static bool is_neutral(const struct counter_line *line)
{
	if (line->group == COUNTER_OUTCOME)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(neutral); i++) {
		if (strcmp(line->name, neutral[i]) == 0)
			return true;
	}
	return false;
}

static double share_of(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : NAN;
}

double reasons_loss_share(const struct run_report *report)
{
	return report->runs ? share_of(report->lost + report->incomplete, report->runs) : 0;
}

double reasons_complete_share(const struct run_report *report)
{
	return share_of(report->complete, report->user_stacks);
}

double reasons_ended_share(const struct run_report *report)
{
	return share_of(report->ended, report->user_stacks);
}

static struct ranked_reason reason_of(const struct run_report *report, const struct counter_line *line)
{
	struct ranked_reason ranked = {
		.reason = {.kind = "", .text = line->text, .advice = line->advice, .value = line->value, .share = NAN},
	};

	/* Counted by the loader, but what is missing are samples' stacks: as bad as a lost sample. */
	bool is_loss = strcmp(line->name, "stack_lost") == 0;

	switch (is_loss ? COUNTER_LOSS : line->group) {
	case COUNTER_OUTCOME:
	case COUNTER_LOSS:
		ranked.reason.share = share_of(line->value, report->samples + report->lost);
		break;
	case COUNTER_USER_END:
		ranked.rank = 2;
		ranked.reason.kind = "incomplete stacks: ";
		ranked.reason.share = share_of(line->value, report->user_stacks);
		break;
	case COUNTER_EVENT:
	case COUNTER_LOADER:
		ranked.rank = line->advice[0] ? 3 : 4;
		break;
	}
	return ranked;
}

static int compare_reasons(const void *left, const void *right)
{
	const struct ranked_reason *a = left, *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->reason.value != b->reason.value)
		return a->reason.value > b->reason.value ? -1 : 1;
	return strcmp(a->reason.text, b->reason.text);
}

/* Stops of one text (the stacks without a table) are one reason to a reader. */
static bool merge(struct ranked_reason *list, size_t nr, const struct ranked_reason *more)
{
	for (size_t i = 0; i < nr; i++) {
		if (list[i].rank != more->rank || strcmp(list[i].reason.text, more->reason.text) != 0)
			continue;
		list[i].reason.value += more->reason.value;
		list[i].reason.share += more->reason.share;
		return true;
	}
	return false;
}

struct summary_reason *reasons_list(const struct run_report *report, size_t *nr_ret)
{
	_cleanup_free_ struct ranked_reason *ranked = memory_new_array(struct ranked_reason, report->nr_lines + 1);
	size_t nr = 0;

	for (size_t i = 0; i < report->nr_lines; i++) {
		const struct counter_line *line = &report->lines[i];

		if (!line->value || is_neutral(line))
			continue;
		ranked[nr] = reason_of(report, line);
		if (!merge(ranked, nr, &ranked[nr]))
			nr++;
	}
	if (report->unexplained)
		ranked[nr++] = (struct ranked_reason){
			.reason = {.kind = "",
				   .text = "ticks unexplained",
				   .advice = "the kernel skipped them, or the machine's host took the CPU",
				   .value = report->unexplained,
				   .share = share_of(report->unexplained, report->expected)},
			.rank = 1,
		};
	qsort(ranked, nr, sizeof(*ranked), compare_reasons);
	struct summary_reason *reasons = memory_new_array(struct summary_reason, nr);

	for (size_t i = 0; i < nr; i++)
		reasons[i] = ranked[i].reason;
	*nr_ret = nr;
	return reasons;
}
