/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - from addresses in a file to functions, source files, lines and inline chains: who is asked, and who wins?
 *
 * The object itself is opened first. Where it lacks DWARF or a symbol table, its separate debug file is asked for;
 * where still no full symbol table is known, the packed one in .gnu_debugdata is unpacked; without one, Go programs
 * have the table of their runtime, and .dynsym is what every shared library has. Addresses are sorted once. DWARF answers all of them in one pass; what it has no function
 * for falls to the symbols, with a line where a line table has one.
 *
 * A function's name is DWARF's: symbols at the same address are aliases of which none is the one in the source. The
 * exception are functions to which DWARF gives no linkage name although the linker has one (lambdas, some C++
 * functions that are local to another): a mangled symbol that starts where the function starts says more than
 * "operator()".
 *
 * Nothing that a file said survives the call: all descriptors, ELF and DWARF handles are released at the end.
 */
#include "names.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "debug_file.h"
#include "debug_info.h"
#include "demangle.h"
#include "go_pclntab.h"
#include "object_private.h"
#include "strings.h"
#include "symbol_table.h"
#include "vector.h"

enum {
	DEMANGLED_MAX_BYTES = 64 << 20, /* kept for reuse; more starts the cache anew */
	FRAMES_MAX = 256,		/* a chain has no more */
	ELF_HEADER_BYTES = 64,		/* no function starts in the file's header */
};

/* Each unique name is demangled once. */
struct demangled {
	struct strings mangled;
	VECTOR(char *) texts; /* by id in mangled; NULL = not mangled */
	size_t bytes;
};

struct names {
	const struct object *object;
	struct elf_file main;
	struct elf_file debug;	/* separate debug file, .elf NULL = none */
	struct elf_file alt;	/* of whichever of the two has the DWARF */
	struct elf_file packed; /* .gnu_debugdata */
	uint64_t debug_bias;	/* main's file_addr + bias = debug's */
	struct symbol_table *symbols;
	struct debug_info *info;
	uint64_t info_bias;
	struct demangled demangled;
	VECTOR(char *) texts; /* made for the frames being reported */
	names_found_fn found;
	void *context;
};

/* --- texts ----------------------------------------------------------------------------------------------------------
 */

static void demangled_clear(struct demangled *demangled)
{
	for (size_t i = 0; i < demangled->texts.nr; i++)
		free(demangled->texts.data[i]);
	vector_free(&demangled->texts);
	strings_deinit(&demangled->mangled);
	demangled->bytes = 0;
}

/* Borrowed until the cache is cleared; NULL when name is not mangled. */
static const char *demangled_get(struct demangled *demangled, const char *name)
{
	uint32_t id;

	if (name[0] != '_')
		return NULL;
	id = strings_intern(&demangled->mangled, name);
	if (id >= demangled->texts.nr) {
		char *text = demangle(name);

		/* Id 0 is the empty string, which comes with the first name. */
		while (demangled->texts.nr <= id)
			vector_push(&demangled->texts);
		demangled->texts.data[id] = text;
		demangled->bytes += strlen(name) + (text ? strlen(text) : 0);
	}
	return demangled->texts.data[id];
}

static const char *text_keep(struct names *names, char *text)
{
	*vector_push(&names->texts) = text;
	return text;
}

/* Begins the texts of the next address. */
static void texts_reset(struct names *names)
{
	for (size_t i = 0; i < names->texts.nr; i++)
		free(names->texts.data[i]);
	names->texts.nr = 0;
	if (names->demangled.bytes > DEMANGLED_MAX_BYTES) {
		demangled_clear(&names->demangled);
		strings_init(&names->demangled.mangled);
	}
}

/* As it is, or its first NAME_MAX_BYTES, never half a character of UTF-8. */
static const char *text_cut(struct names *names, const char *text)
{
	size_t length = NAME_MAX_BYTES;

	if (!text || strnlen(text, NAME_MAX_BYTES + 1) <= NAME_MAX_BYTES)
		return text;
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return text_keep(names, memory_format("%.*s", (int)length, text));
}

/*
 * Files are relative to the unit's folder. Packages are built with their build folder mapped to ".": there, a file that
 * starts with "./" is relative to the top already, and its unit's folder would be wrong before it.
 */
