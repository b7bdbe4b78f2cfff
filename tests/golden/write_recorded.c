/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From samples as the kernel's programs would have sent them to the text of a profile, on any machine the same.
 *
 *     write_recorded FOLDER FOLDED_FILE PROFILE_FILE
 *
 * makes a few ELF files in FOLDER, puts stacks and counts into a store and processes and modules beside it, names it
 * all, and writes the folded stacks and a plain listing of the profile. There is one of everything that a frame can be,
 * except kernel frames, whose names belong to the machine. Inline chains come from this program's own debug
 * information; the listing leaves its addresses out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "elf_image.h"
#include "file_sink.h"
#include "folded.h"
#include "memory.h"
#include "naming.h"
#include "stacks.h"

enum {
	PERIOD_NS = 10101010,
	SLOT = 3,
	CHILD_SLOT = 4,
	UNKNOWN_SLOT = 9,
	PLACE_SYMBOLS = IMAGE_DEBUG,
	PLACE_TEXTS = IMAGE_DEBUG + 0x800,
	TEXT_SECTION = 2,
};

/* Where the files are mapped. */
static const uint64_t PROGRAM = 0x400000, LIBRARY = 0x7f0000100000, BARE = 0x7f0000200000, SELF = 0x7f0000300000;
static const uint64_t CHILD_LIBRARY = 0x7f1111100000, ANONYMOUS = 0x7f0000400000, JIT = 0x7f0000500000;

static const struct stack_key seed = {{0x1234, 0x5678}};

/* ---- this program as a target ---- */

extern const char inlined_here[], plain_here[];

static inline __attribute__((always_inline)) int inner_step(int value)
{
	asm volatile("nop\n\t.globl inlined_here\ninlined_here:\n\tnop" : "+r"(value));
	return value + 1;
}

static inline __attribute__((always_inline)) int outer_step(int value)
{
	return inner_step(value * 3) + 2;
}

__attribute__((noinline, used)) static int work(int value)
{
	value = outer_step(value);
	asm volatile("nop\n\t.globl plain_here\nplain_here:\n\tnop" : "+r"(value));
	return value;
}

/* ---- files ---- */

struct symbol {
	const char *name;
	uint64_t file_addr, size;
};

static void add_symbols(struct elf_image *image, const struct symbol *symbols, size_t nr)
{
	Elf64_Sym *table = (Elf64_Sym *)(image->bytes + PLACE_SYMBOLS);
	char *texts = (char *)image->bytes + PLACE_TEXTS;
	size_t used = 1;

	for (size_t i = 0; i < nr; i++) {
		table[i + 1] = (Elf64_Sym){
			.st_name = (Elf64_Word)used,
			.st_value = symbols[i].file_addr,
			.st_size = symbols[i].size,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = TEXT_SECTION,
		};
		used += (size_t)sprintf(texts + used, "%s", symbols[i].name) + 1;
	}
	image_add_section(image, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, IMAGE_CODE, IMAGE_CODE_SIZE);
	Elf64_Shdr *section =
		image_add_section(image, ".symtab", SHT_SYMTAB, 0, PLACE_SYMBOLS, (nr + 1) * sizeof(*table));

	section->sh_link = TEXT_SECTION + 2;
	section->sh_entsize = sizeof(*table);
	section->sh_info = 1;
	image_add_section(image, ".strtab", SHT_STRTAB, 0, PLACE_TEXTS, used);
}

static void add_build_id(struct elf_image *image, uint8_t first)
{
	uint8_t id[20];

	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)(first + i);
	image_add_segment(image, PT_NOTE, PF_R, IMAGE_NOTES, image_put_build_id(image, IMAGE_NOTES, id, sizeof(id)));
}

static void write_file(const char *folder, const char *name, const struct elf_image *image)
{
	_cleanup_free_ char *path = memory_format("%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	if (!file || fwrite(image->bytes, image->size, 1, file) != 1 || fclose(file)) {
		perror(path);
		exit(1);
	}
}

