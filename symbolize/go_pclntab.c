/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_pclntab.c - finds and reads the function table of Go programs.
 *
 * Go's linker gives the table a section of its own, ".gopclntab"; where the C linker had the last word on a
 * position-independent program, it is somewhere in ".data.rel.ro"; without section headers somewhere in the loaded
 * data. Then all aligned places are tried, and a header is believed if everything in it fits.
 *
 * Since Go 1.18 entries count from the start of Go's code. The header has that address, but it is 0 in files in which
 * the dynamic linker fills it in and in those of Go 1.26 and later. So it is looked for: runtime.goexit, the bottom of
 * every goroutine, is "nop; call runtime.goexit1; nop", and how far the call goes is known from the table. Only a
 * place with exactly these bytes agrees with the table, so a header that says something else is not believed either.
 */
#include "go_pclntab.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "memory.h"
#include "object_private.h"

enum {
	TABLE_MAX_BYTES = 512 << 20,
	SCAN_MAX_BYTES = 1 << 30,
	CODE_MAX_BYTES = 1 << 30,
	CHUNK_BYTES = 1 << 20,
	HEADER_MAX_BYTES = 72,
	HEADER_ALIGN = 8,
	FUNCTIONS_MAX = 8 << 20,
	POINTER_BYTES = 8,
	CALLEES_MAX = 4, /* functions of the name runtime.goexit1: one per calling convention */
	GOEXIT_BYTES = 7,
};

struct header {
	enum go_version version;
	uint8_t quantum;
	uint64_t nr_functions;
	uint64_t text_addr;
	uint64_t names, values, functions; /* offsets from the table's start */
};

/* Decodes and checks what can be checked without the table: offsets against size. */
static bool read_header(const uint8_t *bytes, size_t size_bytes, uint64_t table_size, struct header *ret)
{
	static const uint32_t magic[] = {
		[GO_1_2] = 0xfffffffb, [GO_1_16] = 0xfffffffa, [GO_1_18] = 0xfffffff0, [GO_1_20] = 0xfffffff1};
	struct byte_reader reader = byte_reader_init(bytes, size_bytes);
	uint32_t found = read_u32(&reader);
	uint16_t zero = read_u16(&reader);
	size_t version = 0;

	while (version < ARRAY_SIZE(magic) && magic[version] != found)
		version++;
	*ret = (struct header){.version = (enum go_version)version, .quantum = read_u8(&reader)};
	/* x86-64: instructions of any length, pointers of 8 bytes. */
	if (version == ARRAY_SIZE(magic) || zero || ret->quantum != 1 || read_u8(&reader) != POINTER_BYTES)
		return false;
	ret->nr_functions = read_u64(&reader);
	if (version > GO_1_2) {
		read_u64(&reader); /* number of files */
		ret->text_addr = version >= GO_1_18 ? read_u64(&reader) : 0;
		ret->names = read_u64(&reader);
		read_u64(&reader); /* units */
		read_u64(&reader); /* files */
		ret->values = read_u64(&reader);
		ret->functions = read_u64(&reader);
	}
	uint64_t entry_size = version >= GO_1_18 ? 8 : 16;

	return !reader.failed && ret->nr_functions && ret->nr_functions <= FUNCTIONS_MAX && ret->names < table_size &&
	       ret->values < table_size && ret->functions < table_size &&
	       ret->nr_functions < (table_size - ret->functions) / entry_size;
}

/* --- finding the table ----------------------------------------------------------------------------------------------
 */

struct place {
	uint64_t file_offset;
	uint64_t size; /* up to the end of whatever the table is in */
};

static bool is_table(const struct object *object, const struct place *place)
{
	uint8_t bytes[HEADER_MAX_BYTES];
	struct header header;

	return place->size >= sizeof(bytes) && object_read(object, place->file_offset, bytes, sizeof(bytes)) == 0 &&
	       read_header(bytes, sizeof(bytes), place->size, &header);
}

/* Looks for a header within a part of the file. */
static bool scan(const struct object *object, struct place part, struct place *ret)
{
	_cleanup_free_ uint8_t *chunk = memory_zalloc(CHUNK_BYTES, 1);

	if (part.file_offset >= object_file_size(object))
		return false;
	if (part.size > object_file_size(object) - part.file_offset)
		part.size = object_file_size(object) - part.file_offset;
	for (uint64_t done = 0; done + HEADER_MAX_BYTES <= part.size; done += CHUNK_BYTES) {
		uint64_t rest = part.size - done;
		size_t size = rest < CHUNK_BYTES ? rest : CHUNK_BYTES;

		if (object_read(object, part.file_offset + done, chunk, size))
			return false;
		for (size_t at = 0; at + HEADER_ALIGN <= size; at += HEADER_ALIGN) {
			/* All magic numbers look like this, in the order of memory: ?? ff ff ff 00 00 01 08. */
			if (memcmp(chunk + at + 1, "\xff\xff\xff\x00\x00\x01\x08", 7) != 0)
				continue;
			*ret = (struct place){.file_offset = part.file_offset + done + at, .size = rest - at};
			if (is_table(object, ret))
				return true;
		}
	}
	return false;
}

