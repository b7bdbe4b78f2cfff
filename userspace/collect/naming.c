/* SPDX-License-Identifier: Apache-2.0 */
#include "naming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "sample.h"

enum {
	PSEUDO_START = 0x1000, /* pseudo-frames get addresses of their own in a mapping of their own */
	PSEUDO_STRIDE = 16,
	NO_LOCATION = UINT32_MAX,
	FRAMES_PER_STACK_MAX = KERNEL_FRAMES_MAX + USER_FRAMES_MAX + 3, /* elided, end, lost */
};

static const uint64_t VSYSCALL_PAGE = 0xffffffffff600000;

/* A frame together with the process that a raw pc needs to mean anything. */
struct frame_key {
	uint64_t frame;
	uint64_t process; /* slot of a raw frame, 0 otherwise */
};

/* An address in a file that has to be named, and the frame that asked. */
struct wanted {
	uint32_t module;
	uint32_t frame; /* index into frames */
	uint64_t file_addr;
};

/* Where a module lies in the profile: at the bias of the first process that was seen with it. */
struct placement {
	bool placed;
	uint32_t mapping;
	uint64_t bias; /* runtime address = module offset + bias */
	uint32_t nr_named, nr_unnamed;
};

struct naming {
	const struct naming_config *config;
	struct reader *reader;
	const struct modules *modules;
	const struct processes *processes;
	const struct store *store;
	struct profile *profile;
	struct naming_stats stats;

	struct table frame_ids; /* struct frame_key -> frames */
	VECTOR(struct frame_key) frames;
	VECTOR(uint32_t) locations; /* by frame */
	VECTOR(struct wanted) wanted;
	struct placement *placements;          /* by module */
	struct placement kernel;               /* the kernel proper */
	uint32_t pseudo_mapping, anon_mapping; /* NO_LOCATION until needed */

	/* the batch that the reader is answering */
	const struct wanted *batch;
};

/* ---- mappings of the profile ---- */

static uint32_t add_mapping(struct naming *naming, const char *path, uint64_t start, uint64_t limit,
			    uint64_t file_offset, const struct object_info *info)
{
	char build_id[2 * BUILD_ID_MAX + 1] = "";

	for (uint8_t i = 0; info && i < info->build_id_size; i++)
		snprintf(build_id + 2 * i, 3, "%02x", info->build_id[i]);
	struct profile_mapping mapping = {
		.start = start,
		.limit = limit,
		.file_offset = file_offset,
		.filename = profile_string(naming->profile, path),
		.build_id = profile_string(naming->profile, build_id),
	};

	return profile_add_mapping(naming->profile, &mapping);
}

/*
 * The profile's mapping of a module. It spans the executable segments, so that every frame of the file lies in it even
 * if the process had mapped them in pieces.
 */
static struct placement *place_module(struct naming *naming, uint32_t module)
{
	struct placement *placement = &naming->placements[module];

	if (placement->placed)
		return placement;
	const struct module *file = &naming->modules->list.data[module];
	uint64_t bias = file->is_placed ? file->place.start - file->place.module_offset : 0;
	uint64_t start = file->is_placed ? file->place.start : bias;
	uint64_t limit = file->is_placed ? file->place.end : bias + 1;
	uint64_t file_offset = file->is_placed ? file->place.file_offset : 0;

	for (uint32_t i = 0; i < file->info.nr_segments; i++) {
		const struct object_segment *segment = &file->info.segments[i];
		uint64_t offset = segment->file_addr - file->info.base_addr;
		uint64_t first = (bias + offset) & ~4095ull;
		uint64_t last = (bias + offset + segment->size + 4095) & ~4095ull;

		if (first < start) {
			file_offset = segment->file_offset & ~4095ull;
			start = first;
		}
		limit = last > limit ? last : limit;
	}
	placement->mapping = add_mapping(naming, file->path, start, limit, file_offset, &file->info);
	placement->bias = bias;
	placement->placed = true;
	return placement;
}

static uint32_t special_mapping(struct naming *naming, uint32_t *held, const char *name, uint64_t start, uint64_t limit)
{
	if (*held == NO_LOCATION)
		*held = add_mapping(naming, name, start, limit, 0, NULL);
	return *held;
}

/* ---- locations ---- */

