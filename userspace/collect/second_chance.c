/* SPDX-License-Identifier: Apache-2.0 */
#include "second_chance.h"

#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "table.h"
#include "vector.h"
#include "walk.h"

enum {
	WAITING_BYTES_MAX = 64 << 20,
	CODE_MAX = 4096,          /* places in code that a run looks at */
	FRAME_SIZE_MAX = 8 << 20, /* farther off than this from a stack's copy is not the same stack */
};
#define TABLE_WAIT_NS   5000000000ull /* for a file's table, which may be large */
#define MAPPING_WAIT_NS 500000000ull  /* for mappings, which are read within a round or two */

/* A sample that waits, in pages of its own: registers and stack are somebody's secrets, and are nowhere else. */
struct waiting {
	struct record_snapshot record;
	uint8_t stack[]; /* record.stack_bytes */
};

/* Where a guess wants to see whether a call precedes it. Compared as bytes: no padding. */
struct code_place {
	uint64_t module;
	uint64_t file_offset;
};

struct code {
	uint64_t bytes;
	bool is_known;
};

struct second_chance {
	struct second_chance_config config;
	VECTOR(struct waiting *) list;
	uint64_t waiting_bytes;
	struct table code_ids; /* struct code_place -> code */
	VECTOR(struct code) code;
	struct second_chance_stats stats;
	struct walk walk;
};

/* ---- the walker's home: the shared memory of the programs, and one copied stack ---- */

struct home {
	struct second_chance *chance;
	const struct process *process;
	const struct programs *programs;
	const struct waiting *sample;
	bool is_beyond_copy; /* the walk wanted what lies behind the copy's last byte, which the copy's size left out */
	struct mapping_slot slot; /* the one looked at last */
};
/* The walker hands nothing through to its home. Set during a walk. */
static _Thread_local struct home *home_at;

WALK_INLINE const struct mapping_slot *walk_get_mapping(__u32 index)
{
	const struct mappings *mappings = &home_at->process->mappings;

	if (index >= mappings->list.nr)
		return NULL;
	const struct mapping *mapping = &mappings->list.data[index];

	home_at->slot = (struct mapping_slot){
		.start = mapping->start,
		.end = mapping->end,
		.offset = mapping->module_offset,
		.module = mapping->module,
	};
	return &home_at->slot;
}

WALK_INLINE const struct module_table *walk_get_module(__u32 module)
{
	const struct programs_memory *memory = programs_memory(home_at->programs);

	if (module >= memory->nr_modules)
		return NULL;
	/* The state is written last; what it speaks of is read after it. */
	__atomic_load_n(&memory->modules[module].state, __ATOMIC_ACQUIRE);
	return &memory->modules[module];
}

WALK_INLINE const void *walk_get_segment(__u32 segment)
{
	return programs_segment(home_at->programs, segment);
}

WALK_INLINE const struct unwind_rule *walk_get_rule(__u32 rule)
{
	const struct programs_memory *memory = programs_memory(home_at->programs);

	return rule < memory->nr_rules ? &memory->rules[rule] : NULL;
}

static struct code ask_code(struct modules *modules, const struct code_place *place)
{
	struct module *module = &modules->list.data[place->module];
	struct reader_file file = {.fd = module->fd, .path = module->path};
	struct code code = {0};

	if (module->is_lost)
		return code;
	ssize_t got = reader_bytes(modules->reader, &file, place->file_offset, &code.bytes, sizeof(code.bytes));

	/* A file at which a reader was lost is asked nothing more. */
	module->is_lost = got < 0 && reader_lost((int)got);
	code.is_known = got == (ssize_t)sizeof(code.bytes);
	return code;
}

/* The eight bytes before a place in code, as the file has them, asked of the reader once. */
static int read_code(struct second_chance *chance, const struct mapping *mapping, uint64_t address, void *ret)
{
	struct code_place place = {.module = mapping->module,
				   .file_offset = mapping->file_offset + (address - mapping->start)};
	uint32_t id;

	if (mapping->module == NO_MODULE)
		return -1;
	if (!table_get(&chance->code_ids, &place, &id)) {
		if (chance->code.nr >= CODE_MAX)
			return -1;
		id = (uint32_t)chance->code.nr;
		table_put(&chance->code_ids, &place, id);
		*vector_push(&chance->code) = ask_code(chance->config.modules, &place);
	}
	memcpy(ret, &chance->code.data[id].bytes, sizeof(uint64_t));
	return chance->code.data[id].is_known ? 0 : -1;
}