static void write_files(const char *folder)
{
	static const struct symbol program[] = {{"_start", 0x1000, 0x30},
						{"main", 0x1100, 0x80},
						{"run_forever", 0x1180, 0x40},
						{"after_run", 0x11c0, 8}};
	static const struct symbol library[] = {{"before_alpha", 0x1f00, 0x100},
						{"alpha", 0x2000, 0x40},
						{"_ZN5outer5innerEi", 0x2100, 0x40},
						{"_ZNSt6vectorIiSaIiEE9push_backERKi", 0x2200, 0x40},
						{"odd;name\nwith breaks", 0x2300, 0x10}};
	struct elf_image image = image_create(IMAGE_SIZE);

	image_header(&image)->e_type = ET_EXEC;
	image_header(&image)->e_entry = 0x1000;
	add_build_id(&image, 0x10);
	add_symbols(&image, program, ARRAY_SIZE(program));
	write_file(folder, "golden", &image);
	image_destroy(&image);

	image = image_create(IMAGE_SIZE);
	add_build_id(&image, 0x80);
	add_symbols(&image, library, ARRAY_SIZE(library));
	write_file(folder, "libgolden.so.1", &image);
	image_destroy(&image);

	image = image_create(IMAGE_SIZE);
	write_file(folder, "libbare.so", &image);
	image_destroy(&image);
}

/* ---- modules and processes ---- */

enum { MODULE_PROGRAM, MODULE_LIBRARY, MODULE_BARE, MODULE_SELF };

static void add_module(struct modules *modules, const char *folder, const char *name, uint32_t expected)
{
	_cleanup_free_ char *path = memory_format("%s/%s", folder, name);
	bool added;

	if (modules_add_path(modules, path, false, &added) != expected || !added) {
		fprintf(stderr, "%s: not added as module %u\n", path, expected);
		exit(1);
	}
}

static struct mappings *add_process(struct processes *processes, uint32_t slot, uint32_t pid, const char *comm)
{
	uint32_t index = (uint32_t)processes->list.nr;
	struct process *process = vector_push(&processes->list);

	process->slot = slot;
	process->pid = pid;
	process->executable = NO_MODULE;
	memcpy(process->comm, comm, strlen(comm)); /* zeroed behind it */
	table_put(&processes->by_slot, &slot, index);
	return &process->mappings;
}

/* A file's code begins at IMAGE_CODE, which is also its lowest address: module offset 0. */
static void map_file(struct mappings *mappings, uint64_t start, uint32_t module, uint64_t size)
{
	mappings_add(
		mappings,
		(struct mapping){.start = start, .end = start + size, .file_offset = IMAGE_CODE, .module = module});
}

static void make_processes(struct processes *processes, const struct modules *modules)
{
	struct mappings *mappings = add_process(processes, SLOT, 100, "golden");

	map_file(mappings, PROGRAM, MODULE_PROGRAM, IMAGE_CODE_SIZE);
	map_file(mappings, LIBRARY, MODULE_LIBRARY, IMAGE_CODE_SIZE);
	map_file(mappings, BARE, MODULE_BARE, IMAGE_CODE_SIZE);
	const struct object_segment *text = &modules->list.data[MODULE_SELF].info.segments[0];

	mappings_add(mappings,
		     (struct mapping){.start = SELF,
				      .end = SELF + text->size,
				      .file_offset = text->file_offset,
				      .module_offset = text->file_addr - modules->list.data[MODULE_SELF].info.base_addr,
				      .module = MODULE_SELF});
	mappings_add(mappings, (struct mapping){.start = ANONYMOUS, .end = ANONYMOUS + 0x1000, .module = NO_MODULE});
	mappings_add(mappings, (struct mapping){.start = JIT,
						.end = JIT + 0x1000,
						.module = NO_MODULE,
						.path = strings_intern(&processes->files.paths, "/memfd:jit")});
	mappings = add_process(processes, CHILD_SLOT, 200, "a;child");
	map_file(mappings, CHILD_LIBRARY, MODULE_LIBRARY, 0x1000);
}

