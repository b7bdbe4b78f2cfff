/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - drive one recording.
 *
 * One thread drains; it wakes by a timer, by an exec of a target, or when a ring fills, never per sample. A round takes
 * the programs' records first and then the side band's up to the moment at which it began, so that the two can be
 * merged by time exactly; then it publishes what changed. After something happened to a process the next round comes
 * soon (1 ms, doubling up to the idle interval): a program that just started maps its libraries within the next
 * milliseconds. Counts are drained rarely, since switching their generation waits for running programs.
 */
#include "session.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "cgroups.h"
#include "clock.h"
#include "events.h"
#include "memory.h"
#include "modules.h"
#include "naming.h"
#include "prepare.h"
#include "processes.h"
#include "programs.h"
#include "reader.h"
#include "report.h"
#include "second_chance.h"
#include "session_parts.h"
#include "sideband.h"
#include "store.h"
#include "tables.h"
#include "targets.h"
#include "text.h"
#include "time_now.h"

enum {
	ROUND_IDLE_MS = 100,
	ROUND_FIRST_MS = 1,
	TABLES_WAIT_MS = 120,          /* from session_create: later ticks without a table count as such */
	COMMAND_TABLES_WAIT_MS = 2000, /* a command waits for us, and misses nothing meanwhile */
	LAST_TABLES_WAIT_MS = 200,
	FAILURES_TOLD = 5,
	COUNTS_SWITCH_MS = 5000,
	COUNTS_SWITCH_MIN_MS = 200, /* when exited images or a lack of slots ask for one */
};

struct session {
	struct session_config config;
	uint64_t created_ns, started_ns, stopped_ns; /* CLOCK_MONOTONIC */
	uint64_t started_realtime_ns;
	uint64_t steal_start_ns;
	struct idle_times idle_start;
	uint64_t period; /* ns, or cycles */
	int round_ms;
	uint64_t next_switch_ns, earliest_switch_ns;

	struct reader *reader, *tables_reader; /* of this thread; of the one that compiles tables */
	struct programs *programs;
	struct sideband *sideband;
	struct clocks *clocks;
	struct tables *tables;
	struct modules modules;
	struct processes processes;
	struct store store;
	struct second_chance *second_chance; /* NULL = none is given */
	struct capture *capture;             /* NULL unless asked for */
	struct events events;
	struct cgroups *cgroups; /* NULL unless a label wants them */
	uint64_t nr_sideband_lost, nr_throttled;
	VECTOR(struct reader_failure) failures;
	struct run_report report;
};

/* ---- one round ---- */

static void handle_ring_record(const void *record, size_t size_bytes, void *context)
{
	struct session *session = context;
	uint32_t type;

	if (size_bytes < sizeof(type))
		return;
	memcpy(&type, record, sizeof(type));
	if (type == RECORD_STACK)
		store_add_body(&session->store, record, size_bytes);
	else if (type == RECORD_CAPTURE && session->capture && size_bytes >= sizeof(struct record_capture))
		capture_write(session->capture, record, &session->processes);
	else if (type == RECORD_SNAPSHOT && session->second_chance)
		second_chance_add(session->second_chance, record, size_bytes);
	else if (type != RECORD_CAPTURE && type != RECORD_SNAPSHOT)
		events_add(&session->events, record, size_bytes, type);
}

/* Hands over the programs' events up to a time. */
static void handle_events_until(struct session *session, uint64_t time_ns)
{
	const struct event *event;

	while ((event = events_take(&session->events, time_ns))) {
		session->round_ms = ROUND_FIRST_MS;
		if (event->type == RECORD_PROCESS)
			processes_handle_record(&session->processes, &event->process);
		else if (event->type == RECORD_EXIT)
			processes_handle_exit(&session->processes, &event->exit);
		else
			processes_handle_no_mapping(&session->processes, &event->no_mapping);
	}
}

