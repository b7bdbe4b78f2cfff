/* SPDX-License-Identifier: Apache-2.0 */
#include "processes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replaced_text.h"
#include "rescan.h"

enum {
	NO_IMAGE = UINT32_MAX,
	RESTING_MAX = 1024,
	MAPPINGS_PER_PROCESS_MAX = 65536, /* the walker's binary search has that many steps */
	ADDED_MAX = 1024,                 /* to an image's mappings, between two times that they are read as a whole */
	COMPARED_MAX = 64,                /* pieces of an image's memory, with the code of files */
	EXITED_REST_DRAINS = 2,           /* a process can still be sampled a little after its exit was announced */
};

void processes_init(struct processes *processes, struct modules *modules, struct tables *tables, bool follow_all)
{
	memset(processes, 0, sizeof(*processes));
	mapped_files_init(&processes->files, modules, tables);
	processes->files.tables_wait = follow_all;
	processes->follow_all = follow_all;
	table_init(&processes->by_id, sizeof(struct process_id));
	table_init(&processes->by_slot, sizeof(uint32_t));
	table_init(&processes->by_pid, sizeof(uint32_t));
}

void processes_attach(struct processes *processes, struct programs *programs)
{
	const struct programs_memory *memory = programs_memory(programs);

	processes->programs = programs;
	mapping_runs_init(&processes->runs, memory->mappings, memory->nr_mappings);
}

void processes_deinit(struct processes *processes)
{
	for (size_t i = 0; i < processes->list.nr; i++)
		mappings_deinit(&processes->list.data[i].mappings);
	for (size_t i = 0; i < processes->pids.nr; i++)
		mappings_deinit(&processes->pids.data[i].pending);
	vector_free(&processes->list);
	vector_free(&processes->pids);
	vector_free(&processes->dirty);
	vector_free(&processes->resting);
	table_deinit(&processes->by_id);
	table_deinit(&processes->by_slot);
	table_deinit(&processes->by_pid);
	mapping_runs_deinit(&processes->runs);
	mapped_files_deinit(&processes->files);
}

/* ---- finding ---- */

static struct pid_state *find_pid(const struct processes *processes, uint32_t pid)
{
	uint32_t index;

	return table_get(&processes->by_pid, &pid, &index) ? &processes->pids.data[index] : NULL;
}

static struct pid_state *intern_pid(struct processes *processes, uint32_t pid)
{
	bool added;
	uint32_t index = table_intern(&processes->by_pid, &pid, (uint32_t)processes->pids.nr, &added);

	if (added)
		vector_push(&processes->pids)->image = NO_IMAGE;
	return &processes->pids.data[index];
}

static struct process *find_image(const struct processes *processes, const struct process_id *id)
{
	uint32_t index;

	return table_get(&processes->by_id, id, &index) ? &processes->list.data[index] : NULL;
}

const struct process *processes_find_slot(const struct processes *processes, uint32_t slot)
{
	uint32_t index;

	return table_get(&processes->by_slot, &slot, &index) ? &processes->list.data[index] : NULL;
}

/* The image of an identity, made if it is new. */
static struct process *intern_image(struct processes *processes, const struct process_id *id, uint32_t slot,
				    bool *added)
{
	uint32_t index = table_intern(&processes->by_id, id, (uint32_t)processes->list.nr, added);

	if (*added) {
		struct process *process = vector_push(&processes->list);

		process->id = *id;
		process->slot = slot;
		process->run = NO_RUN;
		process->executable = NO_MODULE;
		table_put(&processes->by_slot, &slot, index);
	}
	return &processes->list.data[index];
}

/* ---- mappings ---- */

/* Points the kernel's entry of an image at its run. */
static void publish_entry(struct processes *processes, const struct process *process)
{
	const struct mapping_run *run = &processes->runs.list.data[process->run];
	struct process_entry entry = {
		.slot = process->slot,
		.first = run->first,
		.count = run->count,
		.generation = process->generation,
		.known_ns = process->known_ns,
	};

	/* -ENOENT: the image is gone; nobody will walk with the run. */
	programs_set_process(processes->programs, &process->id, &entry);
}

