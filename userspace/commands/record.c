/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - `ebprof record`: from options to a session, from its profile to a file.
 *
 *     check -> open outputs -> start COMMAND, waiting -> session -> release COMMAND -> run -> finish -> write -> say
 *
 * What can fail without a recording fails before it: the command's name, privileges, the output's path. COMMAND is
 * forked first, so that nothing of the session leaks into it, and becomes itself only when the clocks run.
 *
 * The exit status has three sources, in this order: ebprof's own failure, COMMAND's status, --strict.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "folded.h"
#include "help.h"
#include "interrupt.h"
#include "launch.h"
#include "memory.h"
#include "output.h"
#include "pprof.h"
#include "privileges.h"
#include "reasons.h"
#include "record_comments.h"
#include "record_options.h"
#include "session.h"
#include "sink.h"
#include "stats_json.h"
#include "summary.h"
#include "text.h"

/* One run of the command; record_deinit() frees what of it exists. */
struct record {
	struct record_options options;
	char **argv;
	struct output *output, *stats;
	struct launch *launch;
	struct session *session;
	struct profile *profile;
	enum session_end end;
};

struct output_sink {
	struct sink sink; /* first: the encoder gives back its address */
	struct output *output;
};

static int sink_to_output(struct sink *sink, const void *data, size_t size_bytes)
{
	return output_write(((struct output_sink *)sink)->output, data, size_bytes);
}

static void record_deinit(struct record *record)
{
	session_destroy(record->session);
	launch_destroy(record->launch);
	profile_destroy(record->profile);
	output_destroy(record->output);
	output_destroy(record->stats);
	record_options_deinit(&record->options);
}

/* The status of ebprof's own failures, which tells scripts that it was not COMMAND's. */
static int failed_status(const struct record *record)
{
	return record->options.command ? STATUS_FAILED_COMMAND : STATUS_FAILED;
}

static int fail(const struct record *record, const struct problem *problem)
{
	message_error("%s", problem->text);
	return failed_status(record);
}

/* 0, or the exit status of a recording that may not be. */
static int check_privileges(const struct record *record)
{
	_cleanup_free_ char **words = NULL;
	char executable[4096] = "ebprof";
	struct problem problem;
	size_t nr = 0;

	if (readlink("/proc/self/exe", executable, sizeof(executable) - 1) < 0)
		snprintf(executable, sizeof(executable), "ebprof");
	while (record->argv[nr])
		nr++;
	words = memory_new_array(char *, nr + 1);
	words[0] = program_invocation_name;
	memcpy(words + 1, record->argv, nr * sizeof(char *));
	if (privileges_check(privileges_effective(), words, nr + 1, executable, &problem))
		return fail(record, &problem);
	if (problem.text[0])
		message_warn("%s", problem.text);
	return 0;
}

static int open_outputs(struct record *record)
{
	const struct record_options *options = &record->options;
	struct problem problem;

	if (strcmp(options->output_path, "-") == 0 && options->format == FORMAT_PPROF && isatty(STDOUT_FILENO)) {
		problem_set(&problem, -EINVAL, "standard output is a terminal: redirect it, or name a file with -o");
		return fail(record, &problem);
	}
	if (output_create(options->output_path, &record->output, &problem))
		return fail(record, &problem);
	if (options->stats_path && output_create(options->stats_path, &record->stats, &problem))
		return fail(record, &problem);
	return 0;
}

static int start_command(struct record *record)
{
	const struct launch_config config = {
		.arguments = record->options.command,
		.as_root = record->options.as_root,
		.stdout_to_stderr = strcmp(record->options.output_path, "-") == 0 ||
				    (record->stats && strcmp(record->options.stats_path, "-") == 0),
	};
	struct problem problem;

	if (record->options.command && launch_start(&config, &record->launch, &problem))
		return fail(record, &problem);
	return 0;
}

static struct session_config session_config_make(const struct record *record)
{
	const struct record_options *options = &record->options;