/* ---- stacks ---- */

static uint64_t file_frame(uint32_t module, uint64_t file_addr, uint64_t flags)
{
	return frame_make_file(module, file_addr - IMAGE_CODE, flags);
}

/* Memory and file have the same distances; the linker's symbol is where the lowest part is loaded. */
static uint64_t self_frame(const char *place)
{
	extern const char __executable_start[];

	return frame_make_file(MODULE_SELF, (uint64_t)(place - __executable_start), FRAME_EXACT);
}

/* Adds a body with nr frames, sent as the kernel sends it; its key. */
static struct stack_key add_stack(struct store *store, const uint64_t *frames, uint32_t nr, enum stop stop,
				  uint32_t stop_module, uint32_t raw_process)
{
	enum { MAX_FRAMES = 18, LEAF_FRAMES = 12 };
	struct {
		struct record_stack record;
		uint64_t frames[MAX_FRAMES];
	} body = {.record = {.type = RECORD_STACK, .nr_walked = nr, .nr_leaf_frames = LEAF_FRAMES}};
	struct stack_key key;

	stack_key_start(&key, &seed);
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t place = i < LEAF_FRAMES ? i : LEAF_FRAMES + (i - LEAF_FRAMES) % (MAX_FRAMES - LEAF_FRAMES);

		body.frames[place] = frames[i];
		stack_key_add(&key, frames[i]);
	}
	if (stop > STOP_absent) {
		body.record.end_frame = frame_make_stop(stop, stop_module);
		stack_key_add(&key, body.record.end_frame);
	}
	stack_key_finish(&key, raw_process);
	body.record.nr_frames = nr < MAX_FRAMES ? nr : MAX_FRAMES;
	body.record.has_raw = raw_process != 0;
	body.record.process = raw_process;
	body.record.key = key;
	store_add_body(store, &body.record, sizeof(body.record) + body.record.nr_frames * sizeof(uint64_t));
	return key;
}

static void add_count(struct store *store, uint32_t slot, const char *thread, struct stack_key user, uint64_t count)
{
	struct count_key key = {.user = user, .process = slot, .tid = slot * 10 + 1, .cpu = slot % 2};

	memcpy(key.thread, thread, strlen(thread));
	store_add_count(store, &key, count);
}

#define STACK(stop, module, raw_process, ...)                                                                          \
	add_stack(store, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8, stop, module,   \
		  raw_process)

static void add_plain_stacks(struct store *store)
{
	const uint64_t root = file_frame(MODULE_PROGRAM, 0x1020, 0), main = file_frame(MODULE_PROGRAM, 0x1150, 0);
	/* The leaf on a function's first byte; a return address on the first byte behind one. */
	struct stack_key key = STACK(STOP_complete, 0, 0, file_frame(MODULE_LIBRARY, 0x2000, FRAME_EXACT),
				     file_frame(MODULE_PROGRAM, 0x11c0, 0), main, root);

	add_count(store, SLOT, "main", key, 5);
	add_count(store, SLOT, "main", key, 2);
	add_count(store, SLOT, "worker", key, 3);
	add_count(store, CHILD_SLOT, "a;child", key, 11);
	key = STACK(STOP_complete, 0, 0, file_frame(MODULE_LIBRARY, 0x2110, FRAME_EXACT),
		    file_frame(MODULE_LIBRARY, 0x2210, FRAME_BY_FP), file_frame(MODULE_LIBRARY, 0x2308, 0), main, root);
	add_count(store, SLOT, "main", key, 4);
	key = STACK(STOP_complete, 0, 0, self_frame(inlined_here), self_frame(plain_here), root);
	add_count(store, SLOT, "main", key, 6);
	/* Not in any symbol, and in a file without symbols. */
	key = STACK(STOP_ended, 0, 0, file_frame(MODULE_LIBRARY, 0x3000, FRAME_EXACT),
		    file_frame(MODULE_BARE, 0x1235, 0));
	add_count(store, SLOT, "main", key, 1);
}

