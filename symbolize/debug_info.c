/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_info.c - which functions, inlined into one another, is this address in, and which source lines called them?
 *
 * All addresses of a file are answered in one pass over its units, because libdw's own search by address needs
 * .debug_aranges, which clang, rustc and Go do not write. A unit whose ranges hold none of the addresses costs a
 * binary search per range. Any other is walked once, depth first. Each function or inlined call on the way "paints" the
 * addresses in its ranges with itself, but only those that its parent painted last; so every address ends with the
 * deepest scope whose ancestors all cover it, and the chain is read upwards from there. Cost: units and entries
 * walked plus, per address, its depth.
 *
 * The chain's lines: the innermost function is at the line of the unit's line table; each function further out is where
 * its inlined callee says it was called (call_file, call_line).
 *
 * Tricky cases:
 * - The linker leaves the DWARF of functions it dropped, with ranges that start at 0: ranges that start where no
 *   code is are not believed.
 * - A function may be nested in one that does not contain its code (lambdas, nested functions of GNU C): functions
 *   paint whatever their parent is. Bodies are also found in namespaces, modules and types (clang, rustc).
 * - A unit without ranges is walked for all addresses still open.
 * - Entries form a tree only if their author was honest: the walk ends when offsets do not grow, so it is linear;
 *   deeper than DEPTH_MAX is skipped; all ranges of a file share one budget.
 * - libdw opens alternate (dwz) and split (.dwo) files by path on its own. The first is prevented by always setting an
 *   alternate file, an empty one if need be, the second by never asking for a split unit's entry: such a unit
 *   has its skeleton's lines only.
 */
#include "debug_info.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <string.h>

#include "debug_strings.h"
#include "sorted.h"
#include "vector.h"

enum {
	DEPTH_MAX = 256,     /* nesting of entries in a unit, and so of inlined calls */
	WORK_MAX = 64 << 20, /* ranges read plus addresses painted, per file */
	NO_SCOPE = 0,        /* scopes are numbered from 1 */
};

/* A function or an inlined call that covers at least one address. */
struct scope {
	Dwarf_Die die;
	uint32_t parent; /* NO_SCOPE for a function */
	uint64_t start;  /* first address of its first range */
};

struct debug_info {
	struct Dwarf *dwarf;
	struct Dwarf *alt;
	struct elf_file empty; /* stands in for the alternate file that is not there */
	struct debug_strings strings;
};

/* One look-up of many addresses. */
struct search {
	const struct debug_strings *strings;
	const struct debug_code *code;
	size_t nr_code;
	struct debug_query *queries;
	size_t nr;
	debug_found_fn found;
	void *context;
	size_t work_left;
};

/* One unit, walked for some of the addresses. */
struct unit_walk {
	struct search *search;
	Dwarf_Die *unit;
	VECTOR(struct debug_query *) queries; /* by file_addr */
	uint32_t *deepest;                    /* by index in queries: scope number */
	VECTOR(struct scope) scopes;          /* scope number - 1 */
	Dwarf_Lines *lines;                   /* NULL = none */
	size_t nr_lines;
	Dwarf_Files *files;
	size_t nr_files;
	const char *folder; /* DW_AT_comp_dir, NULL = unknown */
};

/* --- opening --------------------------------------------------------------------------------------------------------
 */

/*
 * The smallest ELF file that libdw opens: one section, a .debug_line without a byte of sense in it. References into it
 * fail, which is what references into a missing file should do.
 */
static int empty_file_create(struct elf_file *ret)
{
	static const char names[] = "\0.debug_line\0.shstrtab";
	struct {
		Elf64_Ehdr header;
		Elf64_Shdr sections[3];
		char names[sizeof(names)];
		uint8_t line[8];
	} *image = memory_zalloc(1, sizeof(*image));

	image->header = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_shoff = offsetof(__typeof__(*image), sections),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
		.e_shstrndx = 2,
	};
	image->sections[1] = (Elf64_Shdr){
		.sh_name = 1,
		.sh_type = SHT_PROGBITS,
		.sh_offset = offsetof(__typeof__(*image), line),
		.sh_size = sizeof(image->line),
		.sh_addralign = 1,
	};
	image->sections[2] = (Elf64_Shdr){
		.sh_name = 13,
		.sh_type = SHT_STRTAB,
		.sh_offset = offsetof(__typeof__(*image), names),
		.sh_size = sizeof(names),
		.sh_addralign = 1,
	};
	memcpy(image->names, names, sizeof(names));
	return elf_file_open_memory(image, sizeof(*image), ret);
}

