/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats_json.h - everything that was counted in a run, as one JSON object, for scripts.
 *
 * Keys are stable: the fields of struct run_report, "counters" with every counter under its own name, and "cpus" with
 * a row of the balance per CPU. What is unknown is null.
 */
#ifndef EBPROF_COMMANDS_STATS_JSON_H
#define EBPROF_COMMANDS_STATS_JSON_H

#include "counters.h"

struct stats_context {
	const char *output_path;
	const char *end; /* why the recording ended: "time", "stopped", "target gone" */
	int exit_status; /* that of COMMAND, -1 = none or still running */
};

/* The text, for free(); *size_ret bytes of it. */
char *stats_json_format(const struct run_report *report, const struct stats_context *context, size_t *size_ret);

#endif