static void handle_sideband_record(const struct sideband_record *record, void *context)
{
	struct session *session = context;

	handle_events_until(session, record->time_ns);
	/* Stacks of before have to be walked before, or they would get the names of what comes. */
	if (record->type == SIDEBAND_MMAP && session->second_chance) {
		const struct process *process = processes_find_replaced(&session->processes, record);

		if (process)
			second_chance_settle(session->second_chance, process, record->time_ns);
	}
	if (record->type == SIDEBAND_CGROUP && session->cgroups)
		cgroups_add(session->cgroups, record->cgroup.id, record->cgroup.path);
	if (record->type == SIDEBAND_LOST)
		session->nr_sideband_lost += record->lost;
	/* An idle CPU without a scheduler tick is throttled at any rate, and nothing is lost there. */
	if (record->type == SIDEBAND_THROTTLE)
		session->nr_throttled += record->pid != 0;
	else
		processes_handle_sideband(&session->processes, record);
}

static void round_of_drains(struct session *session)
{
	uint64_t began_ns = time_now_ns(CLOCK_MONOTONIC);

	session->round_ms = session->round_ms * 2 < ROUND_IDLE_MS ? session->round_ms * 2 : ROUND_IDLE_MS;
	programs_drain_ring(session->programs, handle_ring_record, session);
	events_sort(&session->events);
	sideband_drain(session->sideband, began_ns, handle_sideband_record, session);
	handle_events_until(session, began_ns);
	/* What came in while this round was at work waits for the side band to catch up. */
	size_t left = events_keep_rest(&session->events);

	/* Mappings are those of began_ns now; what is read from /proc is of later, when others may be there. */
	if (session->second_chance)
		second_chance_walk(session->second_chance, began_ns, false);
	bool published = processes_publish(&session->processes);

	if (left || published)
		session->round_ms = ROUND_FIRST_MS;
}

static void handle_count(const struct count_key *key, uint64_t count, void *context)
{
	struct session *session = context;

	store_add_count(&session->store, key, count);
}

/* Takes the counts of the generation at work, and then what may now be forgotten. */
static void drain_counts(struct session *session)
{
	int error = programs_drain_counts(session->programs, handle_count, session);

	if (error)
		message_warn("cannot drain the counts (%s)", strerror(-error));
	round_of_drains(session);
	processes_rest(&session->processes, session->capture ? NULL : &session->store);
	session->earliest_switch_ns = time_now_ns(CLOCK_MONOTONIC) + COUNTS_SWITCH_MIN_MS * 1000000ull;
	session->next_switch_ns = time_now_ns(CLOCK_MONOTONIC) + COUNTS_SWITCH_MS * 1000000ull;
}

/* ---- setting up ---- */

/* Starts on the unwind tables, which take about as long as loading the programs. */
static void *prepare_tables(void *context)
{
	struct session *session = context;
	const struct session_config *config = &session->config;

	for (size_t i = 0; i < config->nr_pids; i++)
		processes_prepare(&session->processes, (uint32_t)config->pids[i]);
	for (size_t i = 0; i < config->nr_tids; i++)
		processes_prepare(&session->processes, (uint32_t)config->tids[i]);
	if (config->command_path)
		prepare_executable(&session->modules, session->tables, config->command_path);
	return NULL;
}

/*
 * Loads the programs while the files of the targets are looked at. Each file is asked about in another process, so that
 * mostly waits; neither side knows of the other's data.
 */
static int load_and_prepare(struct session *session, const struct programs_config *config, struct problem *problem)
{
	pthread_t thread;
	bool is_threaded = pthread_create(&thread, NULL, prepare_tables, session) == 0;
	int error = programs_create(config, &session->programs, problem);

	if (is_threaded)
		pthread_join(thread, NULL);
	else
		prepare_tables(session);
	return error;
}