/* The alternate file, or an empty one in its place. */
static Dwarf *alt_begin(struct debug_info *info, const struct elf_file *alt)
{
	Dwarf *dwarf = alt && elf_file_debug_fits(alt) ? dwarf_begin_elf(alt->elf, DWARF_C_READ, NULL) : NULL;

	if (dwarf && debug_strings_add(&info->strings, alt) == 0)
		return dwarf;
	dwarf_end(dwarf);
	return empty_file_create(&info->empty) ? NULL : dwarf_begin_elf(info->empty.elf, DWARF_C_READ, NULL);
}

int debug_info_create(const struct elf_file *file, const struct elf_file *alt, struct debug_info **ret)
{
	struct debug_info *info;

	if (!elf_file_has_debug_info(file) || !elf_file_debug_fits(file))
		return -ENODATA;
	info = memory_new(struct debug_info);
	info->empty.fd = -1;
	info->dwarf = dwarf_begin_elf(file->elf, DWARF_C_READ, NULL);
	if (info->dwarf && debug_strings_add(&info->strings, file) == 0)
		info->alt = alt_begin(info, alt);
	if (!info->alt) {
		debug_info_destroy(info);
		return -ENODATA;
	}
	dwarf_setalt(info->dwarf, info->alt);
	*ret = info;
	return 0;
}

void debug_info_destroy(struct debug_info *info)
{
	if (!info)
		return;
	dwarf_end(info->dwarf);
	dwarf_end(info->alt);
	elf_file_close(&info->empty);
	debug_strings_deinit(&info->strings);
	free(info);
}

/* --- ranges ---------------------------------------------------------------------------------------------------------
 */

/* Index of the first query at or above file_addr. */
static size_t queries_lower_bound(const struct debug_query *queries, size_t nr, uint64_t file_addr)
{
	return sorted_front(nr, i, queries[i].file_addr < file_addr);
}

static size_t walk_lower_bound(const struct unit_walk *walk, uint64_t file_addr)
{
	return sorted_front(walk->queries.nr, i, walk->queries.data[i]->file_addr < file_addr);
}

static bool range_is_code(const struct search *search, uint64_t start)
{
	for (size_t i = 0; i < search->nr_code; i++)
		if (start >= search->code[i].start && start < search->code[i].end)
			return true;
	return search->nr_code == 0;
}

static bool work_take(struct search *search, size_t work)
{
	if (search->work_left < work)
		search->work_left = 0;
	else
		search->work_left -= work;
	return search->work_left > 0;
}

/* The next range of an entry that lies in code; false at the end. *offset starts as 0, *base is libdw's own. */
static bool range_next(struct search *search, Dwarf_Die *die, ptrdiff_t *offset, Dwarf_Addr *base,
		       Dwarf_Addr *start_ret, Dwarf_Addr *end_ret)
{
	while (work_take(search, 1)) {
		*offset = dwarf_ranges(die, *offset, base, start_ret, end_ret);
		if (*offset <= 0)
			return false;
		if (*start_ret < *end_ret && range_is_code(search, *start_ret))
			return true;
	}
	return false;
}

/* --- the walk -------------------------------------------------------------------------------------------------------
 */

