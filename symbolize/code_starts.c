/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_starts.c - who names, calls or points at addresses in the gaps?
 *
 * Function symbols, where the file has some; the calls and jumps of the gaps themselves; calls, jumps and address
 * computations in the functions that are known, since the C code around hand-written assembly calls it, or puts its
 * address into tables of function pointers; and data: relocations, and words that hold an address. Data may also point
 * at a label within a function (a table of jump targets), so that counts as a hint only.
 *
 * Known functions are decoded from their first byte on, so no bytes are taken for calls that aren't any.
 */
#include "code_starts.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "code_roots.h"
#include "instruction.h"
#include "memory.h"
#include "object_private.h"

enum {
	CHUNK_BYTES = 256 << 10,
	TABLE_BYTES_MAX = 256 << 20, /* of symbols, relocations or data that are looked through */
	CODE_BYTES_MAX = 64 << 20,   /* of known functions */
	BLOCK_SHIFT = 6,
	SCAN_BYTES = 64,
	FIXED_ADDR_MIN = 64 << 10, /* of the code of files that are mapped where they say */
	FEW_BYTES = 1 << 10,       /* gaps that are smaller in total, start-up code mostly, are not worth the search */
};

/* Where gaps are, by blocks: one look instead of a search. */
struct block_map {
	uint64_t first_block;
	uint64_t nr_blocks;
	uint8_t *bits;
};

struct starts_search {
	const struct object *object;
	uint64_t origin_addr;
	struct code_gaps *gaps;
	struct block_map blocks;
	uint8_t *chunk;       /* CHUNK_BYTES, and SCAN_BYTES to spare on either side */
	uint64_t chunk_start; /* of what it holds of known functions */
	uint64_t chunk_size;
};

static void block_map_init(struct block_map *map, const struct code_gaps *gaps)
{
	const struct code_gap *last = &gaps->list.data[gaps->list.nr - 1];

	map->first_block = gaps->list.data[0].start >> BLOCK_SHIFT;
	map->nr_blocks = (((uint64_t)last->start + last->size - 1) >> BLOCK_SHIFT) - map->first_block + 1;
	map->bits = memory_zalloc(map->nr_blocks / 8 + 1, 1);
	for (size_t i = 0; i < gaps->list.nr; i++) {
		const struct code_gap *gap = &gaps->list.data[i];

		for (uint64_t block = gap->start >> BLOCK_SHIFT;
		     block <= ((uint64_t)gap->start + gap->size - 1) >> BLOCK_SHIFT; block++)
			map->bits[(block - map->first_block) / 8] |= (uint8_t)(1u << (block - map->first_block) % 8);
	}
}

static bool block_map_has(const struct block_map *map, uint64_t distance)
{
	uint64_t block = (distance >> BLOCK_SHIFT) - map->first_block;

	return block < map->nr_blocks && map->bits[block / 8] >> block % 8 & 1;
}

static void mark_addr(const struct starts_search *search, uint64_t file_addr, enum code_mark mark)
{
	code_gaps_mark(search->gaps, file_addr - search->origin_addr, mark);
}

/* Hands a table's entries on, piece by piece; a table that can't be read ends. */
typedef void (*entries_fn)(const struct starts_search *search, const void *entries, size_t size_bytes);

static void read_table(const struct starts_search *search, uint64_t file_offset, uint64_t size, size_t entry_size,
		       entries_fn each)
{
	const size_t chunk_size = CHUNK_BYTES - CHUNK_BYTES % entry_size;

	if (size > TABLE_BYTES_MAX)
		size = TABLE_BYTES_MAX;
	for (uint64_t at = 0; at < size; at += chunk_size) {
		size_t piece = size - at < chunk_size ? size - at : chunk_size;

		piece -= piece % entry_size;
		if (object_read(search->object, file_offset + at, search->chunk, piece))
			return;
		each(search, search->chunk, piece);
	}
}

static void mark_symbols(const struct starts_search *search, const void *entries, size_t size_bytes)
{
	const Elf64_Sym *symbols = entries;

	for (size_t i = 0; i < size_bytes / sizeof(*symbols); i++) {
		unsigned int type = ELF64_ST_TYPE(symbols[i].st_info);

		if (symbols[i].st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC))
			mark_addr(search, symbols[i].st_value, MARK_ENTRY);
	}
}

static void mark_relocations(const struct starts_search *search, const void *entries, size_t size_bytes)
{
	const Elf64_Rela *relocations = entries;

	for (size_t i = 0; i < size_bytes / sizeof(*relocations); i++) {
		unsigned int type = ELF64_R_TYPE(relocations[i].r_info);

		if (type == R_X86_64_RELATIVE || type == R_X86_64_IRELATIVE)
			mark_addr(search, (uint64_t)relocations[i].r_addend, MARK_POINTER);
	}
}

static void mark_words(const struct starts_search *search, const void *entries, size_t size_bytes)
{
	const uint64_t *words = entries;
	const struct code_gap *first = &search->gaps->list.data[0];
	const struct code_gap *last = &search->gaps->list.data[search->gaps->list.nr - 1];
	uint64_t start_addr = search->origin_addr + first->start;
	uint64_t span = (uint64_t)last->start + last->size - first->start;

	for (size_t i = 0; i < size_bytes / sizeof(*words); i++)
		if (words[i] - start_addr < span)
			mark_addr(search, words[i], MARK_POINTER);
}