static void add_incomplete_stacks(struct store *store)
{
	const uint64_t leaf = file_frame(MODULE_LIBRARY, 0x2010, FRAME_EXACT);
	const uint64_t bare = file_frame(MODULE_BARE, 0x1010, 0);
	uint64_t deep[100];

	for (uint32_t i = 0; i < ARRAY_SIZE(deep); i++)
		deep[i] = file_frame(i < 90 ? MODULE_LIBRARY : MODULE_PROGRAM, i < 90 ? 0x2010 : 0x1110 + i,
				     i ? 0 : FRAME_EXACT);
	add_count(store, SLOT, "main", STACK(STOP_no_unwind_info, MODULE_BARE, 0, leaf, bare), 2);
	add_count(store, SLOT, "main", STACK(STOP_unreadable, MODULE_LIBRARY, 0, leaf), 1);
	add_count(store, SLOT, "main", add_stack(store, deep, 100, STOP_complete, 0, 0), 9);
	add_count(store, SLOT, "main", add_stack(store, deep, 100, STOP_too_deep, NO_MODULE, 0), 8);
	/* The body never came. */
	add_count(store, SLOT, "main", (struct stack_key){{77, 78}}, 12);
	/* A process that nobody told of. */
	add_count(store, UNKNOWN_SLOT, "", STACK(STOP_no_mapping, NO_MODULE, 0, leaf), 1);
}

static void add_raw_stacks(struct store *store)
{
	/* In a mapping that became known only later; in anonymous code; in a file that holds none; nowhere. */
	const uint64_t pcs[] = {LIBRARY + 0x1121, ANONYMOUS + 0x10, JIT + 0x20, 0x1234};

	for (uint32_t i = 0; i < ARRAY_SIZE(pcs); i++) {
		uint64_t frame = frame_make(FRAME_RAW, i % 2 ? FRAME_EXACT : 0, pcs[i]);

		add_count(store, SLOT, "main", STACK(STOP_no_mapping, NO_MODULE, SLOT, frame), 20 + i);
	}
	/* The same pc means nothing in another process. */
	add_count(store, CHILD_SLOT, "a;child",
		  STACK(STOP_no_process_table, NO_MODULE, CHILD_SLOT, frame_make(FRAME_RAW, FRAME_EXACT, pcs[0])), 30);
}

/* ---- the listing ---- */