static void rescan_image(struct processes *processes, struct process *process, struct rescans *rescans)
{
	uint32_t budget = COMPARED_MAX - process->compared;

	process->stale = false;
	process->doubtful = false;
	process->nr_added = 0;
	if (process->exited || process->is_kthread || !process->pid)
		return;
	processes->nr_rescans++;
	rescans_read(rescans, &processes->files, &process->id, (pid_t)process->pid,
		     (uint32_t)(process - processes->list.data), &budget);
	process->compared = COMPARED_MAX - budget;
}

/* The mappings that were read are the image's. */
static void take_rescan(struct processes *processes, struct rescan *rescan)
{
	struct process *process = &processes->list.data[rescan->image];

	process->known_ns = process->read_ns = rescan->read_ns;
	/* What it lacked is not there: a new run would only use up slots. */
	if (process->run != NO_RUN && mappings_equal(&process->mappings, &rescan->mappings)) {
		if (!process->unpublished)
			publish_entry(processes, process);
		return;
	}
	mappings_deinit(&process->mappings);
	process->mappings = rescan->mappings;
	memset(&rescan->mappings, 0, sizeof(rescan->mappings));
	process->unpublished = true;
}

static void rescan_stale(struct processes *processes)
{
	struct rescans rescans;

	rescans_init(&rescans);
	for (size_t i = 0; i < processes->dirty.nr; i++) {
		struct process *process = &processes->list.data[processes->dirty.data[i]];

		if (process->stale)
			rescan_image(processes, process, &rescans);
	}
	rescans_check(&rescans, processes->programs);
	for (size_t i = 0; i < rescans.list.nr; i++)
		if (rescans.list.data[i].is_same)
			take_rescan(processes, &rescans.list.data[i]);
	rescans_deinit(&rescans);
}

void processes_place_modules(struct processes *processes, struct process *process)
{
	for (size_t i = 0; i < process->mappings.list.nr; i++) {
		const struct mapping *mapping = &process->mappings.list.data[i];

		if (mapping->module == NO_MODULE)
			continue;
		struct module *module = &processes->files.modules->list.data[mapping->module];

		if (process->executable == NO_MODULE && module->info.is_executable)
			process->executable = mapping->module;
		if (module->is_placed)
			continue;
		module->is_placed = true;
		module->place = (struct module_place){
			.start = mapping->start,
			.end = mapping->end,
			.file_offset = mapping->file_offset,
			.module_offset = mapping->module_offset,
		};
	}
}

/* Writes an image's mappings as a new run and points the kernel's entry at it. */
static void publish_image(struct processes *processes, struct process *process)
{
	uint32_t count = (uint32_t)process->mappings.list.nr;

	process->unpublished = false;
	processes_place_modules(processes, process);
	/* Also of one that has exited: its samples may wait. */
	mapped_files_request_tables(&processes->files, &process->mappings);
	if (!count || process->exited)
		return;
	uint32_t run = count > MAPPINGS_PER_PROCESS_MAX ? NO_RUN : mapping_runs_take(&processes->runs, count);

	if (run == NO_RUN) {
		if (!process->refused)
			processes->nr_mappings_refused += count;
		process->refused = true;
		processes->nr_refused += count <= MAPPINGS_PER_PROCESS_MAX; /* else no rest will help */
		return;
	}
	process->refused = false;
	uint32_t first = processes->runs.list.data[run].first;

	for (uint32_t i = 0; i < count; i++) {
		const struct mapping *mapping = &process->mappings.list.data[i];

		processes->runs.slots[first + i] = (struct mapping_slot){
			.start = mapping->start,
			.end = mapping->end,
			.offset = mapping->module_offset,
			.module = mapping->module,
		};
	}
	uint32_t previous = process->run;

	process->run = run;
	process->generation++;
	publish_entry(processes, process);
	mapping_runs_leave(&processes->runs, previous);
}

