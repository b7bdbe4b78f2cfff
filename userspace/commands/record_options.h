/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_options.h - what `ebprof record` can be told.
 *
 * The table and this struct are the whole list; a value that is wrong alone is refused by its row, and what is wrong
 * only together (no target, a pid and a command) by record_options_parse().
 */
#ifndef EBPROF_COMMANDS_RECORD_OPTIONS_H
#define EBPROF_COMMANDS_RECORD_OPTIONS_H

#include <stdbool.h>

#include "option.h"
#include "session.h"
#include "vector.h"

enum record_format { FORMAT_PPROF, FORMAT_FOLDED };

enum {
	RATE_DEFAULT_HZ = 99,
	RATE_MAX_HZ = 100000, /* the kernel takes any period; beyond this a CPU does little else */
	DEPTH_DEFAULT = 384,
	DEPTH_MIN = 16,
	DEPTH_MAX = 1024,
	SNAPSHOT_DEFAULT_KIB = 16,
	SNAPSHOT_HOST_KIB = 64, /* where programs come and go, more stacks can be walked late only */
	SNAPSHOT_MAX_KIB = 64,
	UNWIND_DEFAULT_BYTES = 512 << 20,
	UNWIND_MAX_BYTES = 1 << 30, /* as many segments as the pool has places for */
	TARGETS_MAX = 1024,
	RECORD_NAMES_MAX = SESSION_NAMES_MAX,
	RECORD_CGROUPS_MAX = SESSION_CGROUPS_MAX,
	CONTAINER_PREFIX_MIN = 3,
};

struct record_labels {
	struct session_labels on, given;
};

struct record_strict {
	bool enabled;
	double percent;
};

struct record_targets {
	VECTOR(pid_t) list; /* no number twice */
};

struct record_names {
	const char *list[RECORD_NAMES_MAX]; /* borrowed from argv */
	size_t nr;
};

struct record_cgroups {
	struct session_cgroup list[RECORD_CGROUPS_MAX];
	size_t nr;
};

struct record_options {
	struct record_targets pids, tids;
	struct record_names names;
	struct record_cgroups cgroups; /* and containers */
	bool all, idle;
	bool with_children;
	char **command; /* NULL-terminated, borrowed from argv; NULL = none */
	int nr_command;
	bool as_root;

	enum session_event event;
	uint32_t rate_hz;
	double seconds; /* 0 = no limit */
	bool user_only, kernel_only;
	struct record_labels labels;
	long long max_depth;
	long long snapshot_kib;
	long long unwind_bytes_max;

	enum record_format format;
	const char *output_path; /* never NULL after parsing */
	const char *stats_path;  /* NULL = none */
	bool record_args;
	struct record_strict strict;
	bool quiet, verbose;

	bool read_in_process;
	const char *capture_path;
	long long ring_bytes, counts_max, known_max, processes_max, mappings_max; /* 0 = default */

	int nr_own_arguments; /* words of argv that are ebprof's: the command and "--" left out */
	bool help;            /* print the help; nothing else is valid */
};

extern const struct option_table record_option_table;

/* 0, or -EINVAL with *problem. argv[0] is "record". */
int record_options_parse(int argc, char **argv, struct record_options *ret, struct problem *problem);
void record_options_deinit(struct record_options *options);

/*
 * Whether rate_hz is possible where the kernel's limit (kernel.perf_event_max_sample_rate, 0 = unknown) is this:
 * 0, or -EINVAL with *problem saying what to do.
 */
int record_rate_check(long long rate_hz, long long kernel_limit_hz, struct problem *problem);

#endif