static const char *base_name(const char *path)
{
	const char *slash = path[0] == '/' && strncmp(path, "//", 2) != 0 ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static bool is_self(const struct profile *profile, uint32_t mapping)
{
	return strcmp(base_name(profile_text(profile, profile->mappings.data[mapping].filename)), "write_recorded") ==
	       0;
}

static void list_mappings(FILE *out, const struct profile *profile)
{
	for (uint32_t i = 0; i < profile->mappings.nr; i++) {
		const struct profile_mapping *mapping = &profile->mappings.data[i];

		if (is_self(profile, i)) {
			fprintf(out, "mapping %u: this program\n", i);
			continue;
		}
		fprintf(out, "mapping %u: %#" PRIx64 "-%#" PRIx64 " offset %#" PRIx64 " '%s' build-id '%s'%s%s%s%s\n",
			i, mapping->start, mapping->limit, mapping->file_offset,
			base_name(profile_text(profile, mapping->filename)), profile_text(profile, mapping->build_id),
			mapping->has_functions ? " functions" : "", mapping->has_filenames ? " files" : "",
			mapping->has_line_numbers ? " lines" : "", mapping->has_inline_frames ? " inlines" : "");
	}
}

static void list_location(FILE *out, const struct profile *profile, uint32_t index)
{
	const struct profile_location *location = &profile->locations.data[index];

	for (uint32_t i = 0; i < location->nr_lines; i++) {
		const struct profile_line *line = &profile->lines.data[location->first_line + i];
		const struct profile_function *function = &profile->functions.data[line->function];
		const char *system_name = profile_text(profile, function->system_name);

		fprintf(out, "    mapping %u ", location->mapping);
		if (is_self(profile, location->mapping))
			fprintf(out, "in %s, a line %s", base_name(profile_text(profile, function->filename)),
				line->line ? "is known" : "is not known");
		else
			fprintf(out, "%#" PRIx64, location->address);
		fprintf(out, " %s%s%s%s%s\n", profile_text(profile, function->name), system_name[0] ? " (" : "",
			system_name, system_name[0] ? ")" : "", i + 1 < location->nr_lines ? " inlined" : "");
	}
}

static void list_samples(FILE *out, const struct profile *profile)
{
	for (size_t i = 0; i < profile->samples.nr; i++) {
		const struct profile_sample *sample = &profile->samples.data[i];

		fprintf(out, "sample %" PRId64 " %" PRId64, sample->values[0], sample->values[1]);
		for (uint32_t j = 0; j < sample->nr_labels; j++) {
			const struct profile_label *label = &profile->sample_labels.data[sample->first_label + j];

			fprintf(out, " %s=", profile_text(profile, label->key));
			if (label->text)
				fprintf(out, "'%s'", profile_text(profile, label->text));
			else
				fprintf(out, "%" PRId64, label->number);
		}
		fprintf(out, "\n");
		for (uint32_t j = 0; j < sample->nr_locations; j++)
			list_location(out, profile, profile->sample_locations.data[sample->first_location + j]);
	}
}

static int write_profile(const struct profile *profile, const struct naming_stats *stats, char **paths)
{
	struct file_sink folded = {.sink = {.write = file_write}, .file = fopen(paths[0], "w")};
	FILE *listing = fopen(paths[1], "w");

	if (!folded.file || !listing || folded_write(profile, &folded.sink) || fclose(folded.file))
		return -EIO;
	fprintf(listing, "stack lost %" PRIu64 ", unnamed %" PRIu64 ", unnamed in the kernel %" PRIu64 "\n",
		stats->nr_stack_lost, stats->nr_frames_unnamed, stats->nr_kernel_unnamed);
	list_mappings(listing, profile);
	list_samples(listing, profile);
	return fclose(listing) ? -EIO : 0;
}

int main(int argc, char **argv)
{
	const struct naming_config config = {
		.period = PERIOD_NS,
		.labels.wanted = {.pid = true, .comm = true, .thread = true, .tid = true, .cpu = true}};
	struct reader *reader = reader_create(NULL);
	struct profile *profile = profile_create();
	struct modules modules;
	struct processes processes;
	struct naming_stats stats;
	struct store store;

	if (argc != 4 || work(argc) < 0)
		return 2;
	write_files(argv[1]);
	modules_init(&modules, reader, 16);
	add_module(&modules, argv[1], "golden", MODULE_PROGRAM);
	add_module(&modules, argv[1], "libgolden.so.1", MODULE_LIBRARY);
	add_module(&modules, argv[1], "libbare.so", MODULE_BARE);
	add_module(&modules, "/proc/self", "exe", MODULE_SELF);
	processes_init(&processes, &modules, NULL, false);
	make_processes(&processes, &modules);
	for (size_t i = 0; i < processes.list.nr; i++)
		processes_place_modules(&processes, &processes.list.data[i]);
	store_init(&store, &seed);
	add_plain_stacks(&store);
	add_incomplete_stacks(&store);
	add_raw_stacks(&store);
	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, "cpu", "nanoseconds");
	naming_build(&config, reader, &modules, &processes, &store, profile, &stats);
	int error = store.nr_mismatches ? -EBADMSG : write_profile(profile, &stats, argv + 2);

	profile_destroy(profile);
	store_deinit(&store);
	processes_deinit(&processes);
	modules_deinit(&modules);
	reader_destroy(reader);
	return error ? 1 : 0;
}
