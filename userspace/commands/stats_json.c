/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats_json.c - a flat JSON writer.
 *
 * The object is made in memory (a few kilobytes) and written by the caller at once. JSON knows neither NaN nor
 * infinity: both become null. Strings may hold any bytes (a path does); what is not valid UTF-8 is replaced, since a
 * reader would otherwise refuse the whole object.
 */
#include "stats_json.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "reader.h"
#include "reasons.h"
#include "text.h"

struct writer {
	FILE *out;
	int depth;
	bool has_member; /* of the innermost object or array: a comma comes next */
};

static void begin_value(struct writer *writer, const char *key)
{
	fprintf(writer->out, "%s\n%*s", writer->has_member ? "," : "", writer->depth * 2, "");
	if (key)
		fprintf(writer->out, "\"%s\": ", key);
	writer->has_member = true;
}

static void open_nested(struct writer *writer, const char *key, char bracket)
{
	if (writer->depth)
		begin_value(writer, key);
	fputc(bracket, writer->out);
	writer->depth++;
	writer->has_member = false;
}

static void close_nested(struct writer *writer, char bracket)
{
	writer->depth--;
	if (writer->has_member)
		fprintf(writer->out, "\n%*s", writer->depth * 2, "");
	fputc(bracket, writer->out);
	writer->has_member = true;
}

static void write_string(struct writer *writer, const char *key, const char *text)
{
	char clean[4096];

	begin_value(writer, key);
	fputc('"', writer->out);
	for (const char *c = text_printable(text, clean, sizeof(clean)); *c; c++)
		fprintf(writer->out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	fputc('"', writer->out);
}

static void write_unsigned(struct writer *writer, const char *key, uint64_t number)
{
	begin_value(writer, key);
	fprintf(writer->out, "%llu", (unsigned long long)number);
}

static void write_signed(struct writer *writer, const char *key, int64_t number)
{
	begin_value(writer, key);
	fprintf(writer->out, "%lld", (long long)number);
}

static void write_real(struct writer *writer, const char *key, double number)
{
	begin_value(writer, key);
	if (isfinite(number))
		fprintf(writer->out, "%.9g", number);
	else
		fputs("null", writer->out);
}

/* A time that is 0 when it never came. */
static void write_moment(struct writer *writer, const char *key, uint64_t moment_ns)
{
	if (moment_ns) {
		write_unsigned(writer, key, moment_ns);
		return;
	}
	begin_value(writer, key);
	fputs("null", writer->out);
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

static void write_run(struct writer *writer, const struct run_report *report)
{
	write_string(writer, "kernel", report->kernel);
	write_string(writer, "runtime", runtime_name(report->runtime));
	write_real(writer, "seconds", report->seconds);
	write_unsigned(writer, "rate_hz", report->rate_hz);
	write_unsigned(writer, "period_ns", report->period_ns);
	write_unsigned(writer, "expected", report->expected);
	write_unsigned(writer, "runs", report->runs);
	write_unsigned(writer, "samples", report->samples);
	write_unsigned(writer, "lost", report->lost);
	write_unsigned(writer, "idle_skipped", report->idle_skipped);
	write_unsigned(writer, "unexplained", report->unexplained);
	write_real(writer, "loss_share", reasons_loss_share(report));
	write_unsigned(writer, "user_stacks", report->user_stacks);
	write_unsigned(writer, "complete", report->complete);
	write_unsigned(writer, "ended", report->ended);
	write_unsigned(writer, "incomplete", report->incomplete);
	write_unsigned(writer, "by_frame_pointer", report->by_frame_pointer);
	write_real(writer, "complete_share", reasons_complete_share(report));
	write_real(writer, "steal_seconds", report->steal_seconds);
	write_unsigned(writer, "nr_processes", report->nr_processes);
	write_unsigned(writer, "nr_files", report->nr_files);
	write_unsigned(writer, "nr_stacks", report->nr_stacks);
	write_unsigned(writer, "table_bytes", report->table_bytes);
	write_unsigned(writer, "table_bytes_max", report->table_bytes_max);
	write_moment(writer, "first_tick_ns", report->first_tick_ns);
	write_moment(writer, "first_complete_ns", report->first_complete_ns);
}

static void write_cpus(struct writer *writer, const struct run_report *report)
{
	open_nested(writer, "cpus", '[');
	for (size_t i = 0; i < report->nr_cpus; i++) {
		const struct cpu_balance *cpu = &report->cpus[i];

		open_nested(writer, NULL, '{');
		write_unsigned(writer, "cpu", cpu->cpu);
		write_unsigned(writer, "expected", cpu->expected);
		write_unsigned(writer, "runs", cpu->runs);
		write_unsigned(writer, "named", cpu->named);
		write_unsigned(writer, "idle_skipped", cpu->idle_skipped);
		write_signed(writer, "unexplained", cpu->unexplained);
		close_nested(writer, '}');
	}
	close_nested(writer, ']');
}

static void write_failures(struct writer *writer, const struct run_report *report)
{
	open_nested(writer, "failed_files", '[');
	for (size_t i = 0; i < report->nr_failures; i++) {
		const struct reader_failure *failure = &report->failures[i];

		open_nested(writer, NULL, '{');
		write_string(writer, "file", failure->path);
		write_string(writer, "wanted", failure->wanted);
		write_string(writer, "reason", failure->reason);
		close_nested(writer, '}');
	}
	close_nested(writer, ']');
}

static void write_refused_tables(struct writer *writer, const struct run_report *report)
{
	open_nested(writer, "refused_tables", '[');
	for (size_t i = 0; i < report->nr_refused_tables; i++) {
		open_nested(writer, NULL, '{');
		write_string(writer, "file", report->refused_tables[i].path);
		write_unsigned(writer, "bytes", report->refused_tables[i].bytes);
		close_nested(writer, '}');
	}
	close_nested(writer, ']');
}

char *stats_json_format(const struct run_report *report, const struct stats_context *context, size_t *size_ret)
{
	char *text = NULL;
	struct writer writer = {.out = open_memstream(&text, size_ret)};

	/* The stream fails only without memory, which ends the program elsewhere too. */
	if (!writer.out)
		abort();
	open_nested(&writer, NULL, '{');
	write_string(&writer, "version", EBPROF_VERSION);
	write_string(&writer, "output", context->output_path);
	write_string(&writer, "end", context->end);
	if (context->exit_status >= 0)
		write_signed(&writer, "command_status", context->exit_status);
	write_run(&writer, report);
	open_nested(&writer, "counters", '{');
	for (size_t i = 0; i < report->nr_lines; i++)
		write_unsigned(&writer, report->lines[i].name, report->lines[i].value);
	close_nested(&writer, '}');
	write_failures(&writer, report);
	write_refused_tables(&writer, report);
	write_cpus(&writer, report);
	close_nested(&writer, '}');
	fputc('\n', writer.out);
	if (fclose(writer.out) != 0)
		abort();
	return text;
}