	return (struct session_config){
		.all = options->all,
		.idle = options->idle,
		.names = options->names.list,
		.nr_names = options->names.nr,
		.cgroups = options->cgroups.list,
		.nr_cgroups = options->cgroups.nr,
		.pids = options->pids.list.data,
		.nr_pids = options->pids.list.nr,
		.tids = options->tids.list.data,
		.nr_tids = options->tids.list.nr,
		.command_pid = record->launch ? launch_pid(record->launch) : 0,
		.command_path = record->launch ? launch_path(record->launch) : NULL,
		/* A thread's target is that thread alone. */
		.with_children = options->with_children && !options->tids.list.nr,
		.event = options->event,
		.rate_hz = options->rate_hz,
		.part = options->user_only     ? PART_USER
			: options->kernel_only ? PART_KERNEL
					       : PART_BOTH,
		.max_depth = (uint32_t)options->max_depth,
		.snapshot_bytes = (uint32_t)options->snapshot_kib << 10,
		.labels = options->labels.on,
		.ring_bytes = (uint32_t)options->ring_bytes,
		.counts_max = (uint32_t)options->counts_max,
		.known_max = (uint32_t)options->known_max,
		.processes_max = (uint32_t)options->processes_max,
		.mappings_max = (uint32_t)options->mappings_max,
		.unwind_bytes_max = (uint64_t)options->unwind_bytes_max,
		.read_in_process = options->read_in_process,
		.capture_path = options->capture_path,
	};
}

static int start_session(struct record *record)
{
	const struct session_config config = session_config_make(record);
	struct problem problem;
	int status;

	if (session_create(&config, &record->session, &problem) || session_start(record->session, &problem))
		return fail(record, &problem);
	if (interrupts_signal()) {
		message_error("interrupted before the recording began: nothing was written");
		return STATUS_SIGNAL_BASE + interrupts_signal();
	}
	status = record->launch ? launch_release(record->launch, &problem) : 0;
	if (status)
		message_error("%s", problem.text);
	return status;
}

static void show_progress(const struct session_progress *progress, void *context)
{
	(void)context;
	summary_print_progress(progress->seconds, progress->samples, progress->lost, progress->complete_share, stderr);
}

static int run_session(struct record *record)
{
	const struct record_options *options = &record->options;
	bool shows_progress = !options->quiet && isatty(STDERR_FILENO);
	struct problem problem;

	record->end = session_run(record->session, options->seconds, interrupts_stop(),
				  shows_progress ? show_progress : NULL, NULL);
	if (shows_progress)
		summary_clear_progress(stderr);
	if (session_finish(record->session, &record->profile, &problem))
		return fail(record, &problem);
	return 0;
}

static int write_profile(struct record *record, const struct summary_reason *reasons, size_t nr_reasons)
{
	struct output_sink sink = {.sink = {.write = sink_to_output}, .output = record->output};
	struct problem problem;

	record_add_comments(record->profile, &record->options, record->argv, session_report(record->session), reasons,
			    nr_reasons);
	int error = record->options.format == FORMAT_FOLDED ? folded_write(record->profile, &sink.sink)
							    : pprof_write(record->profile, &sink.sink);

	if (error)
		output_problem(record->output, error, &problem);
	else
		error = output_commit(steal_pointer(record->output), &problem);
	return error ? fail(record, &problem) : 0;
}

static const char *end_name(const struct record *record)
{
	int command_status;

	if (interrupts_signal() || (record->end == END_STOPPED && !interrupts_command_ended(&command_status)))
		return "stopped";
	return record->end == END_TIME ? "time" : "target gone";
}

static int write_stats(struct record *record)
{
	const struct record_options *options = &record->options;
	struct stats_context context = {
		.output_path = options->output_path,
		.end = end_name(record),
		.exit_status = -1,
	};
	struct problem problem;
	int command_status;
	size_t size;

	if (!record->stats)
		return 0;
	if (record->launch && interrupts_command_ended(&command_status))
		context.exit_status = launch_exit_status(command_status);
	_cleanup_free_ char *text = stats_json_format(session_report(record->session), &context, &size);
	int error = output_write(record->stats, text, size);

	if (error)
		output_problem(record->stats, error, &problem);
	else
		error = output_commit(steal_pointer(record->stats), &problem);
	return error ? fail(record, &problem) : 0;
}

/* What the frames of a target with an interpreter or a JIT compiler are. */
static const char *runtime_note(enum target_runtime runtime)
{
	switch (runtime) {
	case RUNTIME_NATIVE:
		return NULL;
	case RUNTIME_PYTHON:
		return "python: frames are the interpreter's C functions; names of Python functions need "
		       "`python3 -X perf` (3.12+)";
	case RUNTIME_NODE:
		return "node: compiled JavaScript has no names in files; `node --perf-basic-prof` gives it names";
	case RUNTIME_JAVA:
		return "java: compiled methods have no names in files; run `java -XX:+PreserveFramePointer` and "
		       "`jcmd PID Compiler.perfmap` for names";
	}
	return NULL;
}

