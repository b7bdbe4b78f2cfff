/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - make the run_report of counters.h out of a finished run. */
#ifndef EBPROF_COLLECT_REPORT_H
#define EBPROF_COLLECT_REPORT_H

#include "counters.h"
#include "modules.h"
#include "naming.h"
#include "processes.h"
#include "programs.h"
#include "second_chance.h"
#include "session.h"
#include "store.h"
#include "tables.h"

struct report_input {
	const struct programs *programs;
	const struct processes *processes;
	const struct modules *modules;
	const struct store *store;
	struct tables_stats tables;
	const struct second_chance_stats *second_chance; /* NULL = none was given */
	struct naming_stats naming;
	uint64_t created_ns, started_ns, stopped_ns;
	uint64_t period_ns; /* 0 = ticks are not a matter of time */
	uint32_t rate_hz;
	uint64_t steal_ns;
	const uint64_t *idle_ns; /* of each CPU by its number, during the run */
	size_t nr_idle;
	uint64_t nr_sideband_lost, nr_throttled;
	const struct reader_failure *failures; /* borrowed */
	size_t nr_failures;
	const struct refused_table *refused_tables; /* borrowed */
	size_t nr_refused_tables;
	uint64_t table_bytes_max;
};

/* Fills *ret, which report_deinit frees. Negative errno when the counters can't be read. */
int report_make(const struct report_input *input, struct run_report *ret);
void report_deinit(struct run_report *report);

/* The figures of a run that still goes on; `seconds` is left alone. */
int report_progress(const struct programs *programs, struct session_progress *ret);

#endif
