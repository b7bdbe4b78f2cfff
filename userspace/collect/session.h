/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - one recording, from attaching to the finished profile.
 *
 *     session_create -> session_start -> session_run (until its end) -> session_finish -> session_destroy
 *
 * The command decides what is asked for and what is shown; everything between lives here.
 */
#ifndef EBPROF_COLLECT_SESSION_H
#define EBPROF_COLLECT_SESSION_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "counters.h"
#include "message.h"
#include "profile.h"

enum session_part { PART_BOTH, PART_USER, PART_KERNEL };
enum session_event { EVENT_CPU, EVENT_CYCLES };

/* A folder of the cgroup hierarchy (version 2), with all below it. */
struct session_cgroup {
	uint64_t id;    /* the folder's inode */
	uint32_t level; /* 0 = the root */
};

/* What samples are told apart by. */
struct session_labels {
	bool pid, comm, thread, tid, cpu, cgroup, container, unit;
};

enum { SESSION_NAMES_MAX = 8, SESSION_CGROUPS_MAX = 8 };

struct session_config {
	/*
	 * Targets: exactly one of the lists, or all, or a command's pid. Pids of the caller's namespace. A command may
	 * come with targets that are not listed by number: then it only says how long.
	 */
	bool all;
	bool idle;                /* what the kernel does on an idle CPU, too */
	const char *const *names; /* of processes, cut at 15 bytes as the kernel does */
	size_t nr_names;
	const struct session_cgroup *cgroups;
	size_t nr_cgroups;
	const pid_t *pids;
	size_t nr_pids;
	const pid_t *tids;
	size_t nr_tids;
	pid_t command_pid;        /* a child that waits to exec: recorded from its exec on; 0 = none */
	const char *command_path; /* what that child will execute, so that its unwind rows are ready; NULL = unknown */
	bool with_children;       /* processes that a target starts become targets */

	enum session_event event;
	uint32_t rate_hz;
	enum session_part part;
	uint32_t max_depth; /* user frames kept, USER_FRAMES_MIN..USER_FRAMES_MAX */
	struct session_labels labels;

	/* Sizes for tests and for hosts that need more; 0 = default. */
	uint32_t ring_bytes, counts_max, known_max, processes_max, mappings_max;
	uint32_t snapshot_bytes;   /* of stack copied for a second chance; 0 = none is given */
	uint64_t unwind_bytes_max; /* of kernel memory for unwind tables */
	bool read_in_process;      /* files by this process itself (debugging) */
	const char *capture_path;  /* write each sample's registers and stack here (debugging); NULL = no */
};

struct session;

/* What a person wants to see while it runs. */
struct session_progress {
	double seconds;
	uint64_t samples;
	uint64_t lost;
	double complete_share; /* of samples with a user stack, 0..1; NAN before the first */
};
typedef void (*session_progress_fn)(const struct session_progress *progress, void *context);

enum session_end { END_TIME, END_STOPPED, END_TARGET_GONE };

/*
 * Loads the programs, finds the targets, reads their mappings; nothing is attached to a clock yet. -ESRCH: a target
 * does not exist; -EPERM, -EACCES: a capability is missing; others as the kernel gave them; always with *problem.
 */
int session_create(const struct session_config *config, struct session **ret, struct problem *problem);

/* Starts the clocks. */
int session_start(struct session *session, struct problem *problem);

/*
 * Drains until `seconds` are over (<= 0: no limit), *stop becomes non-zero (a signal handler sets it; its write must
 * interrupt poll, so install the handler without SA_RESTART), or every target has exited. progress may be NULL; it is
 * called about once a second.
 */
enum session_end session_run(struct session *session, double seconds, const volatile sig_atomic_t *stop,
			     session_progress_fn progress, void *context);

/* Stops the clocks, takes what is left, names it. The profile is the caller's. Runs once. */
int session_finish(struct session *session, struct profile **ret, struct problem *problem);

/* Valid after session_finish; borrowed. */
const struct run_report *session_report(const struct session *session);

/* Detaches and frees everything. NULL is allowed. */
void session_destroy(struct session *session);

#endif