/* Paints the addresses of one entry; the number of its new scope, NO_SCOPE when it covers none. */
static uint32_t scope_paint(struct unit_walk *walk, Dwarf_Die *die, uint32_t parent)
{
	uint32_t number = NO_SCOPE;
	ptrdiff_t offset = 0;
	Dwarf_Addr base = 0;
	Dwarf_Addr start;
	Dwarf_Addr end;
	uint64_t first = 0;

	while (range_next(walk->search, die, &offset, &base, &start, &end)) {
		size_t i = walk_lower_bound(walk, start);

		if (first == 0)
			first = start;
		for (; i < walk->queries.nr && walk->queries.data[i]->file_addr < end; i++) {
			if (!work_take(walk->search, 1))
				return number;
			if (walk->deepest[i] != parent)
				continue;
			if (number == NO_SCOPE) {
				*vector_push(&walk->scopes) = (struct scope){*die, parent, first};
				number = (uint32_t)walk->scopes.nr;
			}
			walk->deepest[i] = number;
		}
	}
	return number;
}

/* Whether code can hide below an entry, and which scope the entries below it are in. */
static bool entry_visit(struct unit_walk *walk, Dwarf_Die *die, uint32_t scope, uint32_t *inner_ret)
{
	*inner_ret = scope;
	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		if (dwarf_hasattr(die, DW_AT_declaration))
			return false;
		/* Below one that covers nothing there may still be another function. */
		*inner_ret = scope_paint(walk, die, NO_SCOPE);
		return true;
	case DW_TAG_inlined_subroutine:
		if (scope == NO_SCOPE)
			return false;
		*inner_ret = scope_paint(walk, die, scope);
		return *inner_ret != NO_SCOPE;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
	case DW_TAG_common_block:
	case DW_TAG_entry_point:
		return true;
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_interface_type:
		*inner_ret = NO_SCOPE;
		return true;
	default:
		return false;
	}
}

/* An entry on the path from the unit to where the walk is. */
struct level {
	Dwarf_Die die;
	uint32_t scope; /* that the entry is in */
};

/* Goes on to the next entry that is not below the current one; false at the end of the unit. */
static bool level_next(struct level *levels, size_t *depth)
{
	for (;;) {
		int status = dwarf_siblingof(&levels[*depth].die, &levels[*depth].die);

		if (status == 0)
			return true;
		if (status < 0 || *depth == 0)
			return false;
		(*depth)--;
	}
}

static void unit_walk_entries(struct unit_walk *walk)
{
	struct level levels[DEPTH_MAX];
	Dwarf_Off last = dwarf_dieoffset(walk->unit);
	size_t depth = 0;

	if (dwarf_child(walk->unit, &levels[0].die) != 0)
		return;
	levels[0].scope = NO_SCOPE;
	for (;;) {
		struct level *level = &levels[depth];
		Dwarf_Off offset = dwarf_dieoffset(&level->die);
		uint32_t inner;

		/* A sibling that points backwards would have us walk for ever. */
		if (offset <= last || walk->search->work_left == 0)
			return;
		last = offset;
		if (depth + 1 < DEPTH_MAX && entry_visit(walk, &level->die, level->scope, &inner) &&
		    dwarf_child(&level->die, &levels[depth + 1].die) == 0) {
			levels[++depth].scope = inner;
			continue;
		}
		if (!level_next(levels, &depth))
			return;
	}
}

/* --- lines ----------------------------------------------------------------------------------------------------------
 */

/* The last row at or below file_addr, unless that one ends a sequence. NULL = none. */
static Dwarf_Line *lines_find(const struct unit_walk *walk, uint64_t file_addr)
{
	Dwarf_Line *line = NULL;
	size_t low = 0;
	size_t high = walk->nr_lines;
	bool ends = true;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		Dwarf_Addr row_addr;

		if (dwarf_lineaddr(dwarf_onesrcline(walk->lines, middle), &row_addr) != 0)
			return NULL;
		if (row_addr <= file_addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0)
		line = dwarf_onesrcline(walk->lines, low - 1);
	if (!line || dwarf_lineendsequence(line, &ends) != 0 || ends)
		return NULL;
	return line;
}