static void search_symbols(const struct starts_search *search)
{
	static const char *const names[] = {".symtab", ".dynsym"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct object_section *section = object_find_section(search->object, names[i], NULL);

		if (section && section->type != SHT_NOBITS)
			read_table(search, section->file_offset, section->size, sizeof(Elf64_Sym), mark_symbols);
	}
}

/* The table of relocations that the dynamic linker is told of, so it is found without section headers. */
static void search_relocations(const struct starts_search *search)
{
	const struct object_program_header *dynamic = object_find_header(search->object, PT_DYNAMIC);
	uint64_t addr = 0;
	uint64_t size = 0;
	Elf64_Dyn entry;

	if (!dynamic)
		return;
	for (uint64_t at = 0; at + sizeof(entry) <= dynamic->file_size && at < CHUNK_BYTES; at += sizeof(entry)) {
		if (object_read(search->object, dynamic->file_offset + at, &entry, sizeof(entry)) ||
		    entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_RELA)
			addr = entry.d_un.d_ptr;
		if (entry.d_tag == DT_RELASZ)
			size = entry.d_un.d_val;
	}
	const struct object_program_header *load = size ? object_find_load(search->object, addr) : NULL;

	if (!load || size > load->file_size - (addr - load->file_addr))
		return;
	read_table(search, load->file_offset + (addr - load->file_addr), size, sizeof(Elf64_Rela), mark_relocations);
}

/* Addresses as the linker left them: in files that are not relocated, or by packed relative relocations. */
static void search_data(const struct starts_search *search)
{
	static const char *const names[] = {".data.rel.ro", ".data", ".init_array", ".got"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct object_section *section = object_find_section(search->object, names[i], NULL);

		if (section && section->type != SHT_NOBITS && section->file_addr % sizeof(uint64_t) == 0)
			read_table(search, section->file_offset, section->size, sizeof(uint64_t), mark_words);
	}
}

/*
 * Marks the bytes behind which a displacement may follow: those of a call or a jump, and the ModRM byte of a lea. A
 * loop of fixed length without branches, so that compilers make vector instructions of it.
 */
static void find_displacements(const uint8_t *code, uint8_t *ret)
{
	const uint8_t *before = code - 1;

	for (size_t i = 0; i < SCAN_BYTES; i++) {
		uint8_t is_call = (code[i] & 0xfe) == 0xe8;
		uint8_t is_branch = ((code[i] & 0xf0) == 0x80) & (before[i] == 0x0f);
		uint8_t is_lea = ((code[i] & 0xc7) == 0x05) & (before[i] == 0x8d);

		ret[i] = is_call | is_branch | is_lea;
	}
}

static bool is_gap_mentioned(const struct starts_search *search, const uint8_t *code, uint64_t distance)
{
	int32_t displacement;

	memcpy(&displacement, code + 1, sizeof(displacement));
	return block_map_has(&search->blocks, distance + 5 + (uint64_t)(int64_t)displacement);
}

/*
 * Whether a function's bytes hold the distance to a gap. Very few do, and to look for such bytes takes a small part of
 * the time that decoding takes. Looks at up to SCAN_BYTES more than there are, to no harm.
 */
static bool may_mention_gap(const struct starts_search *search, const uint8_t *code, size_t size, uint64_t distance)
{
	uint8_t found[SCAN_BYTES];

	for (size_t at = 0; at < size; at += SCAN_BYTES) {
		find_displacements(code + at, found);
		for (size_t i = 0; i < SCAN_BYTES; i += sizeof(uint64_t)) {
			uint64_t bytes;

			memcpy(&bytes, found + i, sizeof(bytes));
			for (; bytes; bytes &= bytes - 1) {
				size_t place = at + i + (size_t)__builtin_ctzll(bytes) / 8;

				if (is_gap_mentioned(search, code + place, distance + place))
					return true;
			}
		}
	}
	return false;
}

/* In a file that can't be moved, code holds addresses as they are. Numbers are rarely that high. */
static void mark_constant(const struct starts_search *search, uint64_t constant)
{
	if (search->origin_addr >= FIXED_ADDR_MIN)
		mark_addr(search, constant, MARK_POINTER);
}

/* What a known function, from a distance on, says about the gaps. */
static void search_code(const struct starts_search *search, const uint8_t *code, size_t size, uint64_t distance)
{
	struct instruction instruction;
	size_t at = 0;

	if (!may_mention_gap(search, code, size, distance))
		return;
	while (at < size && instruction_decode(code + at, size - at, distance + at, &instruction)) {
		if (instruction.kind == INSTRUCTION_CONSTANT)
			mark_constant(search, instruction.target);
		else if (instruction.target)
			/* An address may also be that of a table of constants, or of a label. */
			code_gaps_mark(search->gaps, instruction.target,
				       instruction.kind == INSTRUCTION_ADDRESS ? MARK_POINTER : MARK_ENTRY);
		at += instruction.length;
	}
}

