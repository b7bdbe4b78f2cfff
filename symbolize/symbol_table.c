/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbol_table.c - which function symbol covers an address?
 *
 * Symbols of several tables (the file's own, its debug file's, the packed one in .gnu_debugdata) are poured together,
 * sorted by start and searched. What counts:
 *
 * - Functions, indirect functions, and in executable sections also what assembly leaves without a type.
 * - A symbol names [value, value + size), cut to its section, and not a byte more.
 * - Size 0 is what assembly writes without .size: such a symbol reaches to the next symbol's start in its section,
 *   at most UNSIZED_MAX bytes, and only where no symbol with a size says otherwise. It is dropped where a symbol
 *   with a size has the same start.
 * - Symbols may nest (a label with a size inside a function): the one that starts last wins.
 * - Aliases (a fifth of libc's addresses have some): function before object before untyped, global before weak
 *   before local, then fewest leading underscores, then the shortest, then the first of the alphabet.
 *
 * Search: the last symbol at or below the address, then backwards as long as some earlier symbol reaches the address
 * (reach[i] is the largest end among symbols 0..i), so a gap between functions costs one step. A hostile file can nest
 * everything in one huge symbol: the walk back ends after FIND_STEPS_MAX.
 */
#include "symbol_table.h"

#include <gelf.h>
#include <libelf.h>
#include <string.h>

#include "sorted.h"
#include "strings.h"
#include "vector.h"

enum {
	UNSIZED_MAX = 4096,        /* bytes that a symbol without size may name */
	SYMBOLS_MAX = 16 << 20,    /* per table; the largest browsers have one million */
	FIND_STEPS_MAX = 1024,     /* backwards from the last symbol at or below an address */
	NAME_LENGTH_MAX = 65535,   /* compared lengths are cut here */
	PLT_ENTRIES_MAX = 1 << 20, /* stubs per table */
};

struct symbol_table {
	VECTOR(struct symbol) symbols;
	uint64_t *reach;      /* by index, made by symbol_table_seal */
	struct strings names; /* those that no ELF file lends */
};

struct symbol_table *symbol_table_create(void)
{
	struct symbol_table *table = memory_new(struct symbol_table);

	strings_init(&table->names);
	return table;
}

void symbol_table_destroy(struct symbol_table *table)
{
	if (!table)
		return;
	vector_free(&table->symbols);
	free(table->reach);
	strings_deinit(&table->names);
	free(table);
}

/* --- adding ---------------------------------------------------------------------------------------------------------
 */

/* Everything that makes one alias better than another, except the name: type counts more than binding. */
static uint8_t symbol_rank(uint8_t info)
{
	uint8_t type = GELF_ST_TYPE(info);
	uint8_t binding = GELF_ST_BIND(info);
	uint8_t type_rank = type == STT_FUNC || type == STT_GNU_IFUNC ? 0 : type == STT_OBJECT ? 1 : 2;
	uint8_t binding_rank = binding == STB_LOCAL ? 2 : binding == STB_WEAK ? 1 : 0;

	return (uint8_t)(type_rank * 3 + binding_rank);
}

static void symbol_set_name(struct symbol *symbol, const char *name, size_t length)
{
	size_t underscores = 0;

	while (underscores < length && underscores < UINT8_MAX && name[underscores] == '_')
		underscores++;
	symbol->name = name;
	symbol->length = (uint16_t)length;
	symbol->underscores = (uint8_t)underscores;
}

/* Linkers write the version of a symbol into its name in .symtab: "memcpy@@GLIBC_2.14". */
static size_t name_length(const char *name)
{
	size_t length = strnlen(name, NAME_LENGTH_MAX);
	const char *version = memchr(name, '@', length);

	return version && version > name ? (size_t)(version - name) : length;
}

/* The section headers of a file, read once: symbols refer to them by number. */
struct section_list {
	VECTOR(GElf_Shdr) headers;
};

static void section_list_read(struct section_list *list, Elf *elf)
{
	Elf_Scn *scn = NULL;

	vector_push(&list->headers); /* number 0 is no section */
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr *header = vector_push(&list->headers);

		/* A zeroed header has no flags, so nothing is taken from it. */
		if (!gelf_getshdr(scn, header))
			memset(header, 0, sizeof(*header));
	}
}

static bool type_is_wanted(uint8_t type)
{
	return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE || type == STT_OBJECT;
}

/* False when the symbol names no code of this file. */
static bool symbol_take(const struct section_list *sections, const GElf_Sym *raw, uint32_t index, const char *name,
			struct symbol *ret)
{
	const GElf_Shdr *section;
	uint8_t type = GELF_ST_TYPE(raw->st_info);
	uint64_t section_end;

