/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - what happened to every tick: the kernel's counters and the loader's own, added up and explained.
 *
 * The equation: expected = runs + idle_skipped + unexplained, where expected = 1 + (last - first) / period on each CPU;
 * and runs = samples + filtered + idle + the lost_* counters, exactly. idle_skipped: a CPU without anything to do gets no
 * scheduler tick, and then the kernel lets our clock there pause, too; by /proc/stat it was idle for so many periods more
 * than it ticked.
 */
#ifndef EBPROF_COLLECT_COUNTERS_H
#define EBPROF_COLLECT_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Counted by the loader.
 *
 * LOADER_COUNTER(name, text, advice)
 */
#define LOADER_COUNTERS(LOADER_COUNTER)                                   \
	LOADER_COUNTER(stack_lost, "samples whose stack was lost: ring full", "raise --ring")                          \
	LOADER_COUNTER(hash_mismatch, "stacks whose hash did not match their frames", "please report it")              \
	LOADER_COUNTER(sideband_lost, "mapping records lost by the kernel, mappings read again", "")                   \
	LOADER_COUNTER(throttled, "times the kernel throttled the clock", "lower -F")                                  \
	LOADER_COUNTER(files_unreadable, "files that could not be opened", "")                                         \
	LOADER_COUNTER(files_broken, "files that are not valid ELF", "")  \
	LOADER_COUNTER(files_failed, "times that reading a file failed: its process was lost", "see failed_files in --stats") \
	LOADER_COUNTER(files_no_unwind, "files without unwind information", "")                                        \
	LOADER_COUNTER(tables_refused, "unwind tables that did not fit", "raise --max-unwind-memory")                  \
	LOADER_COUNTER(mappings_refused, "mappings that did not fit", "raise --mappings") \
	LOADER_COUNTER(frames_unnamed, "user frames without a name", "install the debug packages")                     \
	LOADER_COUNTER(kernel_unnamed, "kernel frames without a name", "set kernel.kptr_restrict=0 or 1 with CAP_SYSLOG") \
	LOADER_COUNTER(snapshots_hurried, "copied stacks walked too early: too many were waiting", "lower --snapshot") \
	LOADER_COUNTER(snapshots_broken, "samples lost: a copied stack contradicted itself", "please report it") \
	LOADER_COUNTER(rescans, "times a process's mappings were read again", "")

enum loader_counter {
#define LOADER_COUNTER(name, text, advice) LOADER_##name,
	LOADER_COUNTERS(LOADER_COUNTER)
#undef LOADER_COUNTER
	NR_LOADER_COUNTERS,
};

enum counter_group { COUNTER_OUTCOME, COUNTER_LOSS, COUNTER_USER_END, COUNTER_EVENT, COUNTER_LOADER };

/* One counter with its meaning, for --stats, the summary and the profile's comments. */
struct counter_line {
	const char *name; /* snake_case, stable: the key in --stats */
	const char *text;
	const char *advice; /* "" = none */
	enum counter_group group;
	uint64_t value;
};

/* A row of the conservation equation. */
struct cpu_balance {
	uint32_t cpu;
	uint64_t expected, runs, named; /* named: the sum of the outcome counters */
	uint64_t idle_skipped;          /* what did not run because the CPU was idle */
	int64_t unexplained;            /* expected - runs - idle_skipped */
};

enum target_runtime { RUNTIME_NATIVE, RUNTIME_PYTHON, RUNTIME_NODE, RUNTIME_JAVA };

struct reader_failure; /* reader.h */

/* A file whose unwind table was larger than what was left of the memory for them. */
struct refused_table {
	const char *path;
	uint64_t bytes; /* that it needs */
};

/* Everything that is said about a run once it is over. */
struct run_report {
	double seconds;      /* wall clock, clocks on */
	uint64_t period_ns;  /* 0 with cycles */
	uint32_t rate_hz;
	uint64_t expected, runs, samples, idle_skipped, unexplained;
	uint64_t lost;       /* all named losses together */
	uint64_t user_stacks, complete, ended, incomplete, by_frame_pointer; /* stacks */
	double steal_seconds; /* taken from this machine by its host, all CPUs, during the run */
	uint64_t nr_processes, nr_files, nr_stacks;
	uint64_t table_bytes, table_bytes_max; /* unwind tables in the kernel; what they may take */
	uint64_t first_tick_ns, first_complete_ns; /* after session_create was entered; 0 = none */
	enum target_runtime runtime; /* of the heaviest process */
	char kernel[200];    /* uname: release and machine */

	size_t nr_failures;  /* files at which a reader process was lost; borrowed from the session */
	const struct reader_failure *failures;
	size_t nr_refused_tables; /* likewise */
	const struct refused_table *refused_tables;

	size_t nr_lines;     /* every counter, zero or not */
	const struct counter_line *lines;
	size_t nr_cpus;
	const struct cpu_balance *cpus;
};

#endif