/*
 * The stack's copy, and code. The process's own memory isn't asked: it may have changed, and a page of it can belong to
 * a file system that never answers.
 */
WALK_INLINE int walk_read_user(void *buffer, __u32 size_bytes, __u64 address)
{
	const struct record_snapshot *record = &home_at->sample->record;
	__u64 at = address - record->stack_start;

	if (at > record->stack_bytes || size_bytes > record->stack_bytes - at) {
		const struct mapping *mapping = mappings_find(&home_at->process->mappings, address);

		home_at->is_beyond_copy |= !mapping && at >= record->stack_bytes && at < FRAME_SIZE_MAX &&
					   record->stack_bytes >= home_at->chance->config.snapshot_bytes;
		return mapping && size_bytes == sizeof(uint64_t) && mapping->end - address >= size_bytes
			       ? read_code(home_at->chance, mapping, address, buffer)
			       : -1;
	}
	memcpy(buffer, home_at->sample->stack + at, size_bytes);
	return 0;
}

/* Which probed calls were in progress is known at the sample only. */
WALK_INLINE __u64 walk_probed_pc(__u64 pc, __u64 *rsp)
{
	(void)pc;
	(void)rsp;
	return 0;
}

/* Go's state of a goroutine, to which this would lead, is not on the stack. */
WALK_INLINE __u64 walk_thread_base(void)
{
	return 0;
}

/* ---- walking ---- */

/* Where probed calls return to: what that stands for is known to the task alone, and is no frame of the program's. */
static bool is_probes_page(const struct second_chance *chance, const struct process *process, uint64_t pc)
{
	const struct mapping *mapping = mappings_find(&process->mappings, pc);

	return mapping && mapping->module == NO_MODULE &&
	       strcmp(strings_text(&chance->config.processes->files.paths, mapping->path), "[uprobes]") == 0;
}

static void walk_sample(struct second_chance *chance, const struct process *process, const struct waiting *sample)
{
	struct home home = {
		.chance = chance, .process = process, .programs = chance->config.programs, .sample = sample};
	struct walk *walk = &chance->walk;

	home_at = &home;
	walk->pc = sample->record.regs[DWARF_RIP];
	memcpy(walk->regs, sample->record.regs, sizeof(walk->regs));
	walk->is_32bit = sample->record.is_32bit != 0;
	walk->first_mapping = 0;
	walk->nr_mappings = process ? (uint32_t)process->mappings.list.nr : 0;
	walk_start(walk, &chance->config.store->seed, chance->config.max_frames);
	if (!walk->nr_mappings) {
		walk->has_raw = 1;
		walk_append(walk, frame_make(FRAME_RAW, FRAME_EXACT, walk->pc));
		walk_stop(walk, STOP_no_process_table, NO_MODULE);
	}
	for (uint32_t i = 0; walk->nr_mappings && i <= USER_WALK_MAX; i++) {
		if (i && is_probes_page(chance, process, walk->pc)) {
			walk_stop(walk, STOP_copy_cut, walk->module);
			break;
		}
		if (walk_step(walk))
			break;
	}
	/* Whatever can't be read here is what the copy lacks. */
	if (walk->stop == STOP_unreadable || (walk->stop == STOP_no_unwind_info && home.is_beyond_copy))
		walk_stop(walk, STOP_copy_cut, walk->module);
	if (walk->stop == STOP_walker_limit)
		walk_stop(walk, STOP_walker_limit, NO_MODULE);
	home_at = NULL;
}

static void count_end(struct second_chance_stats *stats, const struct walk *walk, uint64_t time_ns)
{
	stats->nr_ends[walk->stop]++;
	stats->nr_frames += walk->nr_walked;
	stats->nr_fp_frames += walk->nr_fp_frames;
	stats->nr_fp_stacks += walk->nr_fp_frames > 0;
	stats->nr_guessed_frames += walk->nr_guessed_frames;
	stats->nr_guessed_stacks += walk->nr_guessed_frames > 0;
	stats->nr_elided += walk->nr_walked > walk_nr_kept(walk);
	if (walk->stop == STOP_complete && (!stats->first_complete_ns || time_ns < stats->first_complete_ns))
		stats->first_complete_ns = time_ns;
}

