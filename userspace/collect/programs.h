/* SPDX-License-Identifier: Apache-2.0 */
/*
 * programs.h - the BPF programs and maps of a run: configured, loaded, attached; and the few operations on their maps
 * that need more than one system call.
 *
 * The only place that knows the skeleton.
 */
#ifndef EBPROF_COLLECT_PROGRAMS_H
#define EBPROF_COLLECT_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"
#include "rows.h"
#include "sample.h"

struct programs_config {
	enum target_kind target_kind;
	bool with_children; /* of listed processes */
	bool want_idle;     /* what the kernel does on an idle CPU is wanted, too */
	const union target_name *target_names;
	uint32_t nr_target_names; /* TARGET_NAMES_MAX at most */
	const struct target_cgroup *target_cgroups;
	uint32_t nr_target_cgroups; /* TARGET_CGROUPS_MAX at most */
	bool want_user, want_kernel;
	bool label_thread, label_tid, label_cpu, label_cgroup;
	bool capture;
	uint32_t max_frames;
	uint32_t ring_bytes, counts_max, known_max, processes_max, mappings_max,
		modules_max;     /* entries; powers of two not needed */
	uint32_t snapshot_bytes; /* of stack copied for a second chance, SNAPSHOT_STACK_MAX at most; 0 = none */
	struct stack_key seed;
};

struct programs;

/* Loads; nothing is attached. -EPERM, -ENOENT (no BTF) and others, with *problem. */
int programs_create(const struct programs_config *config, struct programs **ret, struct problem *problem);
void programs_destroy(struct programs *programs);

/* From now on targets are followed through fork, exec and exit, and samples can be counted. Waits some ms. */
int programs_attach(struct programs *programs, struct problem *problem);

int programs_clock_fd(const struct programs *programs);

/* Targets by the kernel's own process (or thread) numbers. */
int programs_add_target(struct programs *programs, uint32_t id, uint32_t flags);
/* Forgets a process that has exited, unless its number has become another target's. */
void programs_forget_target(struct programs *programs, uint32_t id);
int32_t programs_nr_targets(const struct programs *programs);

/* Gives an image a slot; *entry is what the kernel holds for it afterwards. */
int programs_add_process(struct programs *programs, const struct process_id *id, struct process_entry *entry);
/* Replaces the entry of an image that is there; -ENOENT: it is not. */
int programs_set_process(struct programs *programs, const struct process_id *id, const struct process_entry *entry);
void programs_delete_process(struct programs *programs, const struct process_id *id);

/* Every task that runs now, one call each. */
typedef void (*task_fn)(const struct task_entry *task, void *context);
int programs_each_task(struct programs *programs, task_fn found, void *context);

/* Shared memory with the walker: written here, read there. */
struct programs_memory {
	struct mapping_slot *mappings;
	uint32_t nr_mappings;
	struct module_table *modules;
	uint32_t nr_modules;
	struct unwind_rule *rules;
	uint32_t nr_rules;
};
const struct programs_memory *programs_memory(const struct programs *programs);

/*
 * A new pool segment, POOL_SEGMENT_SIZE bytes of zeroed shared memory, not yet visible to the walker; NULL when
 * refused. Lives until programs_destroy. programs_install_segments makes numbers first..first+nr-1 visible; it waits
 * for running programs (some ms).
 */
void *programs_new_segment(struct programs *programs, uint32_t number);
/* NULL = there is no such segment. May be called while another thread makes new ones. */
const void *programs_segment(const struct programs *programs, uint32_t number);
int programs_install_segments(struct programs *programs, uint32_t first, uint32_t nr);

/* The ring. Each record is borrowed for the call. Returns the number of records read or a negative errno. */
typedef void (*record_fn)(const void *record, size_t size_bytes, void *context);
int programs_drain_ring(struct programs *programs, record_fn found, void *context);
int programs_ring_fd(const struct programs *programs);

/*
 * Switches the generation and hands out all counts of the one that was active; it is empty afterwards. Waits for
 * running programs (8-20 ms, more under load).
 */
typedef void (*count_fn)(const struct count_key *key, uint64_t count, void *context);
int programs_drain_counts(struct programs *programs, count_fn found, void *context);

/* Per possible CPU; *nr_ret elements, for the caller to free(). */
int programs_read_counters(const struct programs *programs, struct cpu_counters **ret, size_t *nr_ret);

#endif
