/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.h - what a recording says to a person: one line while it runs, a few at its end.
 *
 * Plain data in, text out; where the numbers come from is the command's business.
 */
#ifndef EBPROF_REPORT_SUMMARY_H
#define EBPROF_REPORT_SUMMARY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "profile.h"

enum {
	SUMMARY_LINES_MAX = 12, /* never more lines than this: they have to fit beside what was on the screen */
	SUMMARY_TOP = 5,	/* heaviest functions shown */
};

/* Something that is missing from the profile, and what to do about it. */
struct summary_reason {
	const char *kind; /* put before text: "stacks cut short: "; "" = text says it all */
	const char *text;
	const char *advice; /* "" = none */
	uint64_t value;
	double share; /* of what it is compared with, 0..1; NAN = nothing to compare with */
};

struct summary {
	double seconds;
	uint64_t samples;
	double complete_share; /* of the user stacks, 0..1; NAN = there were none */
	double ended_share;    /* those that a frame-pointer chain ended, neither complete nor incomplete */
	const struct summary_reason *reasons; /* worst first */
	size_t nr_reasons;
	const struct profile *profile;
	size_t value_index; /* the column that shares are computed from */
	const char *note;   /* about the target's runtime; NULL = none */
	const char *path;   /* the file written; NULL = standard output */
	const char *viewer; /* command to look further; NULL = none */
};

/* At most SUMMARY_LINES_MAX lines. */
void summary_print(const struct summary *summary, FILE *out);

/* One line that overwrites the one before; complete_share may be NAN. */
void summary_print_progress(double seconds, uint64_t samples, uint64_t lost, double complete_share, FILE *out);
/* Removes it. */
void summary_clear_progress(FILE *out);

#endif
