/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes_world.h - the processes of a run without loaded programs: nothing is published. Includes cmocka.
 */
#ifndef EBPROF_TESTS_PROCESSES_WORLD_H
#define EBPROF_TESTS_PROCESSES_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "processes.h"

enum { NR_SLOTS = 1000 };

struct world {
	struct modules modules;
	struct processes processes;
	struct reader *tables_reader;
	struct tables *tables;
	struct mapping_slot slots[NR_SLOTS];
};

static struct world *world;

static inline int begin_world(bool follow_all)
{
	world = memory_new(struct world);
	world->tables = tables_create(world->tables_reader = reader_create(NULL), TABLES_BYTES_MAX);
	modules_init(&world->modules, reader_create(NULL), 64);
	processes_init(&world->processes, &world->modules, world->tables, follow_all);
	mapping_runs_init(&world->processes.runs, world->slots, NR_SLOTS);
	return 0;
}

static inline int start_world(void **state)
{
	(void)state;
	return begin_world(false);
}

static inline int start_host(void **state)
{
	(void)state;
	return begin_world(true);
}

static inline int end_world(void **state)
{
	(void)state;
	tables_destroy(world->tables);
	reader_destroy(world->tables_reader);
	processes_deinit(&world->processes);
	reader_destroy(world->modules.reader);
	modules_deinit(&world->modules);
	free(world);
	return 0;
}

/* The image of a pid after nr_execs; its slot is unique as well. */
static inline struct process_id image_id(uint32_t pid, uint32_t nr_execs)
{
	return (struct process_id){.start_boottime_ns = 1000000 + pid, .tgid = 70000 + pid, .exec_id = nr_execs};
}

static inline struct record_process make_record(enum process_origin origin, uint32_t pid, uint32_t nr_execs,
						const char *comm)
{
	struct record_process record = {
		.type = RECORD_PROCESS,
		.origin = origin,
		.id = image_id(pid, nr_execs),
		.entry = {.slot = pid * 10 + nr_execs},
		.pid = pid,
	};

	if (origin == ORIGIN_EXEC)
		record.parent = image_id(pid, nr_execs - 1);
	memcpy(record.comm, comm, strlen(comm));
	return record;
}

static inline void meet(uint32_t pid, uint32_t nr_execs)
{
	struct record_process record = make_record(ORIGIN_SAMPLE, pid, nr_execs, "met");

	processes_handle_record(&world->processes, &record);
}

static inline struct process *image(uint32_t pid, uint32_t nr_execs)
{
	uint32_t slot = pid * 10 + nr_execs;
	const struct process *process = processes_find_slot(&world->processes, slot);

	assert_non_null(process);
	assert_int_equal(process->slot, slot);
	assert_int_equal(process->pid, pid);
	return (struct process *)process;
}

/* ---- records ---- */

static inline void fork_from(uint32_t parent, uint32_t parent_execs, uint32_t pid, struct process_entry entry)
{
	struct record_process record = make_record(ORIGIN_FORK, pid, parent_execs, "forked");

	entry.slot = record.entry.slot;
	record.parent = image_id(parent, parent_execs);
	record.entry = entry;
	processes_handle_record(&world->processes, &record);
}

static inline void become(uint32_t pid, uint32_t nr_execs)
{
	struct record_process record = make_record(ORIGIN_EXEC, pid, nr_execs, "became");

	processes_handle_record(&world->processes, &record);
}

static inline void leave(uint32_t pid, uint32_t nr_execs)
{
	struct record_exit record = {.type = RECORD_EXIT, .pid = pid, .id = image_id(pid, nr_execs)};

	processes_handle_exit(&world->processes, &record);
}

static inline struct sideband_record mapped_at(uint64_t time_ns, uint32_t pid, uint64_t start, const char *name)
{
	return (struct sideband_record){
		.type = SIDEBAND_MMAP,
		.time_ns = time_ns,
		.pid = pid,
		.tid = pid + 7,
		.mmap = {.start = start, .end = start + 0x1000, .path = name},
	};
}

static inline void map(uint32_t pid, uint64_t start, const char *name)
{
	struct sideband_record record = mapped_at(0, pid, start, name);

	processes_handle_sideband(&world->processes, &record);
}

static inline void rename_thread(uint32_t pid, uint32_t tid, const char *name, bool is_exec)
{
	struct sideband_record record = {
		.type = SIDEBAND_COMM, .pid = pid, .tid = tid, .comm = {.is_exec = is_exec, .name = name}};

	processes_handle_sideband(&world->processes, &record);
}

/* ---- what came of it ---- */

/* The names of what is mapped, in order: "a b". */
static inline void check_mapped(const struct process *process, const char *expected)
{
	char text[200] = "";

	for (size_t i = 0; i < process->mappings.list.nr; i++) {
		const struct mapping *mapping = &process->mappings.list.data[i];

		strcat(strcat(text, i ? " " : ""), strings_text(&world->processes.files.paths, mapping->path));
		assert_int_equal(mapping->module, NO_MODULE);
	}
	assert_string_equal(text, expected);
}

/* Of a run in which any process may be sampled. */
#define HOST_TEST(name)    cmocka_unit_test_setup_teardown(name, start_host, end_world)
#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, start_world, end_world)

#endif
