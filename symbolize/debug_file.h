/* SPDX-License-Identifier: Apache-2.0 */
/* debug_file.h - the files that hold what was taken out of an object: separate debug file, shared part, packed symbols.
 */
#ifndef EBPROF_SYMBOLIZE_DEBUG_FILE_H
#define EBPROF_SYMBOLIZE_DEBUG_FILE_H

#include "elf_file.h"
#include "object_private.h"

/* The separate debug file: by build-id, then by .gnu_debuglink of main. -ENOENT: none, or none that proves to belong.
 */
int debug_file_open(const struct object *object, const struct elf_file *main, struct elf_file *ret);

/*
 * The alternate file that dwz moved common parts of file's DWARF to (.gnu_debugaltlink). -ENODATA: file needs none;
 * -ENOENT: it needs one that is not to be had.
 */
int debug_file_open_alt(const struct object *object, const struct elf_file *file, struct elf_file *ret);

/* The ELF file in .gnu_debugdata, unpacked. -ENODATA: there is none; -EBADMSG, -E2BIG: it is broken or too large. */
int debug_file_unpack_symbols(const struct elf_file *main, struct elf_file *ret);

/* What to add to a file_addr of main to find the same code in file: not 0 where one of them has been prelinked. */
uint64_t debug_file_bias(const struct elf_file *file, const struct elf_file *main);

#endif