static bool find_by_name(const struct object *object, struct place *ret)
{
	static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct object_section *section = object_find_section(object, names[i], NULL);

		if (!section || section->type == SHT_NOBITS || section->flags & SHF_COMPRESSED)
			continue;
		*ret = (struct place){.file_offset = section->file_offset, .size = section->size};
		if (is_table(object, ret))
			return true;
	}
	return false;
}

static bool find_place(const struct object *object, struct place *ret)
{
	if (find_by_name(object, ret))
		return true;
	const struct object_section *data = object_find_section(object, ".data.rel.ro", NULL);
	bool is_go = object_find_section(object, ".note.go.buildid", NULL) ||
		     object_find_section(object, ".go.buildinfo", NULL);

	if (data && is_go) {
		struct place part = {.file_offset = data->file_offset, .size = data->size};

		return part.size <= SCAN_MAX_BYTES && data->type != SHT_NOBITS && scan(object, part, ret);
	}
	if (object_has_sections(object))
		return false;
	const struct object_program_header *load = NULL;

	while ((load = object_next_header(object, PT_LOAD, load))) {
		struct place part = {.file_offset = load->file_offset, .size = load->file_size};

		if (!(load->flags & PF_X) && part.size <= SCAN_MAX_BYTES && scan(object, part, ret))
			return true;
	}
	return false;
}

/* --- the table ------------------------------------------------------------------------------------------------------
 */

static struct go_bytes part_of(const struct go_bytes *all, uint64_t offset)
{
	return (struct go_bytes){.data = all->data + offset, .size = all->size - offset};
}

static int read_table(const struct object *object, const struct place *place, struct go_pclntab *table)
{
	struct header header;

	if (place->size > object_file_size(object))
		return -ENODATA;
	if (place->size > TABLE_MAX_BYTES)
		return -E2BIG;
	uint8_t *data = memory_zalloc(place->size, 1);

	table->all = (struct go_bytes){.data = data, .size = place->size};
	int err = object_read(object, place->file_offset, data, place->size);

	if (err)
		return err;
	/* Once more: the file may have changed. */
	if (!read_header(data, place->size, place->size, &header))
		return -ENODATA;
	table->version = header.version;
	table->quantum = header.quantum;
	table->nr_functions = (uint32_t)header.nr_functions;
	table->text_addr = header.text_addr;
	table->functions = part_of(&table->all, header.functions);
	table->names = part_of(&table->all, header.names);
	table->values = part_of(&table->all, header.values);
	table->list = part_of(&table->functions, header.version == GO_1_2 ? 16 : 0);
	return 0;
}

/* An entry of the list; the one behind the last is where the last one ends. */
static uint64_t list_entry(const struct go_pclntab *table, uint32_t index, uint64_t *ret_description)
{
	size_t width = table->version >= GO_1_18 ? 4 : 8;
	struct byte_reader reader = byte_reader_init(table->list.data, table->list.size);

	read_skip(&reader, (uint64_t)index * 2 * width);
	if (width == 8) {
		uint64_t start = read_u64(&reader);

		*ret_description = read_u64(&reader);
		return start;
	}
	uint64_t start = table->text_addr + read_u32(&reader);

	*ret_description = read_u32(&reader);
	return start;
}

static const char *name_at(const struct go_pclntab *table, uint32_t offset)
{
	if (offset >= table->names.size || !memchr(table->names.data + offset, 0, table->names.size - offset))
		return NULL;
	return (const char *)table->names.data + offset;
}

bool go_pclntab_function(const struct go_pclntab *table, uint32_t index, struct go_function *ret)
{
	uint64_t description, unused;
	struct byte_reader reader = byte_reader_init(table->functions.data, table->functions.size);

	*ret = (struct go_function){.start = list_entry(table, index, &description)};
	ret->end = list_entry(table, index + 1, &unused);
	read_skip(&reader, description);
	read_skip(&reader, table->version >= GO_1_18 ? 4 : 8); /* the entry again */
	ret->name = name_at(table, read_u32(&reader));
	read_skip(&reader, 8); /* size of arguments, deferreturn */
	ret->deltas = read_u32(&reader);
	if (table->version > GO_1_2) {
		/* files, lines, number of further values, unit, and since 1.20 the first line */
		read_skip(&reader, table->version >= GO_1_20 ? 20 : 16);
		read_u8(&reader); /* which of the special functions it is: the numbers differ between releases */
		ret->flags = read_u8(&reader);
	}
	return !reader.failed && ret->name && ret->start < ret->end;
}

void go_values_init(struct go_values *values, const struct go_pclntab *table, const struct go_function *function,
		    uint32_t place)
{
	*values = (struct go_values){
		.reader = byte_reader_init(table->values.data, table->values.size),
		.quantum = table->quantum,
		.start = function->start,
		.end = function->start,
		.limit = function->end,
		.value = UINT32_MAX,
	};
	read_skip(&values->reader, place);
}