static int set_up(struct session *session, struct problem *problem)
{
	struct stack_key seed = {0};
	ssize_t got = getrandom(&seed, sizeof(seed), 0);

	store_init(&session->store, &seed);
	modules_init(&session->modules, session->reader, MODULES_MAX_SESSION);
	session->tables = tables_create(session->tables_reader, session->config.unwind_bytes_max);
	processes_init(&session->processes, &session->modules, session->tables,
		       targets_are_described(&session->config));
	if (got != sizeof(seed))
		return problem_set(problem, -EIO, "cannot get random numbers (%s)", strerror(errno));
	/* Copies of stacks pass through the ring as well, which no core dump may hold either. */
	if (session->config.snapshot_bytes || session->config.capture_path)
		prctl(PR_SET_DUMPABLE, 0);
	struct targets_described described;

	targets_describe(&session->config, &described);
	struct programs_config config = session_programs_config(&session->config, &described, &seed);
	int error = load_and_prepare(session, &config, problem);

	if (error)
		return error;
	if (session->config.snapshot_bytes)
		session->second_chance = second_chance_create(&(struct second_chance_config){
			.processes = &session->processes,
			.modules = &session->modules,
			.programs = session->programs,
			.store = &session->store,
			.max_frames = session->config.max_depth,
			.snapshot_bytes = session->config.snapshot_bytes,
		});
	tables_attach(session->tables, session->programs);
	processes_attach(&session->processes, session->programs);
	/* The side band first, so that no mapping falls between reading /proc and listening. */
	error = sideband_create(0, session_sideband_wishes(&session->config), &session->sideband, problem);
	if (!error && labels_want_cgroup(&session->config.labels))
		session->cgroups = cgroups_create();
	if (!error)
		error = programs_attach(session->programs, problem);
	if (!error)
		error = targets_add(&session->config, session->programs, &session->processes, problem);
	if (!error)
		error = clocks_create(session->config.event == EVENT_CYCLES ? CLOCK_CYCLES : CLOCK_CPU, session->period,
				      programs_clock_fd(session->programs), session->sideband, &session->clocks,
				      problem);
	if (!error && session->config.capture_path)
		error = capture_create(session->config.capture_path, &session->capture, problem);
	return error;
}