/* Something about an image has to be read again or told to the walker. */
static void mark(struct processes *processes, struct process *process, bool stale)
{
	process->stale |= stale;
	process->unpublished |= !stale;
	if (process->queued)
		return;
	process->queued = true;
	*vector_push(&processes->dirty) = (uint32_t)(process - processes->list.data);
}

bool processes_publish(struct processes *processes)
{
	size_t nr = processes->dirty.nr;

	rescan_stale(processes);
	for (size_t i = 0; i < nr; i++) {
		struct process *process = &processes->list.data[processes->dirty.data[i]];

		process->queued = false;
		if (process->unpublished)
			publish_image(processes, process);
	}
	processes->dirty.nr = 0;
	return nr > 0;
}

/* An image is over: what the kernel keeps of it goes once nobody can use it any more. */
static void retire(struct processes *processes, struct process *process)
{
	if (process->exited)
		return;
	process->exited = true;
	*vector_push(&processes->resting) = (uint32_t)(process - processes->list.data);
}

bool processes_want_rest(const struct processes *processes)
{
	return processes->resting.nr > RESTING_MAX || processes->nr_refused;
}

void processes_rest(struct processes *processes, const struct store *store)
{
	size_t left = 0;

	for (size_t i = 0; i < processes->resting.nr; i++) {
		struct process *process = &processes->list.data[processes->resting.data[i]];

		if (++process->rested <= EXITED_REST_DRAINS) {
			processes->resting.data[left++] = processes->resting.data[i];
			continue;
		}
		programs_delete_process(processes->programs, &process->id);
		programs_forget_target(processes->programs, process->id.tgid);
		mapping_runs_leave(&processes->runs, process->run);
		process->run = NO_RUN;
		if (store && !store_needs_process(store, process->slot))
			mappings_deinit(&process->mappings);
	}
	processes->resting.nr = left;
	mapping_runs_rest(&processes->runs);
	for (size_t i = 0; processes->nr_refused && i < processes->list.nr; i++)
		if (processes->list.data[i].refused && !processes->list.data[i].exited)
			mark(processes, &processes->list.data[i], false);
	processes->nr_refused = 0;
}

/* ---- the streams ---- */

void processes_add_running(struct processes *processes, const struct task_entry *task)
{
	struct process_entry entry = {0};
	bool added;

	if (programs_add_process(processes->programs, &task->id, &entry))
		return;
	struct process *process = intern_image(processes, &task->id, entry.slot, &added);

	/* The kernel may have given it its parent's run already, whose number no other run of its may have. */
	if (added)
		process->generation = entry.generation;
	process->pid = task->pid;
	process->is_kthread = task->flags & TASK_IS_KTHREAD;
	mark(processes, process, true);
	memcpy(process->comm, task->comm, sizeof(process->comm));
	intern_pid(processes, task->pid)->image = (uint32_t)(process - processes->list.data);
}

void processes_prepare(struct processes *processes, uint32_t pid)
{
	mapped_files_prepare(&processes->files, (pid_t)pid);
}

void processes_expect(struct processes *processes, uint32_t pid)
{
	intern_pid(processes, pid);
}

/* A forked child starts with its parent's mappings, and the kernel has given it the parent's run. */
static void inherit(struct processes *processes, struct process *process, const struct record_process *record)
{
	const struct process *parent = find_image(processes, &record->parent);

	if (parent) {
		mappings_copy(&process->mappings, &parent->mappings);
		process->executable = parent->executable;
		process->is_kthread = parent->is_kthread;
	}
	if (record->entry.count) {
		process->run = mapping_runs_share(&processes->runs, record->entry.first);
		process->generation = record->entry.generation;
		process->known_ns = record->entry.known_ns;
	}
	/* What was read of the parent after the fork isn't the child's. */
	bool is_of_later = parent && parent->read_ns > record->time_ns;

	if (parent)
		process->doubtful = parent->doubtful;
	if (parent && !is_of_later) {
		process->known_ns = parent->known_ns;
		process->read_ns = parent->read_ns;
	}
	/* The parent may have mapped something between the kernel's copy and now, or had no table itself. */
	if (!parent || parent->stale || is_of_later)
		mark(processes, process, true);
	if (process->run == NO_RUN || !parent || parent->run != process->run || parent->unpublished)
		mark(processes, process, false);
	else if (process->known_ns != record->entry.known_ns)
		publish_entry(processes, process);
}

