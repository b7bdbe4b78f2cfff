/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.c - record a child that does nothing but compute.
 *
 * It is the session that `ebprof record` runs, with small tables. The child is a fork and never anything else, so its
 * code is this program's; it ends with us whatever happens. Single features can all be there and their sum can still
 * fail (a filter, a limit, a verifier that is stricter), which only this shows.
 */
#include "trial.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "session.h"
#include "time_now.h"

enum {
	CHILD_SECONDS_MAX = 20,
	COUNTS = 1 << 10,
	MAX_DEPTH = 384,
	SNAPSHOT_BYTES = 16 << 10,
	UNWIND_BYTES = 64 << 20,
	PROCESSES = 64,
	MAPPINGS = 1 << 12,
};
static const double TRIAL_SECONDS = 0.5;

static void __attribute__((noreturn)) compute(pid_t parent)
{
	signal(SIGALRM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(CHILD_SECONDS_MAX);
	/* It may have ended before it was watched. */
	if (getppid() != parent)
		_exit(0);
	for (volatile uint64_t sum = 0;;)
		sum = sum * 31 + 1;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int record_child(pid_t pid, uint32_t rate_hz, struct trial *ret, struct problem *problem)
{
	const struct session_config config = {
		.pids = &pid,
		.nr_pids = 1,
		.event = EVENT_CPU,
		.rate_hz = rate_hz,
		.part = PART_BOTH,
		.max_depth = MAX_DEPTH,
		.counts_max = COUNTS,
		.known_max = COUNTS,
		.processes_max = PROCESSES,
		.mappings_max = MAPPINGS,
		.snapshot_bytes = SNAPSHOT_BYTES,
		.unwind_bytes_max = UNWIND_BYTES,
	};
	uint64_t began_ns = time_now_ns(CLOCK_MONOTONIC);
	volatile sig_atomic_t stop = 0;
	struct session *session = NULL;
	struct profile *profile = NULL;
	int error = session_create(&config, &session, problem);

	if (error)
		return error;
	error = session_start(session, problem);
	ret->start_seconds = (double)(time_now_ns(CLOCK_MONOTONIC) - began_ns) / 1e9;
	if (!error) {
		session_run(session, TRIAL_SECONDS, &stop, NULL, NULL);
		error = session_finish(session, &profile, problem);
	}
	if (!error) {
		const struct run_report *report = session_report(session);

		ret->samples = report->samples;
		ret->lost = report->lost;
		ret->complete_share =
			report->user_stacks ? (double)report->complete / (double)report->user_stacks : NAN;
	}
	profile_destroy(profile);
	session_destroy(session);
	return error;
}

int trial_run(uint32_t rate_hz, struct trial *ret, struct problem *problem)
{
	pid_t parent = getpid(), pid = fork();

	*ret = (struct trial){.complete_share = NAN};
	if (pid < 0)
		return problem_set(problem, -errno, "cannot start a process: %s", strerror(errno));
	if (pid == 0)
		compute(parent);
	int error = record_child(pid, rate_hz, ret, problem);

	end_child(pid);
	return error;
}