	if (!type_is_wanted(type) || (type == STT_OBJECT && raw->st_size == 0))
		return false;
	if (index == SHN_UNDEF || index >= sections->headers.nr || !name || !name[0])
		return false;
	section = &sections->headers.data[index];
	if (!(section->sh_flags & SHF_EXECINSTR) ||
	    __builtin_add_overflow(section->sh_addr, section->sh_size, &section_end))
		return false;
	if (raw->st_value < section->sh_addr || raw->st_value >= section_end)
		return false;
	ret->start = raw->st_value;
	ret->sized = raw->st_size > 0;
	/* For a symbol without size this is the farthest it can reach; symbol_table_seal looks at its neighbours. */
	ret->end = raw->st_value + (ret->sized ? raw->st_size : UNSIZED_MAX);
	if (ret->end > section_end || ret->end < ret->start)
		ret->end = section_end;
	ret->rank = symbol_rank(raw->st_info);
	symbol_set_name(ret, name, name_length(name));
	return true;
}

size_t symbol_table_add(struct symbol_table *table, const struct elf_file *file, uint32_t section_type, uint64_t bias)
{
	struct section_list sections = {0};
	struct elf_section section;
	size_t before = table->symbols.nr;
	Elf_Data *data;
	size_t nr;

	if (!elf_file_section_of_type(file, section_type, &section))
		return 0;
	data = elf_getdata(section.scn, NULL);
	if (!data || !data->d_buf)
		return 0;
	nr = data->d_size / gelf_fsize(file->elf, ELF_T_SYM, 1, EV_CURRENT);
	section_list_read(&sections, file->elf);
	for (size_t i = 1; i < nr && table->symbols.nr < SYMBOLS_MAX; i++) {
		struct symbol symbol = {0};
		GElf_Sym raw;

		/* Files with over 65,279 sections keep numbers elsewhere: SHN_XINDEX is not executable code we know. */
		if (!gelf_getsym(data, (int)i, &raw) || raw.st_shndx >= SHN_LORESERVE)
			continue;
		if (!symbol_take(&sections, &raw, raw.st_shndx, elf_strptr(file->elf, section.link, raw.st_name),
				 &symbol))
			continue;
		symbol.start -= bias;
		symbol.end -= bias;
		if (symbol.start < symbol.end)
			*vector_push(&table->symbols) = symbol;
	}
	vector_free(&sections.headers);
	return table->symbols.nr - before;
}

void symbol_table_push(struct symbol_table *table, const char *name, uint64_t start, uint64_t end)
{
	struct symbol *symbol;

	name = strings_text(&table->names, strings_intern(&table->names, name));
	if (start >= end || table->symbols.nr >= SYMBOLS_MAX)
		return;
	symbol = vector_push(&table->symbols);
	symbol->start = start;
	symbol->end = end;
	symbol->sized = true;
	symbol->rank = symbol_rank(GELF_ST_INFO(STB_LOCAL, STT_FUNC));
	symbol_set_name(symbol, name, strnlen(name, NAME_LENGTH_MAX));
}

/* --- sorting and search ---------------------------------------------------------------------------------------------
 */

static int symbol_compare(const void *a, const void *b)
{
	const struct symbol *left = a;
	const struct symbol *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	if (left->sized != right->sized)
		return left->sized ? -1 : 1;
	if (left->rank != right->rank)
		return left->rank < right->rank ? -1 : 1;
	if (left->underscores != right->underscores)
		return left->underscores < right->underscores ? -1 : 1;
	if (left->length != right->length)
		return left->length < right->length ? -1 : 1;
	size_t compared = left->length < NAME_MAX_BYTES ? left->length : NAME_MAX_BYTES;
	int order = left->name == right->name ? 0 : memcmp(left->name, right->name, compared);

	/* No two are equal: whatever way the sort goes, the answer is the same. */
	return order ? order : (left->name > right->name) - (left->name < right->name);
}

/* Cuts symbols without size at the next start, and drops those whose start another one with a size has. */
static void symbols_settle(struct symbol_table *table)
{
	struct symbol *symbols = table->symbols.data;
	uint64_t next_start = UINT64_MAX;
	size_t kept = 0;

	for (size_t i = table->symbols.nr; i-- > 0;) {
		if (i + 1 < table->symbols.nr && symbols[i + 1].start != symbols[i].start)
			next_start = symbols[i + 1].start;
		if (!symbols[i].sized && symbols[i].end > next_start)
			symbols[i].end = next_start;
	}
	for (size_t i = 0; i < table->symbols.nr; i++) {
		/* Sorting put those with a size first. */
		if (!symbols[i].sized && kept > 0 && symbols[kept - 1].start == symbols[i].start)
			continue;
		symbols[kept++] = symbols[i];
	}
	table->symbols.nr = kept;
}

void symbol_table_seal(struct symbol_table *table)
{
	uint64_t reach = 0;

	if (table->symbols.nr == 0)
		return;
	qsort(table->symbols.data, table->symbols.nr, sizeof(table->symbols.data[0]), symbol_compare);
	symbols_settle(table);
	free(table->reach);
	table->reach = memory_new_array(uint64_t, table->symbols.nr);
	for (size_t i = 0; i < table->symbols.nr; i++) {
		if (table->symbols.data[i].end > reach)
			reach = table->symbols.data[i].end;
		table->reach[i] = reach;
	}
}

/* How many symbols start at or below file_addr. */
static size_t symbols_at_or_below(const struct symbol_table *table, uint64_t file_addr)
{
	return sorted_front(table->symbols.nr, i, table->symbols.data[i].start <= file_addr);
}