static void forget_pending(struct pid_state *state)
{
	state->in_exec = false;
	state->is_whole = false;
	mappings_deinit(&state->pending);
}

/*
 * The kernel's entry of this image had gone, and it was sampled once more: it takes long to tear down. It is known by a
 * new number, too.
 */
static void meet_again(struct processes *processes, struct process *process, const struct record_process *record)
{
	uint32_t index = (uint32_t)(process - processes->list.data);

	if (record->entry.slot == process->slot)
		return;
	table_put(&processes->by_slot, &record->entry.slot, index);
	process->slot = record->entry.slot;
	process->rested = 0;
	process->exited = false;
	retire(processes, process);
}

void processes_handle_record(struct processes *processes, const struct record_process *record)
{
	struct pid_state *state = intern_pid(processes, record->pid);
	bool added;
	struct process *process = intern_image(processes, &record->id, record->entry.slot, &added);

	struct process *replaced = record->origin == ORIGIN_EXEC ? find_image(processes, &record->parent) : NULL;

	if (replaced)
		retire(processes, replaced);
	if (!added) {
		meet_again(processes, process, record);
		return;
	}
	process->pid = record->pid;
	process->met_ns = record->time_ns;
	memcpy(process->comm, record->comm, sizeof(process->comm));
	bool is_whole = state->is_whole && (state->in_exec || state->image == NO_IMAGE);

	state->image = (uint32_t)(process - processes->list.data);
	if (record->origin == ORIGIN_FORK) {
		inherit(processes, process, record);
	} else if (is_whole) {
		mappings_deinit(&process->mappings);
		process->mappings = state->pending;
		memset(&state->pending, 0, sizeof(state->pending));
		mark(processes, process, false);
	} else {
		/* The side band said nothing of it: lost, or it began before us. */
		mark(processes, process, true);
	}
	forget_pending(state);
}

void processes_handle_exit(struct processes *processes, const struct record_exit *record)
{
	struct process *process = find_image(processes, &record->id);

	if (!process) {
		/* It never had an entry: nothing else of it has to go. */
		programs_forget_target(processes->programs, record->id.tgid);
		return;
	}
	retire(processes, process);
	/* The number may be somebody else's soon. */
	struct pid_state *state = find_pid(processes, process->pid);

	if (state && state->image == (uint32_t)(process - processes->list.data)) {
		state->image = NO_IMAGE;
		forget_pending(state);
	}
}

void processes_handle_no_mapping(struct processes *processes, const struct record_no_mapping *record)
{
	struct process *process = find_image(processes, &record->id);

	if (!process)
		return;
	if (!record->fresh_ns && process->generation == record->generation)
		mark(processes, process, true);
	/* The side band has been heard up to here, and nothing that it said was this change. */
	if (record->fresh_ns > process->known_ns)
		mark(processes, process, true);
}

static void handle_mmap(struct processes *processes, struct pid_state *state, const struct sideband_record *record)
{
	if (!state->in_exec && state->image == NO_IMAGE && !state->is_whole)
		return;
	struct mapping mapping = mapped_files_make(&processes->files, record);

	if (state->in_exec || state->image == NO_IMAGE) {
		if (state->pending.list.nr < MAPPINGS_PER_PROCESS_MAX)
			mappings_add(&state->pending, mapping);
		else
			state->is_whole = false;
	} else if (state->image != NO_IMAGE) {
		struct process *process = &processes->list.data[state->image];

		/* What was read from /proc after this is newer. */
		if (record->time_ns < process->read_ns)
			return;
		/*
		 * No record tells of a mapping that went. After many that came, the list may be full of what is no
		 * longer there, and putting each in its place costs more than reading all of them in order.
		 */
		uint32_t budget = COMPARED_MAX - process->compared;

		if (process->nr_added++ < ADDED_MAX)
			replaced_text_add(processes->files.modules, (pid_t)process->pid, mapping, &process->mappings,
					  &budget);
		process->compared = COMPARED_MAX - budget;
		if (record->time_ns > process->known_ns)
			process->known_ns = record->time_ns;
		mark(processes, process, process->nr_added > ADDED_MAX);
	}
}