static const char *text_path(struct names *names, const char *folder, const char *file)
{
	if (!file || file[0] == '/' || !folder || (folder[0] != '/' && strncmp(file, "./", 2) == 0))
		return text_cut(names, file);
	return text_cut(names,
			text_keep(names, memory_format("%.*s/%.*s", NAME_MAX_BYTES, folder, NAME_MAX_BYTES, file)));
}

/* --- reporting ------------------------------------------------------------------------------------------------------
 */

static const char *symbol_text(struct names *names, const struct symbol *symbol)
{
	return text_keep(names, memory_format("%.*s", (int)symbol->length, symbol->name));
}

static void frame_set_name(struct names *names, const struct debug_frame *raw, const struct symbol *symbol,
			   struct name_frame *frame)
{
	const char *system_name = raw->linkage_name ? raw->linkage_name : raw->name;
	const char *readable = system_name ? demangled_get(&names->demangled, system_name) : NULL;

	if (!raw->linkage_name && symbol && (!raw->name || symbol->start == raw->start)) {
		const char *text = symbol_text(names, symbol);
		const char *symbol_readable = demangled_get(&names->demangled, text);

		if (symbol_readable || !system_name) {
			system_name = text;
			readable = symbol_readable;
		}
	}
	if (!readable)
		readable = raw->name ? raw->name : system_name;
	frame->name = text_cut(names, readable);
	frame->system_name = text_cut(names, system_name);
}

static void chain_found(const struct debug_query *query, const struct debug_frame *raw, size_t nr, void *context)
{
	struct names *names = context;
	struct name_frame frames[FRAMES_MAX];
	uint64_t file_addr = query->file_addr - names->info_bias;

	texts_reset(names);
	if (nr > FRAMES_MAX)
		nr = FRAMES_MAX;
	for (size_t i = 0; i < nr; i++) {
		struct debug_frame frame = raw[i];
		/* Only the function itself has a symbol, not what was inlined into it. */
		const struct symbol *symbol = i + 1 == nr ? symbol_table_find(names->symbols, file_addr) : NULL;

		frame.start -= names->info_bias;
		frame_set_name(names, &frame, symbol, &frames[i]);
		frames[i].file = text_path(names, frame.folder, frame.file);
		frames[i].line = frame.line;
		frames[i].start_line = frame.start_line;
	}
	names->found(query->index, frames, nr, names->context);
}

static void symbol_report(struct names *names, const struct debug_query *query)
{
	const struct symbol *symbol = symbol_table_find(names->symbols, query->file_addr - names->info_bias);
	struct name_frame frame = {0};

	texts_reset(names);
	/* A line alone is no answer: it is what tables say of the padding between functions. */
	if (!symbol) {
		names->found(query->index, NULL, 0, names->context);
		return;
	}
	frame.system_name = text_cut(names, symbol_text(names, symbol));
	frame.name = text_cut(names, demangled_get(&names->demangled, frame.system_name));
	if (!frame.name)
		frame.name = frame.system_name;
	frame.file = text_path(names, query->folder, query->file);
	frame.line = query->line;
	names->found(query->index, &frame, 1, names->context);
}

/* --- sources --------------------------------------------------------------------------------------------------------
 */

static bool symbols_add_full(struct names *names, const struct elf_file *file, uint64_t bias)
{
	return file->elf && symbol_table_add(names->symbols, file, SHT_SYMTAB, bias) > 0;
}

/* Whatever else was stripped, Go's own table has the names of all Go functions. */
static bool symbols_add_go(struct names *names)
{
	struct go_pclntab *table;
	struct go_function function;

	if (go_pclntab_create(names->object, &table))
		return false;
	for (uint32_t i = 0; i < table->nr_functions; i++)
		if (go_pclntab_function(table, i, &function) && function.name[0])
			symbol_table_push(names->symbols, function.name, function.start, function.end);
	go_pclntab_destroy(table);
	return true;
}