bool go_values_next(struct go_values *values)
{
	bool is_first = values->end == values->start;
	uint64_t change = read_uleb(&values->reader);

	/* Pairs {how the value changes, for how long it holds}; a value that doesn't change ends them. */
	if (values->reader.failed || (!change && !is_first) || values->end == values->limit)
		return false;
	uint64_t length = read_uleb(&values->reader) * values->quantum;

	if (values->reader.failed || !length || length > values->limit - values->end) {
		reader_fail(&values->reader);
		return false;
	}
	values->value += (uint32_t)(change & 1 ? ~(change >> 1) : change >> 1);
	values->start = values->end;
	values->end += length;
	return true;
}

/* --- where the code is ----------------------------------------------------------------------------------------------
 */

/* The bytes of runtime.goexit, one variant per function that it may call. */
struct goexit {
	uint64_t start; /* distance from text_addr, or file_addr before 1.18 */
	size_t nr;
	uint8_t code[CALLEES_MAX][GOEXIT_BYTES];
};

static void goexit_add(struct goexit *goexit, uint64_t callee)
{
	uint32_t distance = (uint32_t)(callee - (goexit->start + GOEXIT_BYTES - 1));
	uint8_t *code = goexit->code[goexit->nr++];

	code[0] = 0x90;
	code[1] = 0xe8;
	memcpy(code + 2, &distance, sizeof(distance));
	code[6] = 0x90;
}

static bool find_goexit(const struct go_pclntab *table, struct goexit *ret)
{
	uint64_t callees[CALLEES_MAX];
	size_t nr_callees = 0;
	bool found = false;

	for (uint32_t i = 0; i < table->nr_functions; i++) {
		struct go_function function;

		if (!go_pclntab_function(table, i, &function) || strncmp(function.name, "runtime.goexit", 14) != 0)
			continue;
		uint64_t start = table->version >= GO_1_18 ? function.start - table->text_addr : function.start;

		if (!function.name[14]) {
			ret->start = start;
			found = true;
		} else if (strcmp(function.name + 14, "1") == 0 && nr_callees < CALLEES_MAX) {
			callees[nr_callees++] = start;
		}
	}
	for (size_t i = 0; i < nr_callees; i++)
		goexit_add(ret, callees[i]);
	return found && nr_callees;
}

/* Whether that is what is at this address. */
static bool is_goexit(const struct object *object, const struct goexit *goexit, uint64_t file_addr)
{
	uint8_t code[GOEXIT_BYTES];

	if (object_read_addr(object, file_addr, code, sizeof(code)))
		return false;
	for (size_t i = 0; i < goexit->nr; i++)
		if (memcmp(goexit->code[i], code, sizeof(code)) == 0)
			return true;
	return false;
}

/* Looks for runtime.goexit in a segment; its distance from the segment's start, or -1. */
static int64_t search_segment(const struct object *object, const struct object_segment *segment,
			      const struct goexit *goexit)
{
	_cleanup_free_ uint8_t *chunk = memory_zalloc(CHUNK_BYTES, 1);

	if (segment->file_size > CODE_MAX_BYTES)
		return -1;
	for (uint64_t at = 0; segment->file_size - at >= GOEXIT_BYTES; at += CHUNK_BYTES - GOEXIT_BYTES) {
		uint64_t rest = segment->file_size - at;
		size_t size = rest < CHUNK_BYTES ? rest : CHUNK_BYTES;

		if (object_read(object, segment->file_offset + at, chunk, size))
			return -1;
		for (size_t i = 0; i < goexit->nr; i++) {
			const uint8_t *found = memmem(chunk, size, goexit->code[i], GOEXIT_BYTES);

			if (found)
				return (int64_t)(at + (uint64_t)(found - chunk));
		}
		if (size == rest)
			break;
	}
	return -1;
}

static int find_text(const struct object *object, struct go_pclntab *table)
{
	const struct object_info *info = object_info(object);
	struct goexit goexit = {0};

	if (!find_goexit(table, &goexit))
		return -ENODATA;
	if (is_goexit(object, &goexit, table->text_addr + goexit.start))
		return 0;
	for (uint32_t i = 0; table->version >= GO_1_18 && i < info->nr_segments; i++) {
		int64_t at = search_segment(object, &info->segments[i], &goexit);

		if (at >= 0) {
			table->text_addr = info->segments[i].file_addr + (uint64_t)at - goexit.start;
			return 0;
		}
	}
	return -ENODATA;
}

int go_pclntab_create(const struct object *object, struct go_pclntab **ret)
{
	struct place place;

	if (!object_info(object)->is_64bit_x86 || !find_place(object, &place))
		return -ENODATA;
	struct go_pclntab *table = memory_new(struct go_pclntab);
	int err = read_table(object, &place, table);

	if (!err)
		err = find_text(object, table);
	if (err) {
		go_pclntab_destroy(table);
		return err;
	}
	*ret = table;
	return 0;
}

void go_pclntab_destroy(struct go_pclntab *table)
{
	if (!table)
		return;
	free((void *)table->all.data);
	free(table);
}
