/* SPDX-License-Identifier: Apache-2.0 */
/* record_comments.h - what a profile says about its own making. */
#ifndef EBPROF_COMMANDS_RECORD_COMMENTS_H
#define EBPROF_COMMANDS_RECORD_COMMENTS_H

#include "counters.h"
#include "profile.h"
#include "record_options.h"
#include "summary.h"

/*
 * "ebprof 0.1.0 record -F 99 -- ./bench": ebprof's own words of argv, of COMMAND its name only, all its words with
 * --record-args (they may hold secrets). For free().
 */
char *record_command_line(const struct record_options *options, char *const *argv);

/* The command line, the kernel, the rate, how complete the stacks are, and every reason. */
void record_add_comments(struct profile *profile, const struct record_options *options, char *const *argv,
			 const struct run_report *report, const struct summary_reason *reasons, size_t nr_reasons);

#endif