static void symbols_open(struct names *names, struct names_status *status)
{
	names->symbols = symbol_table_create();
	status->has_symtab = symbols_add_full(names, &names->main, 0);
	if (!status->has_symtab && symbols_add_full(names, &names->debug, names->debug_bias)) {
		status->has_symtab = true;
		status->debug_file_used = true;
	}
	if (!status->has_symtab && debug_file_unpack_symbols(&names->main, &names->packed) == 0)
		status->has_symtab =
			symbols_add_full(names, &names->packed, debug_file_bias(&names->packed, &names->main));
	if (!status->has_symtab)
		status->has_symtab = symbols_add_go(names);
	/* .gnu_debugdata leaves out what .dynsym has, and .symtab spells versions out that .dynsym does not. */
	symbol_table_add(names->symbols, &names->main, SHT_DYNSYM, 0);
	symbol_table_add_plt(names->symbols, &names->main);
	symbol_table_seal(names->symbols);
}

static void debug_info_open(struct names *names, struct names_status *status)
{
	const struct elf_file *file = elf_file_has_debug_info(&names->main) ? &names->main : &names->debug;

	if (!file->elf)
		return;
	/* Without its alternate file DWARF loses some names; that is no reason to lose all of it. */
	debug_file_open_alt(names->object, file, &names->alt);
	if (debug_info_create(file, names->alt.elf ? &names->alt : NULL, &names->info) < 0)
		return;
	status->has_debug_info = true;
	if (file == &names->debug) {
		status->debug_file_used = true;
		names->info_bias = names->debug_bias;
	}
}

static int names_open(struct names *names, struct names_status *status)
{
	struct elf_section symtab;
	int err;

	names->main.fd = names->debug.fd = names->alt.fd = names->packed.fd = -1;
	strings_init(&names->demangled.mangled);
	err = elf_file_open(object_fd(names->object), &names->main);
	if (err < 0)
		return err;
	if ((!elf_file_has_debug_info(&names->main) || !elf_file_section_of_type(&names->main, SHT_SYMTAB, &symtab)) &&
	    debug_file_open(names->object, &names->main, &names->debug) == 0)
		names->debug_bias = debug_file_bias(&names->debug, &names->main);
	symbols_open(names, status);
	debug_info_open(names, status);
	return 0;
}

static void names_close(struct names *names)
{
	texts_reset(names);
	vector_free(&names->texts);
	debug_info_destroy(names->info);
	symbol_table_destroy(names->symbols);
	demangled_clear(&names->demangled);
	elf_file_close(&names->packed);
	elf_file_close(&names->alt);
	elf_file_close(&names->debug);
	elf_file_close(&names->main);
}

/* --- driver ---------------------------------------------------------------------------------------------------------
 */

static int query_compare(const void *a, const void *b)
{
	const struct debug_query *left = a;
	const struct debug_query *right = b;

	return left->file_addr < right->file_addr ? -1 : left->file_addr > right->file_addr;
}

static struct debug_query *queries_create(const struct names *names, const uint64_t *addrs, size_t nr)
{
	struct debug_query *queries = memory_new_array(struct debug_query, nr);

	for (size_t i = 0; i < nr; i++) {
		queries[i].file_addr = addrs[i] + names->info_bias;
		queries[i].index = i;
	}
	qsort(queries, nr, sizeof(queries[0]), query_compare);
	return queries;
}

/* The executable parts of the object, in the space of the file that has the DWARF. */
static size_t code_list(const struct names *names, struct debug_code code[static OBJECT_SEGMENTS_MAX])
{
	const struct object_info *info = object_info(names->object);

	for (size_t i = 0; i < info->nr_segments; i++) {
		const struct object_segment *segment = &info->segments[i];
		uint64_t start = segment->file_addr + names->info_bias;

		code[i].start = start + (segment->file_offset == 0 ? ELF_HEADER_BYTES : 0);
		code[i].end = start + segment->size;
	}
	return info->nr_segments;
}

int names_find(struct object *object, const uint64_t *addrs, size_t nr, names_found_fn found, void *context,
	       struct names_status *status)
{
	struct names names = {.object = object, .found = found, .context = context};
	struct names_status seen = {0};
	struct debug_code code[OBJECT_SEGMENTS_MAX];
	struct debug_query *queries;
	int err = names_open(&names, &seen);

	if (err < 0) {
		names_close(&names);
		return err;
	}
	queries = queries_create(&names, addrs, nr);
	if (names.info)
		debug_info_find(names.info, code, code_list(&names, code), queries, nr, chain_found, &names);
	for (size_t i = 0; i < nr; i++)
		if (!queries[i].answered)
			symbol_report(&names, &queries[i]);
	free(queries);
	names_close(&names);
	if (status)
		*status = seen;
	return 0;
}
