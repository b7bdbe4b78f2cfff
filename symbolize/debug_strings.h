/* SPDX-License-Identifier: Apache-2.0 */
/* debug_strings.h - strings of DWARF that are known to end; private. */
#ifndef EBPROF_SYMBOLIZE_DEBUG_STRINGS_H
#define EBPROF_SYMBOLIZE_DEBUG_STRINGS_H

#include <elfutils/libdw.h>

#include "elf_file.h"
#include "vector.h"

struct debug_section {
	const char *start;
	const char *end;
};

/* Sections that strings may be in. Zeroed = none. */
struct debug_strings {
	VECTOR(struct debug_section) sections;
};

/* After libdw has opened the file, and so has unpacked it. -EBADMSG: strings in it need not end. */
int debug_strings_add(struct debug_strings *strings, const struct elf_file *file);
void debug_strings_deinit(struct debug_strings *strings);

/* The attribute's string; NULL when it has none that ends. The attribute may be NULL. */
const char *debug_string(const struct debug_strings *strings, Dwarf_Attribute *attribute);

/* Whether libdw may be asked for the lines and files of this unit: it measures the name of the unit's folder. */
bool debug_strings_allow_lines(const struct debug_strings *strings, Dwarf_Die *unit);

#endif