/*
 * The part of a function that is in the piece of the file in the chunk, which is read anew if it must be: functions
 * mostly lie one behind the other, so a piece serves many.
 */
static int read_function(struct starts_search *search, uint64_t start, uint64_t end, const uint8_t **ret,
			 size_t *ret_size)
{
	*ret_size = 0;
	if (start < search->chunk_start || end > search->chunk_start + search->chunk_size) {
		uint64_t file_addr = search->origin_addr + start;
		const struct object_program_header *load = object_find_load(search->object, file_addr);

		if (!load)
			return 0;
		search->chunk_start = start;
		search->chunk_size = load->file_size - (file_addr - load->file_addr);
		if (search->chunk_size > CHUNK_BYTES)
			search->chunk_size = CHUNK_BYTES;
		int err = object_read_addr(search->object, file_addr, search->chunk, search->chunk_size);

		if (err)
			return err;
	}
	if (end > search->chunk_start + search->chunk_size)
		end = search->chunk_start + search->chunk_size;
	*ret = search->chunk + (start - search->chunk_start);
	*ret_size = end - start;
	return 0;
}

static int search_functions(struct starts_search *search)
{
	uint64_t total = 0;

	for (size_t i = 0; i < search->gaps->covered.nr && total < CODE_BYTES_MAX; i++) {
		uint64_t start = search->gaps->covered.data[i] >> 32;
		uint64_t end = (uint32_t)search->gaps->covered.data[i];
		const uint8_t *code = NULL;
		size_t size;
		int err = read_function(search, start, end, &code, &size);

		if (err)
			return err;
		search_code(search, code, size, start);
		total += size;
	}
	return 0;
}

static void mark_transfer(const struct starts_search *search, const struct code_gap *gap,
			  const struct instruction *instruction, uint64_t next)
{
	bool is_inside = instruction->target - gap->start < gap->size;

	if (instruction->kind == INSTRUCTION_CONSTANT)
		mark_constant(search, instruction->target);
	else if (instruction->kind == INSTRUCTION_ADDRESS)
		code_gaps_mark(search->gaps, instruction->target, MARK_POINTER);
	else if (instruction->kind != INSTRUCTION_CALL)
		/* From elsewhere it is another function that goes on there. */
		code_gaps_mark(search->gaps, instruction->target, is_inside ? MARK_TARGET : MARK_POINTER);
	else if (instruction->target != next)
		code_gaps_mark(search->gaps, instruction->target, MARK_ENTRY);
}

static void mark_root(const struct starts_search *search, const struct code_gap *gap, uint32_t at)
{
	uint32_t size = code_root_size(search->gaps->code + gap->place + at, gap->size - at);

	if (size)
		*vector_push(&search->gaps->roots.list) =
			(struct rule_patch){.start = gap->start + at, .end = gap->start + at + size, .rule = RULE_ROOT};
}

/* Who calls or jumps where within the gaps, what follows on an end, and what can be passed over. */
static void search_gap(const struct starts_search *search, const struct code_gap *gap)
{
	const uint8_t *code = search->gaps->code + gap->place;
	uint8_t *marks = search->gaps->marks + gap->place;
	uint8_t *plain = search->gaps->plain + gap->place;
	struct instruction instruction;
	bool after_end = true;

	for (uint32_t at = 0; at < gap->size; at += instruction.length) {
		uint64_t address = gap->start + (uint64_t)at;
		uint32_t rest = gap->size - at;

		if (!instruction_decode(code + at, rest, address, &instruction) ||
		    (code[at] == 0 && (rest == 1 || code[at + 1] == 0))) {
			instruction.length = 1;
			after_end = true;
			continue;
		}
		if (instruction.lost == 1u << DWARF_RBP)
			mark_root(search, gap, at);
		if (instruction.target)
			mark_transfer(search, gap, &instruction, address + instruction.length);
		if (instruction.kind == INSTRUCTION_FILLER)
			continue;
		if (after_end)
			marks[at] |= MARK_AFTER_END;
		after_end = instruction_ends_flow(instruction.kind);
		if (instruction.kind == INSTRUCTION_OTHER && !instruction.lost)
			plain[at] = instruction.length;
	}
}

int code_starts_mark(const struct object *object, uint64_t origin_addr, struct code_gaps *gaps)
{
	if (!gaps->list.nr)
		return 0;
	_cleanup_free_ uint8_t *chunk = memory_zalloc(CHUNK_BYTES + 2 * SCAN_BYTES + 8, 1);
	struct starts_search search = {
		.object = object,
		.origin_addr = origin_addr,
		.gaps = gaps,
		.chunk = chunk + SCAN_BYTES,
	};

	for (size_t i = 0; i < gaps->list.nr; i++)
		search_gap(&search, &gaps->list.data[i]);
	search_symbols(&search);
	search_relocations(&search);
	if (gaps->size < FEW_BYTES)
		return 0;
	search_data(&search);
	block_map_init(&search.blocks, gaps);
	int err = search_functions(&search);

	free(search.blocks.bits);
	return err;
}
