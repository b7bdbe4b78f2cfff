/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.h - unwind tables: compiled from files and installed where the walker finds them, by a thread of its own.
 *
 * Compiling takes milliseconds and making new pool memory visible waits for running programs, so neither may hold up
 * the thread that drains. Requests are served in batches: compile, write into the pool; a table that lies in memory
 * that is visible already is ready at once, the others when the new segments have been made visible in one call.
 */
#ifndef EBPROF_COLLECT_TABLES_H
#define EBPROF_COLLECT_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "counters.h"
#include "modules.h"
#include "programs.h"
#include "reader.h"

struct tables;

struct tables_stats {
	uint64_t bytes; /* of the pool in use */
	uint64_t nr_ready;
	uint64_t nr_no_unwind; /* files without call-frame information */
	uint64_t nr_refused;   /* tables that did not fit */
};

#define TABLES_BYTES_MAX ((uint64_t)POOL_SEGMENTS_MAX * POOL_SEGMENT_SIZE)

/*
 * Starts the thread, which compiles from now on: loading the programs takes about as long. The reader is used by that
 * thread alone; it is borrowed and must outlive this. All tables together take at most max_bytes of kernel memory, and
 * TABLES_BYTES_MAX; a file whose table does not fit is walked without.
 */
struct tables *tables_create(struct reader *reader, uint64_t max_bytes);
/* Where the tables go; borrowed, must outlive this. */
void tables_attach(struct tables *tables, struct programs *programs);
/* Ends the thread, also in the middle of a file, for good. The reader is of no more use then. */
void tables_stop(struct tables *tables);
/* Stops, and frees. NULL is allowed. */
void tables_destroy(struct tables *tables);

/*
 * Asks for a module's table, before all others if it is one that most stacks pass through. fd is borrowed and stays
 * open until tables_destroy; -1 = the file is not to be read, and has none. path is copied.
 */
void tables_request(struct tables *tables, uint32_t module, int fd, const char *path, bool first);

/*
 * The same of a module, by what it is: every stack of a process ends in its executable, by way of the C library. Only
 * the first time.
 */
void tables_request_module(struct tables *tables, struct modules *modules, uint32_t id);

/*
 * Waits until nothing is left to do or CLOCK_MONOTONIC reaches deadline_ns; true = nothing left. A file that takes long
 * (full of hand-written code) has first what can be had quickly, and the rest after all others: TABLE_QUICK doesn't
 * wait for that.
 */
bool tables_wait(struct tables *tables, enum table_effort effort, uint64_t deadline_ns);

struct tables_stats tables_stats(struct tables *tables);

/* The files whose tables did not fit, in order. After tables_stop; borrowed until tables_destroy. */
const struct refused_table *tables_refused(const struct tables *tables, size_t *nr_ret);

#endif