static uint32_t add_plain_location(struct naming *naming, uint32_t mapping, uint64_t address, const char *name,
				   const char *system_name)
{
	struct profile_line line = {
		.function = profile_add_function(naming->profile, name, system_name, NULL, 0),
	};

	return profile_add_location(naming->profile, mapping, address, &line, 1, false);
}

/*
 * Code that nobody could name: the place where its function begins (so that samples of one function stay together), or
 * else the address itself. A viewer that has the file can still resolve the location's address.
 */
static void name_by_offset(struct naming *naming, const struct wanted *wanted, uint64_t start)
{
	const struct module *file = &naming->modules->list.data[wanted->module];
	struct placement *placement = place_module(naming, wanted->module);
	uint64_t address = wanted->file_addr - file->info.base_addr + placement->bias;
	_cleanup_free_ char *name =
		memory_format("%s+0x%" PRIx64, module_name(file), start ? start : wanted->file_addr);

	placement->nr_unnamed++;
	naming->stats.nr_frames_unnamed++;
	naming->locations.data[wanted->frame] = add_plain_location(naming, placement->mapping, address, name, name);
}

static void name_found(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct naming *naming = context;
	const struct wanted *wanted = &naming->batch[index];

	if (!nr_frames)
		return; /* name_the_rest */
	const struct module *file = &naming->modules->list.data[wanted->module];
	struct placement *placement = place_module(naming, wanted->module);
	_cleanup_free_ struct profile_line *lines = memory_new_array(struct profile_line, nr_frames);

	for (size_t i = 0; i < nr_frames; i++) {
		const char *system_name = frames[i].system_name ? frames[i].system_name : frames[i].name;

		lines[i] = (struct profile_line){
			.function = profile_add_function(naming->profile, frames[i].name, system_name, frames[i].file,
							 frames[i].start_line),
			.line = frames[i].line,
		};
	}
	struct profile_mapping *mapping = &naming->profile->mappings.data[placement->mapping];

	mapping->has_filenames |= frames[0].file != NULL;
	mapping->has_line_numbers |= frames[0].line != 0;
	mapping->has_inline_frames |= nr_frames > 1;
	placement->nr_named++;
	naming->locations.data[wanted->frame] = profile_add_location(
		naming->profile, placement->mapping, wanted->file_addr - file->info.base_addr + placement->bias, lines,
		(uint32_t)nr_frames, false);
}

static int compare_wanted(const void *a, const void *b)
{
	const struct wanted *left = a, *right = b;

	if (left->module != right->module)
		return left->module < right->module ? -1 : 1;
	return left->file_addr < right->file_addr ? -1 : left->file_addr > right->file_addr;
}

/* What the reader found no name for, of one module. */
static void name_the_rest(struct naming *naming, const struct wanted *batch, size_t nr, const uint64_t *addrs)
{
	const struct module *file = &naming->modules->list.data[batch[0].module];
	struct reader_file reader_file = {.fd = file->fd, .path = file->path};
	_cleanup_free_ uint64_t *starts = memory_new_array(uint64_t, nr);
	size_t nr_nameless = 0;

	for (size_t i = 0; i < nr; i++)
		nr_nameless += naming->locations.data[batch[i].frame] == NO_LOCATION;
	if (!nr_nameless)
		return;
	if (file->is_elf && reader_function_starts(naming->reader, &reader_file, addrs, nr, starts))
		memset(starts, 0, nr * sizeof(*starts));
	for (size_t i = 0; i < nr; i++)
		if (naming->locations.data[batch[i].frame] == NO_LOCATION)
			name_by_offset(naming, &batch[i], starts[i]);
}

/* Names all file frames, module by module. */
static void name_files(struct naming *naming)
{
	if (naming->wanted.nr)
		qsort(naming->wanted.data, naming->wanted.nr, sizeof(struct wanted), compare_wanted);
	for (size_t from = 0, to; from < naming->wanted.nr; from = to) {
		uint32_t module = naming->wanted.data[from].module;

		for (to = from; to < naming->wanted.nr && naming->wanted.data[to].module == module; to++)
			;
		const struct module *file = &naming->modules->list.data[module];
		struct reader_file reader_file = {.fd = file->fd, .path = file->path};
		_cleanup_free_ uint64_t *addrs = memory_new_array(uint64_t, to - from);

		for (size_t i = from; i < to; i++)
			addrs[i - from] = naming->wanted.data[i].file_addr;
		naming->batch = &naming->wanted.data[from];
		int error = file->is_elf ? reader_names(naming->reader, &reader_file, addrs, to - from, name_found,
							naming, NULL)
					 : -ENOEXEC;

		if (error)
			message_detail("'%s': no names (%s)", file->path, strerror(-error));
		name_the_rest(naming, naming->batch, to - from, addrs);
	}
}

