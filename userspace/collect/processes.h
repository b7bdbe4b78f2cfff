/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes.h - process images: who they are, what they have mapped, and what of that the walker knows.
 *
 * Two streams tell of them, both in CLOCK_MONOTONIC: the programs' records (an image was met, was forked, became
 * another by exec, exited) and the side band's (a mapping appeared, a name changed). They are handed in here merged by
 * time. At exec the side band speaks first: its COMM record with the exec mark and the mappings of the new executable
 * come before the programs' record that gives the image its identity, so they wait under the pid until then.
 *
 * Where targets are described rather than listed, an image has its identity with its first sample only. Until then all
 * that is known of a process waits under its pid: what it has mapped since its exec, or what it got from its parent.
 */
#ifndef EBPROF_COLLECT_PROCESSES_H
#define EBPROF_COLLECT_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "mapped_files.h"
#include "mapping_runs.h"
#include "mappings.h"
#include "modules.h"
#include "programs.h"
#include "sideband.h"
#include "store.h"
#include "table.h"
#include "vector.h"

struct process {
	struct process_id id;
	uint32_t slot;
	uint32_t pid; /* in our namespace, 0 = not visible */
	bool is_kthread;
	bool exited;
	bool stale;        /* its mappings have to be read again from /proc */
	bool doubtful;     /* and until then what is held of them may be wrong, rather than just not all */
	bool unpublished;  /* its mappings differ from what the walker has */
	bool queued;       /* in processes.dirty */
	bool refused;      /* there was no room for its mappings; tried again after each rest */
	uint32_t rested;   /* drains since it exited */
	uint32_t nr_added; /* mappings since they were read from /proc */
	uint32_t compared; /* how often its memory was compared with files' code */
	char comm[COMM_SIZE];
	struct mappings mappings;
	uint32_t executable; /* module; NO_MODULE = not known */
	uint32_t run;        /* NO_RUN = the walker has none */
	uint32_t generation;
	uint64_t known_ns; /* CLOCK_MONOTONIC: what was mapped up to then is in mappings */
	uint64_t read_ns;  /* when they were last read from /proc; 0 = never */
	uint64_t met_ns;   /* when the programs met it */
};

/* What is known of a pid: the image that it is, and what the side band said of one that the programs did not meet. */
struct pid_state {
	uint32_t image; /* index into list, UINT32_MAX = none yet */
	bool in_exec;   /* the exec mark came, the image's identity did not yet */
	bool is_whole;  /* pending is all that the process has mapped */
	struct mappings pending;
};

struct processes {
	struct programs *programs; /* borrowed */
	struct mapped_files files;
	bool follow_all;             /* processes that no program has met, too: one of them may be sampled next */
	VECTOR(struct process) list; /* images are never taken out: names are asked for after the run */
	VECTOR(uint32_t) dirty;      /* images that are stale or unpublished */
	VECTOR(uint32_t) resting;    /* images that have exited and that the kernel still knows */
	VECTOR(struct pid_state) pids;
	struct table by_id;   /* process_id -> list */
	struct table by_slot; /* uint32_t -> list */
	struct table by_pid;  /* uint32_t -> pids */
	struct mapping_runs runs;
	size_t nr_refused; /* images that wait for room */
	uint64_t nr_rescans, nr_mappings_refused;
};

/* follow_all: see above; unwind tables are asked for only once a process is sampled then. */
void processes_init(struct processes *processes, struct modules *modules, struct tables *tables, bool follow_all);
void processes_deinit(struct processes *processes);

/* Before there are programs: asks for the tables of what a running process has mapped. */
void processes_prepare(struct processes *processes, uint32_t pid);

/* The programs, borrowed: needed for all that follows. */
void processes_attach(struct processes *processes, struct programs *programs);

/* A target that runs already, as the task iterator shows it. Its mappings are read by the next processes_publish. */
void processes_add_running(struct processes *processes, const struct task_entry *task);

/* A pid that will become an image by exec: a command of ours. */
void processes_expect(struct processes *processes, uint32_t pid);

/* The two streams, in time order. */
void processes_handle_record(struct processes *processes, const struct record_process *record);
void processes_handle_exit(struct processes *processes, const struct record_exit *record);
void processes_handle_no_mapping(struct processes *processes, const struct record_no_mapping *record);
void processes_handle_sideband(struct processes *processes, const struct sideband_record *record);

/*
 * The image of which a mapping that the side band tells of takes the place of another file's; NULL = of none. Asked
 * before the record is handed in.
 */
const struct process *processes_find_replaced(const struct processes *processes, const struct sideband_record *record);

/*
 * For names: notes where the files of a process are mapped, and which of them it is known by. Publishing does that;
 * exposed for tests.
 */
void processes_place_modules(struct processes *processes, struct process *process);

/* Reads again what is stale and publishes what changed. True when anything did. */
bool processes_publish(struct processes *processes);

/*
 * After a generation switch and a full drain: frees what no program can use any more. What an image has mapped is only
 * kept when it has exited if store holds stacks that need it for names; NULL = keep all.
 */
void processes_rest(struct processes *processes, const struct store *store);
/* Whether that is wanted soon: many images have exited, or one found no room for its mappings. */
bool processes_want_rest(const struct processes *processes);

/* NULL = no such slot. */
const struct process *processes_find_slot(const struct processes *processes, uint32_t slot);

#endif
