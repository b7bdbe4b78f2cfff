/* SPDX-License-Identifier: Apache-2.0 */
/* stats_json.c - the report of a run, member by member. */
#include "stats_json.h"

#include "json.h"
#include "reader.h"
#include "reasons.h"

/* A time that is 0 when it never came. */
static void write_moment(struct json *json, const char *key, uint64_t moment_ns)
{
	if (moment_ns) {
		json_unsigned(json, key, moment_ns);
		return;
	}
	json_null(json, key);
}

static const char *runtime_name(enum target_runtime runtime)
{
	switch (runtime) {
	case RUNTIME_NATIVE:
		return "native";
	case RUNTIME_PYTHON:
		return "python";
	case RUNTIME_NODE:
		return "node";
	case RUNTIME_JAVA:
		return "java";
	}
	return "unknown";
}

static void write_run(struct json *json, const struct run_report *report)
{
	json_string(json, "kernel", report->kernel);
	json_string(json, "runtime", runtime_name(report->runtime));
	json_real(json, "seconds", report->seconds);
	json_unsigned(json, "rate_hz", report->rate_hz);
	json_unsigned(json, "period_ns", report->period_ns);
	json_unsigned(json, "expected", report->expected);
	json_unsigned(json, "runs", report->runs);
	json_unsigned(json, "samples", report->samples);
	json_unsigned(json, "lost", report->lost);
	json_unsigned(json, "idle_skipped", report->idle_skipped);
	json_unsigned(json, "unexplained", report->unexplained);
	json_real(json, "loss_share", reasons_loss_share(report));
	json_unsigned(json, "user_stacks", report->user_stacks);
	json_unsigned(json, "complete", report->complete);
	json_unsigned(json, "ended", report->ended);
	json_unsigned(json, "incomplete", report->incomplete);
	json_unsigned(json, "by_frame_pointer", report->by_frame_pointer);
	json_real(json, "complete_share", reasons_complete_share(report));
	json_real(json, "steal_seconds", report->steal_seconds);
	json_unsigned(json, "nr_processes", report->nr_processes);
	json_unsigned(json, "nr_files", report->nr_files);
	json_unsigned(json, "nr_stacks", report->nr_stacks);
	json_unsigned(json, "table_bytes", report->table_bytes);
	json_unsigned(json, "table_bytes_max", report->table_bytes_max);
	write_moment(json, "first_tick_ns", report->first_tick_ns);
	write_moment(json, "first_complete_ns", report->first_complete_ns);
}

static void write_cpus(struct json *json, const struct run_report *report)
{
	json_open(json, "cpus", '[');
	for (size_t i = 0; i < report->nr_cpus; i++) {
		const struct cpu_balance *cpu = &report->cpus[i];

		json_open(json, NULL, '{');
		json_unsigned(json, "cpu", cpu->cpu);
		json_unsigned(json, "expected", cpu->expected);
		json_unsigned(json, "runs", cpu->runs);
		json_unsigned(json, "named", cpu->named);
		json_unsigned(json, "idle_skipped", cpu->idle_skipped);
		json_signed(json, "unexplained", cpu->unexplained);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void write_failures(struct json *json, const struct run_report *report)
{
	json_open(json, "failed_files", '[');
	for (size_t i = 0; i < report->nr_failures; i++) {
		const struct reader_failure *failure = &report->failures[i];

		json_open(json, NULL, '{');
		json_string(json, "file", failure->path);
		json_string(json, "wanted", failure->wanted);
		json_string(json, "reason", failure->reason);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void write_refused_tables(struct json *json, const struct run_report *report)
{
	json_open(json, "refused_tables", '[');
	for (size_t i = 0; i < report->nr_refused_tables; i++) {
		json_open(json, NULL, '{');
		json_string(json, "file", report->refused_tables[i].path);
		json_unsigned(json, "bytes", report->refused_tables[i].bytes);
		json_close(json, '}');
	}
	json_close(json, ']');
}

char *stats_json_format(const struct run_report *report, const struct stats_context *context, size_t *size_ret)
{
	struct json json;

	json_begin(&json);
	json_open(&json, NULL, '{');
	json_string(&json, "version", EBPROF_VERSION);
	json_string(&json, "output", context->output_path);
	json_string(&json, "end", context->end);
	if (context->exit_status >= 0)
		json_signed(&json, "command_status", context->exit_status);
	write_run(&json, report);
	json_open(&json, "counters", '{');
	for (size_t i = 0; i < report->nr_lines; i++)
		json_unsigned(&json, report->lines[i].name, report->lines[i].value);
	json_close(&json, '}');
	write_failures(&json, report);
	write_refused_tables(&json, report);
	write_cpus(&json, report);
	json_close(&json, '}');
	return json_end(&json, size_ret);
}