static void line_read(const struct unit_walk *walk, uint64_t file_addr, const char **file_ret, uint32_t *line_ret)
{
	Dwarf_Line *line = lines_find(walk, file_addr);
	int number;

	if (!line)
		return;
	*file_ret = dwarf_linesrc(line, NULL, NULL);
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		*line_ret = (uint32_t)number;
}

static uint32_t die_number(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (!dwarf_attr_integrate(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0)
		return 0;
	return value > INT32_MAX ? 0 : (uint32_t)value;
}

/* --- chains ---------------------------------------------------------------------------------------------------------
 */

static const char *die_string(const struct unit_walk *walk, Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attribute;

	return debug_string(walk->search->strings, dwarf_attr_integrate(die, name, &attribute));
}

/* Where an entry's function is declared, by the line table of the unit that says so: it may be another one. */
static const char *die_decl_file(const struct unit_walk *walk, Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	Dwarf_Die unit;

	if (!dwarf_attr_integrate(die, DW_AT_decl_file, &attribute) ||
	    !dwarf_cu_die(attribute.cu, &unit, NULL, NULL, NULL, NULL, NULL, NULL) ||
	    !debug_strings_allow_lines(walk->search->strings, &unit))
		return NULL;
	return dwarf_decl_file(die);
}

/* Everything of a frame that the entry itself knows; file and line come from elsewhere. */
static void frame_describe(const struct unit_walk *walk, struct scope *scope, struct debug_frame *frame)
{
	frame->linkage_name = die_string(walk, &scope->die, DW_AT_linkage_name);
	if (!frame->linkage_name)
		frame->linkage_name = die_string(walk, &scope->die, DW_AT_MIPS_linkage_name);
	frame->name = die_string(walk, &scope->die, DW_AT_name);
	frame->folder = walk->folder;
	frame->start_line = die_number(&scope->die, DW_AT_decl_line);
	frame->start = scope->parent == NO_SCOPE ? scope->start : 0;
}

static void frame_call_site(const struct unit_walk *walk, Dwarf_Die *callee, struct debug_frame *frame)
{
	Dwarf_Attribute attribute;
	Dwarf_Word number;

	/* Not by dwarf_attr_integrate: where a call is written is no property of the abstract function. */
	if (walk->files && dwarf_formudata(dwarf_attr(callee, DW_AT_call_file, &attribute), &number) == 0 &&
	    number < walk->nr_files)
		frame->file = dwarf_filesrc(walk->files, number, NULL, NULL);
	if (dwarf_formudata(dwarf_attr(callee, DW_AT_call_line, &attribute), &number) == 0 && number <= INT32_MAX)
		frame->line = (uint32_t)number;
}

static void chain_report(const struct unit_walk *walk, struct debug_query *query, uint32_t number)
{
	struct debug_frame frames[DEPTH_MAX];
	Dwarf_Die *callee = NULL;
	size_t nr = 0;

	for (; number != NO_SCOPE && nr < DEPTH_MAX; nr++) {
		struct scope *scope = &walk->scopes.data[number - 1];

		frames[nr] = (struct debug_frame){0};
		frame_describe(walk, scope, &frames[nr]);
		if (callee)
			frame_call_site(walk, callee, &frames[nr]);
		else
			line_read(walk, query->file_addr, &frames[nr].file, &frames[nr].line);
		if (!frames[nr].file)
			frames[nr].file = die_decl_file(walk, &scope->die);
		callee = &scope->die;
		number = scope->parent;
	}
	query->answered = true;
	walk->search->found(query, frames, nr, walk->search->context);
}

/* --- units ----------------------------------------------------------------------------------------------------------
 */

static void walk_add(struct unit_walk *walk, size_t first, uint64_t end)
{
	struct search *search = walk->search;

	for (size_t i = first; i < search->nr && search->queries[i].file_addr < end; i++) {
		if (!work_take(search, 1))
			return;
		if (!search->queries[i].answered)
			*vector_push(&walk->queries) = &search->queries[i];
	}
}

/* For a unit that does not say where its code is: cheap per address, as units that hold only data are like this. */
static void walk_add_all(struct unit_walk *walk)
{
	struct search *search = walk->search;

	if (!work_take(search, search->nr / 16 + 1))
		return;
	for (size_t i = 0; i < search->nr; i++)
		if (!search->queries[i].answered)
			*vector_push(&walk->queries) = &search->queries[i];
}

static int query_pointer_compare(const void *a, const void *b)
{
	const struct debug_query *left = *(struct debug_query *const *)a;
	const struct debug_query *right = *(struct debug_query *const *)b;

	/* Queries are one sorted array: their order in memory is their order by address. */
	return left < right ? -1 : left > right;
}

/* Ranges come in any order and may overlap. */
static void walk_sort(struct unit_walk *walk)
{
	size_t kept = 0;

	if (walk->queries.nr == 0)
		return;
	qsort(walk->queries.data, walk->queries.nr, sizeof(walk->queries.data[0]), query_pointer_compare);
	for (size_t i = 0; i < walk->queries.nr; i++)
		if (kept == 0 || walk->queries.data[kept - 1] != walk->queries.data[i])
			walk->queries.data[kept++] = walk->queries.data[i];
	walk->queries.nr = kept;
}

/* Collects the open addresses that the unit claims. */
static void walk_collect(struct unit_walk *walk)
{
	struct search *search = walk->search;
	ptrdiff_t offset = 0;
	Dwarf_Addr base = 0;
	Dwarf_Addr start;
	Dwarf_Addr end;

	if (!dwarf_hasattr(walk->unit, DW_AT_high_pc) && !dwarf_hasattr(walk->unit, DW_AT_ranges)) {
		walk_add_all(walk);
		return;
	}
	while (range_next(search, walk->unit, &offset, &base, &start, &end))
		walk_add(walk, queries_lower_bound(search->queries, search->nr, start), end);
	walk_sort(walk);
}

static void walk_report(struct unit_walk *walk)
{
	const struct debug_strings *strings = walk->search->strings;
	bool allowed = debug_strings_allow_lines(strings, walk->unit);
	Dwarf_Attribute attribute;

	walk->folder = debug_string(strings, dwarf_attr(walk->unit, DW_AT_comp_dir, &attribute));
	if (!allowed || dwarf_getsrclines(walk->unit, &walk->lines, &walk->nr_lines) != 0)
		walk->nr_lines = 0;
	if (!allowed || dwarf_getsrcfiles(walk->unit, &walk->files, &walk->nr_files) != 0)
		walk->files = NULL;
	for (size_t i = 0; i < walk->queries.nr; i++) {
		struct debug_query *query = walk->queries.data[i];

		if (walk->deepest[i] != NO_SCOPE) {
			chain_report(walk, query, walk->deepest[i]);
		} else if (query->line == 0) {
			line_read(walk, query->file_addr, &query->file, &query->line);
			query->folder = query->file ? walk->folder : NULL;
		}
	}
}

static void unit_search(struct search *search, Dwarf_Die *unit)
{
	struct unit_walk walk = {.search = search, .unit = unit};

	walk_collect(&walk);
	if (walk.queries.nr > 0) {
		walk.deepest = memory_new_array(uint32_t, walk.queries.nr);
		unit_walk_entries(&walk);
		walk_report(&walk);
		free(walk.deepest);
	}
	vector_free(&walk.queries);
	vector_free(&walk.scopes);
}

void debug_info_find(struct debug_info *info, const struct debug_code *code, size_t nr_code,
		     struct debug_query *queries, size_t nr, debug_found_fn found, void *context)
{
	struct search search = {&info->strings, code, nr_code, queries, nr, found, context, WORK_MAX};
	Dwarf_CU *unit = NULL;
	Dwarf_Die unit_die;
	uint8_t type;

	/* No sub-entry is asked for: for a split unit that would open a file. */
	while (search.work_left > 0 && dwarf_get_units(info->dwarf, unit, &unit, NULL, &type, &unit_die, NULL) == 0)
		if (type == DW_UT_compile || type == DW_UT_skeleton)
			unit_search(&search, &unit_die);
}