static void print_summary(const struct record *record, const struct summary_reason *reasons, size_t nr_reasons)
{
	const struct record_options *options = &record->options;
	const struct run_report *report = session_report(record->session);
	bool to_stdout = strcmp(options->output_path, "-") == 0;
	_cleanup_free_ char *file = text_shell_quote(options->output_path);
	_cleanup_free_ char *viewer = options->format == FORMAT_FOLDED
					      ? memory_format("flamegraph.pl %s > flame.svg", file)
					      : memory_format("go tool pprof -top %s", file);
	const struct summary summary = {
		.seconds = report->seconds,
		.samples = report->samples,
		.complete_share = reasons_complete_share(report),
		.ended_share = report->ended ? reasons_ended_share(report) : 0,
		.reasons = reasons,
		.nr_reasons = nr_reasons,
		.profile = record->profile,
		.value_index = record->profile->nr_sample_types - 1,
		.note = report->samples ? runtime_note(report->runtime) : NULL,
		.path = to_stdout ? NULL : options->output_path,
		.viewer = to_stdout || !report->samples ? NULL : viewer,
	};

	message_detail("%llu processes, %llu files, %llu stacks, %llu KiB of unwind tables, %.2f s steal",
		       (unsigned long long)report->nr_processes, (unsigned long long)report->nr_files,
		       (unsigned long long)report->nr_stacks, (unsigned long long)report->table_bytes / 1024,
		       report->steal_seconds);
	if (!options->quiet)
		summary_print(&summary, stderr);
}

/* Files first, words after: what is said to be written is there. */
static int save(struct record *record)
{
	size_t nr_reasons;
	_cleanup_free_ struct summary_reason *reasons = reasons_list(session_report(record->session), &nr_reasons);
	int status = write_profile(record, reasons, nr_reasons);

	if (!status)
		status = write_stats(record);
	if (!status)
		print_summary(record, reasons, nr_reasons);
	return status;
}

static int check_strict(const struct record *record)
{
	const struct record_strict *strict = &record->options.strict;
	double percent = 100 * reasons_loss_share(session_report(record->session));

	if (!strict->enabled || percent <= strict->percent)
		return STATUS_DONE;
	message_error("--strict: %.3g %% of the ticks were lost or have incomplete stacks, over the limit of %g %%: "
		      "the reasons are in the profile's comments",
		      percent, strict->percent);
	return STATUS_NO;
}

/* Until the file is written; what is not 0 is the exit status. */
static int record_run_session(struct record *record)
{
	int status = check_privileges(record);

	if (status)
		return status;
	interrupts_install();
	status = open_outputs(record);
	if (!status)
		status = start_command(record);
	if (!status)
		status = start_session(record);
	if (!status)
		status = run_session(record);
	if (!status)
		status = save(record);
	return status;
}

static int record_execute(struct record *record)
{
	struct problem problem;
	int status = 0, command_status = 0;

	if (record->options.command)
		status = launch_check(record->options.command[0], getenv("PATH"), &problem);
	if (status) {
		message_error("%s", problem.text);
		return status;
	}
	status = record_run_session(record);
	int strict_status = status ? 0 : check_strict(record);

	/* Detached before the wait: COMMAND may run for long, and nothing of ours is needed for it. */
	session_destroy(steal_pointer(record->session));
	launch_destroy(steal_pointer(record->launch));
	if (record->options.command)
		command_status = launch_exit_status(interrupts_wait_command());
	if (status)
		return status;
	return command_status ? command_status : strict_status;
}

static int record_run(const struct program *program, int argc, char **argv)
{
	struct record record = {.argv = argv};
	struct problem problem;

	(void)program;
	if (record_options_parse(argc, argv, &record.options, &problem)) {
		message_error("%s", problem.text);
		return STATUS_FAILED;
	}
	if (record.options.help) {
		record_deinit(&record);
		option_print_help(&record_option_table, stdout);
		return help_finish();
	}
	message_set_level(record.options.quiet     ? MESSAGE_QUIET
			  : record.options.verbose ? MESSAGE_VERBOSE
						   : MESSAGE_NORMAL);
	int status = record_execute(&record);

	record_deinit(&record);
	return status;
}

const struct command record_command = {.options = &record_option_table, .run = record_run};