const struct process *processes_find_replaced(const struct processes *processes, const struct sideband_record *record)
{
	const struct pid_state *state = record->pid ? find_pid(processes, record->pid) : NULL;

	if (!state || state->in_exec || state->image == NO_IMAGE)
		return NULL;
	const struct process *process = &processes->list.data[state->image];
	size_t at = mappings_behind(&process->mappings, record->mmap.start);

	/* What was read from /proc after this is newer, and the record is of no use. */
	if (record->time_ns < process->read_ns)
		return NULL;
	return at < process->mappings.list.nr && process->mappings.list.data[at].start < record->mmap.end ? process
													  : NULL;
}

static void handle_comm(struct processes *processes, struct pid_state *state, const struct sideband_record *record)
{
	if (record->comm.is_exec) {
		forget_pending(state);
		state->in_exec = true;
		state->is_whole = true;
		return;
	}
	/* The process's name is its main thread's. */
	if (record->pid != record->tid || state->image == NO_IMAGE)
		return;
	struct process *process = &processes->list.data[state->image];

	memset(process->comm, 0, sizeof(process->comm));
	strncpy(process->comm, record->comm.name, sizeof(process->comm) - 1);
}

/* A process that nobody has sampled yet begins with what its parent has. */
static void handle_fork(struct processes *processes, const struct sideband_record *record)
{
	struct pid_state *child = intern_pid(processes, record->pid);
	const struct pid_state *parent = find_pid(processes, record->fork.parent_pid);
	const struct mappings *mappings = NULL;

	/* The number was another process's, whose end we were not told. */
	if (child->image != NO_IMAGE) {
		struct process *former = &processes->list.data[child->image];

		if (former->met_ns >= record->time_ns)
			return;
		retire(processes, former);
		child->image = NO_IMAGE;
	}
	forget_pending(child);
	if (parent && (parent->in_exec || parent->image == NO_IMAGE)) {
		mappings = parent->is_whole ? &parent->pending : NULL;
	} else if (parent) {
		const struct process *process = &processes->list.data[parent->image];

		mappings = process->stale || process->doubtful || process->read_ns > record->time_ns
				   ? NULL
				   : &process->mappings;
	}
	if (!mappings)
		return;
	child->is_whole = true;
	mappings_copy(&child->pending, mappings);
}

/* Records are missing: what is held may be wrong, and what waits for its image may not be all. */
static void handle_loss(struct processes *processes)
{
	for (size_t i = 0; i < processes->list.nr; i++) {
		struct process *process = &processes->list.data[i];

		if (process->exited)
			continue;
		process->doubtful = true;
		mark(processes, process, true);
	}
	for (size_t i = 0; i < processes->pids.nr; i++) {
		processes->pids.data[i].is_whole = false;
		mappings_deinit(&processes->pids.data[i].pending);
	}
}

void processes_handle_sideband(struct processes *processes, const struct sideband_record *record)
{
	struct pid_state *state = record->pid ? find_pid(processes, record->pid) : NULL; /* 0 is anybody's */

	if (processes->follow_all && record->type == SIDEBAND_COMM && record->comm.is_exec && record->pid)
		state = intern_pid(processes, record->pid);
	if (record->type == SIDEBAND_LOST) {
		handle_loss(processes);
	} else if (record->type == SIDEBAND_FORK) {
		if (record->pid && record->pid != record->fork.parent_pid)
			handle_fork(processes, record);
	} else if (record->type == SIDEBAND_EXIT) {
		/* Images end with the programs' record, which comes with the last thread. */
		if (state && record->pid == record->tid && state->image == NO_IMAGE)
			forget_pending(state);
	} else if (state && record->type == SIDEBAND_MMAP) {
		handle_mmap(processes, state, record);
	} else if (state && record->type == SIDEBAND_COMM) {
		handle_comm(processes, state, record);
	}
}
