/* SPDX-License-Identifier: Apache-2.0 */
/* debug_info.h - what DWARF says about addresses: functions, inline chains, lines; private. */
#ifndef EBPROF_SYMBOLIZE_DEBUG_INFO_H
#define EBPROF_SYMBOLIZE_DEBUG_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_file.h"

struct debug_info;

/* Where executable bytes are; see debug_info_find(). */
struct debug_code {
	uint64_t start; /* file_addr */
	uint64_t end;
};

/* An address to look up and what is known of it so far. */
struct debug_query {
	uint64_t file_addr; /* in the space of the file that has the DWARF */
	size_t index;       /* the asker's */
	bool answered;      /* a function was found, debug_found_fn has been called */
	/* The line of an address that no function covers (assembly); borrowed as long as the debug_info. */
	const char *folder; /* NULL = file is absolute, or nothing is known of its folder */
	const char *file;
	uint32_t line;
};

/* One function of a chain; strings are borrowed as long as the debug_info, NULL = absent. */
struct debug_frame {
	const char *linkage_name; /* as the linker sees it */
	const char *name;         /* as in the source, without scopes */
	const char *folder;       /* of the unit, for a relative file */
	const char *file;
	uint32_t line;
	uint32_t start_line;
	uint64_t start; /* file_addr of its first instruction, 0 = unknown or inlined */
};

/* frames[0] is the innermost. */
typedef void (*debug_found_fn)(const struct debug_query *query, const struct debug_frame *frames, size_t nr,
			       void *context);

/*
 * file and alt (NULL: none) have to stay open as long as the result. -ENODATA: no DWARF that libdw reads
 * without risk.
 */
int debug_info_create(const struct elf_file *file, const struct elf_file *alt, struct debug_info **ret);
void debug_info_destroy(struct debug_info *info);

/*
 * queries are sorted by file_addr. found is called once for each that a function covers; the others get their line,
 * where a line table has one. code (may be NULL) are the parts of the address space that hold instructions.
 */
void debug_info_find(struct debug_info *info, const struct debug_code *code, size_t nr_code,
		     struct debug_query *queries, size_t nr, debug_found_fn found, void *context);

#endif