const struct symbol *symbol_table_find(const struct symbol_table *table, uint64_t file_addr)
{
	const struct symbol *best = NULL;
	size_t end = symbols_at_or_below(table, file_addr);

	for (size_t i = end; i-- > 0 && end - i <= FIND_STEPS_MAX && table->reach[i] > file_addr;) {
		const struct symbol *symbol = &table->symbols.data[i];

		/* Going backwards, aliases come worst first: a later hit at the same start replaces an earlier one. */
		if (best && best->sized && symbol->start != best->start)
			break;
		if (symbol->end <= file_addr)
			continue;
		if (!best || symbol->start == best->start || (symbol->sized && !best->sized))
			best = symbol;
	}
	return best;
}

/* --- procedure linkage table ----------------------------------------------------------------------------------------
 */

/* One slot of the global offset table and the symbol whose address the loader puts there. */
struct got_slot {
	uint64_t file_addr;
	const char *name; /* borrowed from .dynstr */
};

struct got {
	VECTOR(struct got_slot) slots; /* by file_addr */
};

static int got_slot_compare(const void *a, const void *b)
{
	const struct got_slot *left = a;
	const struct got_slot *right = b;

	return left->file_addr < right->file_addr ? -1 : left->file_addr > right->file_addr;
}

static void got_add(struct got *got, const struct elf_file *file, const char *section_name)
{
	struct elf_section relocations;
	struct elf_section symbols;
	Elf_Data *data;
	Elf_Data *symbol_data;

	if (!elf_file_section(file, section_name, &relocations) || relocations.type != SHT_RELA ||
	    !elf_file_section_of_type(file, SHT_DYNSYM, &symbols))
		return;
	data = elf_getdata(relocations.scn, NULL);
	symbol_data = elf_getdata(symbols.scn, NULL);
	if (!data || !symbol_data || data->d_type != ELF_T_RELA || symbol_data->d_type != ELF_T_SYM)
		return;
	for (int i = 0; i < PLT_ENTRIES_MAX; i++) {
		GElf_Rela relocation;
		GElf_Sym symbol;
		const char *name;

		if (!gelf_getrela(data, i, &relocation))
			break;
		if (GELF_R_TYPE(relocation.r_info) != R_X86_64_JUMP_SLOT &&
		    GELF_R_TYPE(relocation.r_info) != R_X86_64_GLOB_DAT)
			continue;
		if (!gelf_getsym(symbol_data, (int)GELF_R_SYM(relocation.r_info), &symbol))
			continue;
		name = elf_strptr(file->elf, symbols.link, symbol.st_name);
		if (name && name[0])
			*vector_push(&got->slots) = (struct got_slot){relocation.r_offset, name};
	}
}

/*
 * A stub jumps through its slot: [endbr64] [bnd] jmp *disp32(%rip), which is ff 25 disp32 within the stub's first
 * bytes. The slot tells the function; the order of stubs and relocations need not be the same.
 */
static bool stub_slot(const uint8_t *stub, size_t size, uint64_t stub_addr, uint64_t *ret)
{
	for (size_t i = 0; i + 6 <= size; i++) {
		int32_t displacement;

		if (stub[i] != 0xff || stub[i + 1] != 0x25)
			continue;
		memcpy(&displacement, stub + i + 2, sizeof(displacement));
		*ret = stub_addr + i + 6 + (uint64_t)(int64_t)displacement;
		return true;
	}
	return false;
}

static void plt_section_add(struct symbol_table *table, const struct elf_file *file, const struct got *got,
			    const char *section_name)
{
	struct elf_section section;
	const uint8_t *bytes;
	size_t size;
	size_t step;

	if (!elf_file_section(file, section_name, &section))
		return;
	bytes = elf_section_bytes(&section, &size);
	step = section.entry_size == 8 ? 8 : 16;
	if (!bytes || size / step > PLT_ENTRIES_MAX)
		return;
	for (size_t offset = 0; offset + step <= size; offset += step) {
		struct got_slot key = {0};
		const struct got_slot *slot;
		_cleanup_free_ char *name = NULL;

		if (!stub_slot(bytes + offset, step, section.file_addr + offset, &key.file_addr))
			continue;
		slot = bsearch(&key, got->slots.data, got->slots.nr, sizeof(key), got_slot_compare);
		if (!slot)
			continue;
		name = memory_format("%.*s@plt", NAME_MAX_BYTES, slot->name);
		symbol_table_push(table, name, section.file_addr + offset, section.file_addr + offset + step);
	}
}

void symbol_table_add_plt(struct symbol_table *table, const struct elf_file *file)
{
	struct got got = {0};

	got_add(&got, file, ".rela.plt");
	got_add(&got, file, ".rela.dyn");
	if (got.slots.nr > 0) {
		qsort(got.slots.data, got.slots.nr, sizeof(got.slots.data[0]), got_slot_compare);
		plt_section_add(table, file, &got, ".plt");
		plt_section_add(table, file, &got, ".plt.sec");
		plt_section_add(table, file, &got, ".plt.got");
	}
	vector_free(&got.slots);
}
