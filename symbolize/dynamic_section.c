/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamic_section.c - what a file tells the dynamic linker: which libraries it needs, and where they may be (System V
 * ABI, "Dynamic Section").
 *
 * Only the first of each kind of entry counts, and DT_RUNPATH more than the older DT_RPATH. Strings are found by the
 * address of their table, which a file without section headers has as well.
 */
#include "dynamic_section.h"

#include <elf.h>
#include <string.h>

#include "memory.h"

enum {
	ENTRIES_MAX = 1024, /* looked at */
	LIBRARY_NAME_MAX = 256,
};

/* Places in the table of strings; 0 = none. */
struct places {
	uint64_t strings_addr, strings_size;
	uint64_t runpath, rpath;
};

/* A string of the table, cut to size_bytes with its 0; false = there is none. */
static bool read_string(const struct object *object, const struct places *places, uint64_t place, char *ret,
			size_t size_bytes)
{
	if (place >= places->strings_size)
		return false;
	uint64_t left = places->strings_size - place;
	size_t size = left < size_bytes ? (size_t)left : size_bytes;

	return object_read_addr(object, places->strings_addr + place, ret, size) == 0 && memchr(ret, '\0', size);
}

static void add_needed(const struct object *object, const struct places *places, uint64_t place,
		       struct needed_libraries *ret)
{
	char name[LIBRARY_NAME_MAX];

	if (!read_string(object, places, place, name, sizeof(name)) || !name[0])
		return;
	size_t size = strlen(name) + 1;

	/* The list ends in an empty name. */
	if (ret->size_bytes + size >= sizeof(ret->names))
		return;
	memcpy(ret->names + ret->size_bytes, name, size);
	ret->size_bytes += (uint32_t)size;
}

static size_t read_entries(const struct object *object, Elf64_Dyn *entries)
{
	const struct object_program_header *header = object_find_header(object, PT_DYNAMIC);
	uint64_t size = header ? header->file_size : 0;
	size_t nr = 0;

	if (!object_info(object)->is_64bit_x86)
		return 0;
	if (size > ENTRIES_MAX * sizeof(*entries))
		size = ENTRIES_MAX * sizeof(*entries);
	if (size < sizeof(*entries) ||
	    object_read(object, header->file_offset, entries, size / sizeof(*entries) * sizeof(*entries)))
		return 0;
	while (nr < size / sizeof(*entries) && entries[nr].d_tag != DT_NULL)
		nr++;
	return nr;
}

static void set_first(uint64_t *place, uint64_t value)
{
	if (!*place)
		*place = value;
}

void dynamic_section_read(const struct object *object, struct dynamic_section *ret)
{
	_cleanup_free_ Elf64_Dyn *entries = memory_new_array(Elf64_Dyn, ENTRIES_MAX);
	size_t nr = read_entries(object, entries);
	struct places places = {0};
	uint64_t flags = 0;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < nr; i++) {
		uint64_t value = entries[i].d_un.d_val;

		switch (entries[i].d_tag) {
		case DT_STRTAB:
			set_first(&places.strings_addr, value);
			break;
		case DT_STRSZ:
			set_first(&places.strings_size, value);
			break;
		case DT_RUNPATH:
			set_first(&places.runpath, value);
			break;
		case DT_RPATH:
			set_first(&places.rpath, value);
			break;
		case DT_FLAGS_1:
			set_first(&flags, value);
			break;
		}
	}
	ret->is_pie = flags & DF_1_PIE;
	for (size_t i = 0; i < nr; i++)
		if (entries[i].d_tag == DT_NEEDED)
			add_needed(object, &places, entries[i].d_un.d_val, &ret->needed);
	uint64_t path = places.runpath ? places.runpath : places.rpath;

	if (!path || !read_string(object, &places, path, ret->needed.path, sizeof(ret->needed.path)))
		memset(ret->needed.path, 0, sizeof(ret->needed.path));
}