static void name_kernel(struct naming *naming, uint32_t frame, uint64_t pc)
{
	struct kernel_symbol symbol;
	uint64_t start, end;

	reader_kernel_text(naming->reader, &start, &end);
	if (!naming->kernel.placed) {
		uint64_t limit = end > start ? end : UINT64_MAX;

		naming->kernel.placed = true;
		naming->kernel.mapping = add_mapping(naming, "[kernel.kallsyms]_text",
						     start ? start : FRAME_PAYLOAD_MASK + 1, limit, 0, NULL);
		naming->profile->mappings.data[naming->kernel.mapping].has_functions = true;
	}
	int error = reader_kernel_symbol(naming->reader, pc, &symbol);

	if (error) {
		naming->stats.nr_kernel_unnamed++;
		naming->locations.data[frame] =
			add_plain_location(naming, naming->kernel.mapping, start ? start : pc,
					   error == -EPERM ? "[kernel: names hidden]" : "[kernel: no symbol]", "");
		return;
	}
	uint32_t mapping = naming->kernel.mapping;
	struct profile_mapping *kernel = &naming->profile->mappings.data[mapping];

	/* Code of the time of booting lies behind the rest, and idle CPUs are still in it. */
	if (!symbol.module && pc >= kernel->limit && symbol.end > pc)
		kernel->limit = symbol.end;

	if (symbol.module) {
		char name[128];

		snprintf(name, sizeof(name), "[%s]", symbol.module);
		/* kallsyms tells no module's extent: its mapping is the symbol's own area, page by page. */
		mapping = add_mapping(naming, name, symbol.start, symbol.end, 0, NULL);
		naming->profile->mappings.data[mapping].has_functions = true;
	}
	naming->locations.data[frame] = add_plain_location(naming, mapping, pc, symbol.name, symbol.name);
}

static void name_raw(struct naming *naming, uint32_t frame, uint64_t pc, uint64_t lookup_pc, uint32_t slot)
{
	const struct process *process = processes_find_slot(naming->processes, slot);
	const struct mapping *mapping = process ? mappings_find(&process->mappings, lookup_pc) : NULL;

	/* Known by now, though it was not when the sample was taken. */
	if (mapping && mapping->module != NO_MODULE) {
		const struct module *module = &naming->modules->list.data[mapping->module];

		*vector_push(&naming->wanted) = (struct wanted){
			.module = mapping->module,
			.frame = frame,
			.file_addr = module->info.base_addr + mapping->module_offset + lookup_pc - mapping->start,
		};
		return;
	}
	naming->stats.nr_frames_unnamed++;
	if (!mapping) {
		_cleanup_free_ char *name = memory_format("[unknown code]+0x%" PRIx64, pc);

		naming->locations.data[frame] = add_plain_location(
			naming, special_mapping(naming, &naming->anon_mapping, "[anon]", 0, 1ull << 59), lookup_pc,
			name, "");
		return;
	}
	const char *path = strings_text(&naming->processes->files.paths, mapping->path);
	uint32_t placed = add_mapping(naming, path[0] ? path : "[anon]", mapping->start, mapping->end, 0, NULL);
	_cleanup_free_ char *name = memory_format(path[0] == '[' ? "%s+0x%" PRIx64 : "[%s]+0x%" PRIx64,
						  path[0] ? path : "anonymous code", lookup_pc);

	naming->locations.data[frame] = add_plain_location(naming, placed, lookup_pc, name, "");
}

static const char *stop_text(uint32_t stop)
{
	static const char *const texts[] = {
#define STOP(name, text, advice) text,
		STOPS(STOP)
#undef STOP
			"stack lost: ring full",
		"no stack",
	};

	return stop < ARRAY_SIZE(texts) ? texts[stop] : "unknown reason";
}

