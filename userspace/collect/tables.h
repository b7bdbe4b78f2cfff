/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.h - unwind tables: compiled from files and installed where the walker finds them, by a thread of its own.
 *
 * Compiling takes milliseconds and making new pool memory visible waits for running programs, so neither may hold up
 * the thread that drains. Requests are served in batches: compile all, write them into the pool, make the new segments
 * visible in one call, then mark the modules ready.
 */
#ifndef EBPROF_COLLECT_TABLES_H
#define EBPROF_COLLECT_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "programs.h"

struct tables;

struct tables_stats {
	uint64_t bytes; /* of the pool in use */
	uint64_t nr_ready;
	uint64_t nr_no_unwind; /* files without call-frame information */
	uint64_t nr_refused;   /* tables that did not fit */
};

/* Starts the thread. programs is borrowed and must outlive it. */
struct tables *tables_create(struct programs *programs);
/* Stops the thread after the batch at hand. NULL is allowed. */
void tables_destroy(struct tables *tables);

/* Asks for a module's table. fd is borrowed and stays open until tables_destroy; path is copied. */
void tables_request(struct tables *tables, uint32_t module, int fd, const char *path);

/* Waits until nothing is left to do or CLOCK_MONOTONIC reaches deadline_ns; true = nothing left. */
bool tables_wait(struct tables *tables, uint64_t deadline_ns);

struct tables_stats tables_stats(struct tables *tables);

#endif
