/* SPDX-License-Identifier: Apache-2.0 */
/* symbol_table.h - the functions that a file's ELF symbols name, by address; private. */
#ifndef EBPROF_SYMBOLIZE_SYMBOL_TABLE_H
#define EBPROF_SYMBOLIZE_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "elf_file.h"

struct symbol_table;

struct symbol {
	const char *name;    /* borrowed from the ELF file or the table; ends after length bytes, not with a NUL */
	uint64_t start;	     /* file_addr in the space of the table's user */
	uint64_t end;	     /* first file_addr that it does not name */
	uint16_t length;     /* of the name: at least 1, cut; a version ("@@GLIBC_2.14") is not part of it */
	uint8_t rank;	     /* smaller is better among symbols at one address: binding and type */
	uint8_t underscores; /* leading ones, cut */
	bool sized;	     /* the file says where it ends */
};

struct symbol_table *symbol_table_create(void);
void symbol_table_destroy(struct symbol_table *table);

/*
 * Adds the functions of the file's section of that type (SHT_SYMTAB or SHT_DYNSYM). bias is what has to be subtracted
 * from the file's addresses. Names are borrowed: the file has to stay open as long as the table. Returns how many were
 * added; a broken symbol is left out, a broken section adds none.
 */
size_t symbol_table_add(struct symbol_table *table, const struct elf_file *file, uint32_t section_type, uint64_t bias);

/* Adds "memcpy@plt" for each stub of the file's procedure linkage tables. */
void symbol_table_add_plt(struct symbol_table *table, const struct elf_file *file);

/* Sorts; needed once, after the last addition and before the first look-up. */
void symbol_table_seal(struct symbol_table *table);

/* The symbol that covers file_addr, or NULL. Borrowed. */
const struct symbol *symbol_table_find(const struct symbol_table *table, uint64_t file_addr);

/* Adds one symbol by hand, with a name that is copied. */
void symbol_table_push(struct symbol_table *table, const char *name, uint64_t start, uint64_t end);

#endif