static void name_pseudo(struct naming *naming, uint32_t frame, uint64_t value)
{
	uint32_t module = frame_module(value), stop = value & 0xff;
	uint32_t mapping = special_mapping(naming, &naming->pseudo_mapping, "[ebprof]", PSEUDO_START,
					   PSEUDO_START + 256 * PSEUDO_STRIDE);
	_cleanup_free_ char *name =
		stop == STOP_elided ? memory_format("[%u frames elided]", module)
		: module < naming->modules->list.nr
			? memory_format("[%s: %s]", stop_text(stop), module_name(&naming->modules->list.data[module]))
			: memory_format("[%s]", stop_text(stop));

	naming->profile->mappings.data[mapping].has_functions = true;
	naming->locations.data[frame] =
		add_plain_location(naming, mapping, PSEUDO_START + (uint64_t)stop * PSEUDO_STRIDE, name, "");
}

/* ---- frames ---- */

/* The address inside the instruction meant: a return address points behind its call. The one place that decides it. */
static uint64_t frame_lookup(uint64_t frame, uint64_t address)
{
	return frame & FRAME_EXACT || !address ? address : address - 1;
}

/* The page of old system calls, the only code of processes that lies among the kernel's addresses. */
static bool is_vsyscall(uint64_t pc)
{
	return pc - VSYSCALL_PAGE < 4096;
}

/* A raw pc with the upper bits that a frame has no room for. */
static uint64_t user_pc(uint64_t raw)
{
	return is_vsyscall(raw | ~FRAME_PAYLOAD_MASK) ? raw | ~FRAME_PAYLOAD_MASK : raw;
}

static void resolve_frame(struct naming *naming, uint32_t index)
{
	struct frame_key key = naming->frames.data[index];

	switch (frame_kind(key.frame)) {
	case FRAME_FILE: {
		uint32_t module = frame_module(key.frame);
		const struct module *file = &naming->modules->list.data[module];

		*vector_push(&naming->wanted) = (struct wanted){
			.module = module,
			.frame = index,
			.file_addr = file->info.base_addr + frame_lookup(key.frame, frame_offset(key.frame)),
		};
		break;
	}
	case FRAME_RAW: {
		uint64_t pc = user_pc(frame_raw_pc(key.frame));

		name_raw(naming, index, pc, frame_lookup(key.frame, pc), (uint32_t)key.process);
		break;
	}
	case FRAME_KERNEL:
		/* Where the kernel steps in for it, the page is on the kernel's stack and on the user's: no need to
		 * show both. */
		if (is_vsyscall(frame_kernel_pc(key.frame)))
			break;
		name_kernel(naming, index, frame_lookup(key.frame, frame_kernel_pc(key.frame)));
		break;
	case FRAME_PSEUDO:
		name_pseudo(naming, index, key.frame);
		break;
	}
}

static struct frame_key make_key(uint64_t frame, uint32_t process)
{
	return (struct frame_key){.frame = frame, .process = frame_kind(frame) == FRAME_RAW ? process : 0};
}

/* Gives every frame that occurs a number. */
static void collect_frames(struct naming *naming)
{
	const struct store *store = naming->store;

	for (size_t i = 0; i < store->bodies.nr; i++) {
		const struct stack_body *body = &store->bodies.data[i];

		for (uint32_t j = 0; j < body->nr_frames; j++) {
			uint64_t frame = store->frames.data[body->first_frame + j];
			struct frame_key key = make_key(frame, body->process);
			bool added;

			if (frame_kind(frame) == FRAME_FILE && frame_module(frame) >= naming->modules->list.nr)
				continue;
			table_intern(&naming->frame_ids, &key, (uint32_t)naming->frames.nr, &added);
			if (!added)
				continue;
			*vector_push(&naming->frames) = key;
			*vector_push(&naming->locations) = NO_LOCATION;
		}
	}
}

/* The first mapping names the profile: the executable of the process that was met first, which is the target. */
static void place_main_executable(struct naming *naming)
{
	const struct processes *processes = naming->processes;

	if (naming->config->is_host) {
		add_mapping(naming, "[all processes]", 0, 0, 0, NULL);
		return;
	}
	for (size_t i = 0; i < processes->list.nr; i++) {
		if (processes->list.data[i].executable == NO_MODULE)
			continue;
		place_module(naming, processes->list.data[i].executable);
		return;
	}
	const char *name =
		processes->list.nr && processes->list.data[0].comm[0] ? processes->list.data[0].comm : "unknown";
	_cleanup_free_ char *bracketed = memory_format("[%.16s]", name);

	add_mapping(naming, bracketed, 0, 0, 0, NULL);
}

