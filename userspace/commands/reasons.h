/* SPDX-License-Identifier: Apache-2.0 */
/* reasons.h - of all counters of a run, those that say what the profile lacks, worst first. */
#ifndef EBPROF_COMMANDS_REASONS_H
#define EBPROF_COMMANDS_REASONS_H

#include "counters.h"
#include "summary.h"

/* An array for free(), *nr_ret long. Texts are borrowed from report. */
struct summary_reason *reasons_list(const struct run_report *report, size_t *nr_ret);

/* What --strict compares: (named losses + incomplete stacks) / runs, 0..1; 0 without runs. */
double reasons_loss_share(const struct run_report *report);

/* complete, or ended by frame pointer, of all user stacks; NAN without any. */
double reasons_complete_share(const struct run_report *report);
double reasons_ended_share(const struct run_report *report);

#endif