int session_create(const struct session_config *config, struct session **ret, struct problem *problem)
{
	uint64_t created_ns = time_now_ns(CLOCK_MONOTONIC);
	int error = clock_check_rate(config->rate_hz, problem);

	if (error)
		return error;
	struct session *session = memory_new(struct session);
	const struct reader_config reader = {.in_process = config->read_in_process};
	struct rlimit files;

	/* First, since their processes load meanwhile. */
	session->reader = reader_create(&reader);
	session->tables_reader = reader_create(&reader);
	/* A descriptor is held for every file that is mapped. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}

	session->config = *config;
	session->created_ns = created_ns;
	session->round_ms = ROUND_FIRST_MS;
	session->period = session_period(config);
	error = set_up(session, problem);
	if (error) {
		session_destroy(session);
		return error;
	}
	round_of_drains(session);
	*ret = session;
	return 0;
}

void session_destroy(struct session *session)
{
	if (!session)
		return;
	clocks_destroy(session->clocks);
	sideband_destroy(session->sideband);
	tables_destroy(session->tables);
	processes_deinit(&session->processes);
	modules_deinit(&session->modules);
	second_chance_destroy(session->second_chance);
	store_deinit(&session->store);
	programs_destroy(session->programs);
	reader_destroy(session->reader);
	reader_destroy(session->tables_reader);
	capture_destroy(session->capture);
	events_deinit(&session->events);
	cgroups_destroy(session->cgroups);
	vector_free(&session->failures);
	vector_free(&session->idle_start.ns);
	report_deinit(&session->report);
	free(session);
}

int session_start(struct session *session, struct problem *problem)
{
	uint64_t wait_ms = session->config.command_pid ? COMMAND_TABLES_WAIT_MS : TABLES_WAIT_MS;

	enum table_effort effort = session->config.command_pid ? TABLE_WHOLE : TABLE_QUICK;

	tables_wait(session->tables, effort, session->created_ns + wait_ms * 1000000);
	session->started_ns = time_now_ns(CLOCK_MONOTONIC);
	session->started_realtime_ns = time_now_ns(CLOCK_REALTIME);
	session->steal_start_ns = clock_steal_ns();
	clock_idle_times(&session->idle_start);
	session->next_switch_ns = session->started_ns + COUNTS_SWITCH_MS * 1000000ull;
	return clocks_start(session->clocks, problem);
}

/* ---- running ---- */

/* Sleeps until something wakes the session or the round is due. */
static void wait_for_work(const struct session *session, uint64_t end_ns)
{
	const int *sideband_list;
	size_t nr = sideband_fds(session->sideband, &sideband_list);
	_cleanup_free_ struct pollfd *fds = memory_new_array(struct pollfd, nr + 1);
	int64_t left_ms =
		end_ns ? ((int64_t)end_ns - (int64_t)time_now_ns(CLOCK_MONOTONIC) + 999999) / 1000000 : INT32_MAX;
	int timeout_ms = left_ms < session->round_ms ? (int)left_ms : session->round_ms;

	fds[0] = (struct pollfd){.fd = programs_ring_fd(session->programs), .events = POLLIN};
	for (size_t i = 0; i < nr; i++)
		fds[i + 1] = (struct pollfd){.fd = sideband_list[i], .events = POLLIN};
	poll(fds, nr + 1, timeout_ms > 0 ? timeout_ms : 0);
}

static void show_progress(const struct session *session, session_progress_fn progress, void *context)
{
	struct session_progress shown = {.complete_share = NAN};

	if (!progress || report_progress(session->programs, &shown))
		return;
	shown.seconds = (double)(time_now_ns(CLOCK_MONOTONIC) - session->started_ns) / 1e9;
	progress(&shown, context);
}

enum session_end session_run(struct session *session, double seconds, const volatile sig_atomic_t *stop,
			     session_progress_fn progress, void *context)
{
	const uint64_t second_ns = 1000000000;
	uint64_t end_ns = seconds > 0 ? session->started_ns + (uint64_t)(seconds * 1e9) : 0;
	uint64_t next_progress_ns = session->started_ns + second_ns;

	for (;;) {
		if (*stop)
			return END_STOPPED;
		uint64_t now = time_now_ns(CLOCK_MONOTONIC);

		if (end_ns && now >= end_ns)
			return END_TIME;
		if (programs_nr_targets(session->programs) <= 0)
			return END_TARGET_GONE;
		if (now >= next_progress_ns) {
			show_progress(session, progress, context);
			next_progress_ns += second_ns;
		}
		if (now >= session->next_switch_ns ||
		    (processes_want_rest(&session->processes) && now >= session->earliest_switch_ns))
			drain_counts(session);
		wait_for_work(session, end_ns);
		round_of_drains(session);
	}
}

/* ---- finishing ---- */

/* The last samples' files may have been mapped just now: their tables are waited for a little. */
static void finish_second_chances(struct session *session)
{
	second_chance_walk(session->second_chance, time_now_ns(CLOCK_MONOTONIC), false);
	if (second_chance_nr_waiting(session->second_chance))
		tables_wait(session->tables, TABLE_WHOLE,
			    time_now_ns(CLOCK_MONOTONIC) + LAST_TABLES_WAIT_MS * 1000000ull);
	second_chance_walk(session->second_chance, time_now_ns(CLOCK_MONOTONIC), true);
}

static void drain_rest(struct session *session)
{
	uint64_t stopped_ns = time_now_ns(CLOCK_MONOTONIC);

	programs_drain_ring(session->programs, handle_ring_record, session);
	events_sort(&session->events);
	sideband_finish(session->sideband, handle_sideband_record, session);
	handle_events_until(session, UINT64_MAX);
	if (session->second_chance)
		second_chance_walk(session->second_chance, stopped_ns, false);
	processes_publish(&session->processes);
	/* Twice: the second switch takes what was counted in the other map before the clocks had stopped. */
	for (int i = 0; i < 2; i++) {
		int error = programs_drain_counts(session->programs, handle_count, session);

		if (error)
			message_warn("cannot drain the counts (%s)", strerror(-error));
	}
	programs_drain_ring(session->programs, handle_ring_record, session);
	if (session->second_chance)
		finish_second_chances(session);
	if (session->capture)
		capture_finish(session->capture, &session->processes, &session->modules);
	message_detail("drained in %.1f ms", (double)(time_now_ns(CLOCK_MONOTONIC) - stopped_ns) / 1e6);
}

static struct profile *build_profile(struct session *session, struct naming_stats *stats)
{
	const struct session_config *config = &session->config;
	struct profile *profile = profile_create();
	bool cycles = config->event == EVENT_CYCLES;
	const char *type = cycles ? "cycles" : "cpu", *unit = cycles ? "count" : "nanoseconds";
	struct naming_config naming = {
		.is_host = config->all,
		.period = session->period,
		.labels = {.wanted = config->labels, .cgroups = session->cgroups},
	};
	uint64_t began_ns = time_now_ns(CLOCK_MONOTONIC);

	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, type, unit);
	profile_set_period(profile, type, unit, (int64_t)session->period);
	profile->time_ns = (int64_t)session->started_realtime_ns;
	profile->duration_ns = (int64_t)(session->stopped_ns - session->started_ns);
	naming_build(&naming, session->reader, &session->modules, &session->processes, &session->store, profile, stats);
	message_detail("named in %.1f ms", (double)(time_now_ns(CLOCK_MONOTONIC) - began_ns) / 1e6);
	return profile;
}