/* Hands a walked stack on, as if the kernel had walked it. */
static void keep(struct second_chance *chance, const struct waiting *sample)
{
	struct walk *walk = &chance->walk;
	struct count_key count = sample->record.count;

	walk_finish(walk, count.process);
	count.user = walk->key;
	store_add_body(chance->config.store, &walk->record,
		       sizeof(walk->record) + walk_nr_kept(walk) * sizeof(uint64_t));
	store_add_count(chance->config.store, &count, 1);
	count_end(&chance->stats, walk, sample->record.time_ns);
}

/* Whether a walk that ended like this may still get further. */
static bool may_go_on(enum stop stop, uint64_t age_ns)
{
	switch (stop) {
	case STOP_no_file_table:
		return age_ns < TABLE_WAIT_NS;
	case STOP_no_process_table:
	case STOP_no_mapping:
		return age_ns < MAPPING_WAIT_NS;
	default:
		return false;
	}
}

static size_t waiting_size(const struct waiting *sample)
{
	return sizeof(*sample) + sample->record.stack_bytes;
}

static void forget(struct second_chance *chance, struct waiting *sample)
{
	size_t size = waiting_size(sample);

	chance->waiting_bytes -= sample->record.stack_bytes;
	explicit_bzero(sample, size);
	munmap(sample, size);
}

void second_chance_settle(struct second_chance *chance, const struct process *process, uint64_t time_ns)
{
	size_t left = 0;

	for (size_t i = 0; i < chance->list.nr; i++) {
		struct waiting *sample = chance->list.data[i];

		if (sample->record.count.process != process->slot || sample->record.time_ns >= time_ns) {
			chance->list.data[left++] = sample;
			continue;
		}
		walk_sample(chance, process, sample);
		keep(chance, sample);
		forget(chance, sample);
	}
	chance->list.nr = left;
}

void second_chance_walk(struct second_chance *chance, uint64_t known_ns, bool is_last)
{
	size_t left = 0;

	for (size_t i = 0; i < chance->list.nr; i++) {
		struct waiting *sample = chance->list.data[i];
		const struct process *process =
			processes_find_slot(chance->config.processes, sample->record.count.process);

		/* What was mapped right before it isn't known yet, or records of that were lost. */
		if (!is_last && (sample->record.time_ns > known_ns || (process && process->doubtful))) {
			chance->list.data[left++] = sample;
			continue;
		}
		walk_sample(chance, process, sample);
		if (!is_last && may_go_on(chance->walk.stop, known_ns - sample->record.time_ns)) {
			if (chance->waiting_bytes <= WAITING_BYTES_MAX) {
				chance->list.data[left++] = sample;
				continue;
			}
			chance->stats.nr_hurried++;
		}
		keep(chance, sample);
		forget(chance, sample);
	}
	chance->list.nr = left;
	explicit_bzero(&chance->walk, sizeof(chance->walk));
}

/* ---- taking in ---- */

void second_chance_add(struct second_chance *chance, const void *record, size_t size_bytes)
{
	const struct record_snapshot *snapshot = record;

	if (size_bytes < sizeof(*snapshot) || !snapshot->stack_bytes ||
	    snapshot->stack_bytes > size_bytes - sizeof(*snapshot)) {
		chance->stats.nr_broken++;
		return;
	}
	size_t size = sizeof(struct waiting) + snapshot->stack_bytes;
	struct waiting *sample = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sample == MAP_FAILED) {
		chance->stats.nr_broken++;
		return;
	}
	madvise(sample, size, MADV_DONTDUMP);
	sample->record = *snapshot;
	memcpy(sample->stack, snapshot + 1, snapshot->stack_bytes);
	*vector_push(&chance->list) = sample;
	chance->waiting_bytes += snapshot->stack_bytes;
}

struct second_chance *second_chance_create(const struct second_chance_config *config)
{
	struct second_chance *chance = memory_new(struct second_chance);

	chance->config = *config;
	table_init(&chance->code_ids, sizeof(struct code_place));
	return chance;
}

void second_chance_destroy(struct second_chance *chance)
{
	if (!chance)
		return;
	for (size_t i = 0; i < chance->list.nr; i++)
		forget(chance, chance->list.data[i]);
	vector_free(&chance->list);
	vector_free(&chance->code);
	table_deinit(&chance->code_ids);
	free(chance);
}

const struct second_chance_stats *second_chance_stats(const struct second_chance *chance)
{
	return &chance->stats;
}

size_t second_chance_nr_waiting(const struct second_chance *chance)
{
	return chance->list.nr;
}
