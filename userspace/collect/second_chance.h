/* SPDX-License-Identifier: Apache-2.0 */
/*
 * second_chance.h - finishes the stacks that the kernel could not walk because the loader did not yet know enough.
 *
 * Each such sample comes with its own registers and the top of its own stack. It waits until the mappings of its
 * process and the tables of the files on its way are there, is walked by the same walker that the kernel has, and goes
 * into the store like any other. What it waited for never comes for some; those end where the kernel had to stop.
 *
 * A stack holds what the program was working on, secrets included: the copies lie in memory that is left out of core
 * dumps, and are wiped as soon as they have been walked.
 */
#ifndef EBPROF_COLLECT_SECOND_CHANCE_H
#define EBPROF_COLLECT_SECOND_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "processes.h"
#include "programs.h"
#include "sample.h"
#include "store.h"

struct second_chance;

struct second_chance_config {
	/* Borrowed. The modules' reader is asked for code. */
	const struct processes *processes;
	struct modules *modules;
	const struct programs *programs;
	struct store *store;
	uint32_t max_frames;     /* as in programs_config */
	uint32_t snapshot_bytes; /* what the programs copy of a stack */
};

struct second_chance *second_chance_create(const struct second_chance_config *config);
void second_chance_destroy(struct second_chance *chance);

/* A struct record_snapshot and the stack behind it; size_bytes is the whole record's. */
void second_chance_add(struct second_chance *chance, const void *record, size_t size_bytes);

/*
 * Walks what waits and was sampled up to known_ns (CLOCK_MONOTONIC), from when on mappings are not known yet. What still
 * lacks something waits on, unless its time is up or is_last says that nothing more will be learnt.
 */
void second_chance_walk(struct second_chance *chance, uint64_t known_ns, bool is_last);

size_t second_chance_nr_waiting(const struct second_chance *chance);

/* What became of them, for the run's counters. */
struct second_chance_stats {
	uint64_t nr_ends[NR_STOPS]; /* by how the walk ended at last */
	uint64_t nr_frames, nr_fp_frames, nr_fp_stacks, nr_guessed_frames, nr_guessed_stacks, nr_elided;
	uint64_t nr_hurried; /* walked before their time, because too much was waiting */
	uint64_t nr_broken;  /* records that contradict themselves */
	uint64_t first_complete_ns;
};
const struct second_chance_stats *second_chance_stats(const struct second_chance *chance);

/*
 * Something else takes the place of what this process had mapped until then (CLOCK_MONOTONIC): its stacks of before are
 * walked now, whatever they lack.
 */
void second_chance_settle(struct second_chance *chance, const struct process *process, uint64_t time_ns);

#endif