/* ---- samples ---- */

static uint32_t append_stack(struct naming *naming, const struct stack_key *key, uint32_t *locations, uint32_t nr,
			     bool *lost)
{
	if (stack_key_is_empty(key))
		return nr;
	const struct stack_body *body = store_find_body(naming->store, key);

	if (!body) {
		*lost = true;
		return nr;
	}
	for (uint32_t i = 0; i < body->nr_frames; i++) {
		struct frame_key frame = make_key(naming->store->frames.data[body->first_frame + i], body->process);
		uint32_t index;

		if (table_get(&naming->frame_ids, &frame, &index) && naming->locations.data[index] != NO_LOCATION)
			locations[nr++] = naming->locations.data[index];
	}
	return nr;
}

static uint32_t stop_location(struct naming *naming, enum stop stop)
{
	uint32_t mapping = special_mapping(naming, &naming->pseudo_mapping, "[ebprof]", PSEUDO_START,
					   PSEUDO_START + 256 * PSEUDO_STRIDE);
	_cleanup_free_ char *name = memory_format("[%s]", stop_text(stop));

	naming->profile->mappings.data[mapping].has_functions = true;
	return add_plain_location(naming, mapping, PSEUDO_START + (uint64_t)stop * PSEUDO_STRIDE, name, "");
}

static void add_samples(struct naming *naming)
{
	_cleanup_free_ uint32_t *locations = memory_new_array(uint32_t, FRAMES_PER_STACK_MAX);

	for (size_t i = 0; i < naming->store->counts.nr; i++) {
		const struct stack_count *count = &naming->store->counts.data[i];
		int64_t values[2] = {(int64_t)count->count, (int64_t)(count->count * naming->config->period)};
		struct profile_label labels[PROFILE_LABELS_MAX];
		bool lost = false;
		uint32_t nr = append_stack(naming, &count->key.kernel, locations, 0, &lost);

		nr = append_stack(naming, &count->key.user, locations, nr, &lost);
		if (lost)
			naming->stats.nr_stack_lost += count->count;
		if (lost || !nr)
			locations[nr++] = stop_location(naming, lost ? STOP_stack_lost : STOP_no_stack);
		const struct process *process = processes_find_slot(naming->processes, count->key.process);
		uint32_t nr_labels =
			labels_make(&naming->config->labels, process, &count->key, naming->profile, labels);

		profile_add_sample(naming->profile, locations, nr, labels, nr_labels, values);
	}
}

/*
 * A mapping that says "has functions" is never looked at again by a viewer, so it says so only when nothing in it is
 * left to name.
 */
static void set_mapping_flags(struct naming *naming)
{
	for (size_t i = 0; i < naming->modules->list.nr; i++) {
		const struct placement *placement = &naming->placements[i];

		if (!placement->placed)
			continue;
		struct profile_mapping *mapping = &naming->profile->mappings.data[placement->mapping];

		mapping->has_functions = placement->nr_named && !placement->nr_unnamed;
		mapping->has_filenames &= mapping->has_functions;
		mapping->has_line_numbers &= mapping->has_functions;
		mapping->has_inline_frames &= mapping->has_functions;
	}
}

void naming_build(const struct naming_config *config, struct reader *reader, const struct modules *modules,
		  const struct processes *processes, const struct store *store, struct profile *profile,
		  struct naming_stats *ret)
{
	struct naming naming = {
		.config = config,
		.reader = reader,
		.modules = modules,
		.processes = processes,
		.store = store,
		.profile = profile,
		.placements = memory_new_array(struct placement, modules->list.nr),
		.pseudo_mapping = NO_LOCATION,
		.anon_mapping = NO_LOCATION,
	};

	table_init(&naming.frame_ids, sizeof(struct frame_key));
	place_main_executable(&naming);
	collect_frames(&naming);
	for (uint32_t i = 0; i < naming.frames.nr; i++)
		resolve_frame(&naming, i);
	name_files(&naming);
	add_samples(&naming);
	set_mapping_flags(&naming);
	*ret = naming.stats;
	free(naming.placements);
	vector_free(&naming.frames);
	vector_free(&naming.locations);
	vector_free(&naming.wanted);
	table_deinit(&naming.frame_ids);
}