static void collect_failures(struct session *session, const struct reader *reader)
{
	size_t nr;
	const struct reader_failure *failures = reader_failures(reader, &nr);

	for (size_t i = 0; i < nr; i++)
		*vector_push(&session->failures) = failures[i];
}

/* Files at which a reader process was lost. */
static void tell_failures(struct session *session)
{
	size_t nr;

	collect_failures(session, session->tables_reader);
	collect_failures(session, session->reader);
	nr = session->failures.nr;
	for (size_t i = 0; i < nr && i < FAILURES_TOLD; i++) {
		const struct reader_failure *failure = &session->failures.data[i];
		char path[256];

		message_warn("'%s': %s could not be read: the process that reads files %s",
			     text_printable_path(failure->path, path, sizeof(path)), failure->wanted, failure->reason);
	}
	if (nr > FAILURES_TOLD)
		message_warn("and %zu more such failures, listed by --stats", nr - FAILURES_TOLD);
}

static void idle_times_deinit(struct idle_times *times)
{
	vector_free(&times->ns);
}

/* How long each CPU was idle while the clocks were on. */
static struct idle_times idle_since_start(const struct session *session)
{
	struct idle_times times = {0};

	clock_idle_times(&times);
	for (size_t i = 0; i < times.ns.nr; i++) {
		uint64_t before = i < session->idle_start.ns.nr ? session->idle_start.ns.data[i] : times.ns.data[i];

		times.ns.data[i] = times.ns.data[i] > before ? times.ns.data[i] - before : 0;
	}
	return times;
}

int session_finish(struct session *session, struct profile **ret, struct problem *problem)
{
	struct naming_stats naming = {0};

	clocks_stop(session->clocks);
	session->stopped_ns = time_now_ns(CLOCK_MONOTONIC);
	_cleanup_(idle_times_deinit) struct idle_times idle = idle_since_start(session);

	drain_rest(session);
	/* A table that comes now is of no use, and its reader's failures can be looked at. */
	tables_stop(session->tables);
	reader_release(session->tables_reader);
	*ret = build_profile(session, &naming);
	reader_release(session->reader);

	tell_failures(session);
	struct report_input input = {
		.programs = session->programs,
		.processes = &session->processes,
		.modules = &session->modules,
		.store = &session->store,
		.tables = tables_stats(session->tables),
		.second_chance = session->second_chance ? second_chance_stats(session->second_chance) : NULL,
		.naming = naming,
		.created_ns = session->created_ns,
		.started_ns = session->started_ns,
		.stopped_ns = session->stopped_ns,
		.period_ns = session->config.event == EVENT_CYCLES ? 0 : session->period,
		.rate_hz = session->config.rate_hz,
		.steal_ns = clock_steal_ns() - session->steal_start_ns,
		.idle_ns = idle.ns.data,
		.nr_idle = idle.ns.nr,
		.nr_sideband_lost = session->nr_sideband_lost,
		.nr_throttled = session->nr_throttled,
		.failures = session->failures.data,
		.nr_failures = session->failures.nr,
		.table_bytes_max = session->config.unwind_bytes_max,
	};

	input.refused_tables = tables_refused(session->tables, &input.nr_refused_tables);
	int error = report_make(&input, &session->report);

	if (error)
		problem_set(problem, error, "cannot read the counters (%s)", strerror(-error));
	return error;
}

const struct run_report *session_report(const struct session *session)
{
	return &session->report;
}
