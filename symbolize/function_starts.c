/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function_starts.c - binary search in .eh_frame_hdr.
 *
 * Linkers write its table in one form: pairs of 32-bit offsets from the table's section, {function, FDE}, sorted. Other
 * forms are left alone. A function's extent is not in the table but in the FDE, behind two words; compilers write both
 * ends of it as 32-bit values relative to their place, and that this is so here shows when the begin agrees with the
 * table.
 */
#include "function_starts.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "memory.h"
#include "object_private.h"
#include "sorted.h"

enum {
	HEADER_BYTES = 12, /* version, three encodings, pointer to .eh_frame, number of entries */
	ENCODING_SDATA4_PCREL = 0x1b,
	ENCODING_UDATA4 = 0x03,
	ENCODING_SDATA4_DATAREL = 0x3b,
	ENTRIES_MAX = 8 << 20,
};

struct start_entry {
	int32_t function; /* relative to the header's address */
	int32_t fde;
};

struct start_table {
	uint64_t header_addr;
	struct start_entry *entries;
	size_t nr;
};

static int table_read(const struct object *object, struct start_table *ret)
{
	const struct object_program_header *header = object_find_header(object, PT_GNU_EH_FRAME);
	uint8_t head[HEADER_BYTES];
	uint32_t nr;

	if (!header || header->file_size < HEADER_BYTES)
		return -ENODATA;
	int error = object_read(object, header->file_offset, head, sizeof(head));

	if (error)
		return error;
	memcpy(&nr, head + 8, sizeof(nr));
	if (head[0] != 1 || head[1] != ENCODING_SDATA4_PCREL || head[2] != ENCODING_UDATA4 ||
	    head[3] != ENCODING_SDATA4_DATAREL || !nr || nr > ENTRIES_MAX ||
	    nr > (header->file_size - HEADER_BYTES) / sizeof(struct start_entry))
		return -ENODATA;
	struct start_entry *entries = memory_new_array(struct start_entry, nr);

	error = object_read(object, header->file_offset + HEADER_BYTES, entries, nr * sizeof(*entries));
	if (error) {
		free(entries);
		return error;
	}
	*ret = (struct start_table){.header_addr = header->file_addr, .entries = entries, .nr = nr};
	return 0;
}

/* The last entry at or below addr; NULL = all are above. */
static const struct start_entry *table_search(const struct start_table *table, uint64_t addr)
{
	size_t nr =
		sorted_front(table->nr, i, table->header_addr + (uint64_t)(int64_t)table->entries[i].function <= addr);

	return nr ? &table->entries[nr - 1] : NULL;
}

static uint64_t function_start(const struct object *object, const struct start_table *table, uint64_t addr)
{
	const struct start_entry *entry = table_search(table, addr);
	struct {
		uint32_t length, cie;
		int32_t begin;
		uint32_t size;
	} fde;

	if (!entry)
		return 0;
	uint64_t start = table->header_addr + (uint64_t)(int64_t)entry->function;
	uint64_t fde_addr = table->header_addr + (uint64_t)(int64_t)entry->fde;

	if (object_read_addr(object, fde_addr, &fde, sizeof(fde)))
		return 0;
	uint64_t begin = fde_addr + offsetof(__typeof__(fde), begin) + (uint64_t)(int64_t)fde.begin;

	return begin == start && addr - start < fde.size ? start : 0;
}

int function_starts_find(const struct object *object, const uint64_t *addrs, size_t nr, uint64_t *starts_ret)
{
	struct start_table table;
	int error = table_read(object, &table);

	if (error)
		return error;
	for (size_t i = 0; i < nr; i++)
		starts_ret[i] = function_start(object, &table, addrs[i]);
	free(table.entries);
	return 0;
}
