/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_entries.h - the functions described by one section of call-frame information.
 */
#ifndef EBPROF_SYMBOLIZE_CFI_ENTRIES_H
#define EBPROF_SYMBOLIZE_CFI_ENTRIES_H

#include "cfi_program.h"
#include "table.h"
#include "vector.h"

/* A section's bytes, read from the file. */
struct cfi_section {
	uint8_t *data;
	size_t size;
	bool is_debug_frame;       /* .debug_frame's variant of the format, else .eh_frame's */
	bool ends_with_terminator; /* how far the section reaches isn't known, only that its last entry is a zero */
	struct pointer_bases bases;
};

struct cfi_entries {
	const struct cfi_section *section;
	struct byte_reader reader;
	struct table cie_index;      /* offset in the section -> index in cies */
	VECTOR(struct cfi_cie) cies; /* well-formed ones */
	uint32_t nr_broken;          /* entries skipped so far */
};

/* Borrows the section. */
void cfi_entries_init(struct cfi_entries *entries, const struct cfi_section *section);
void cfi_entries_deinit(struct cfi_entries *entries);

/* The next function, borrowed from section and entries; false at the end. Malformed ones are counted and skipped. */
bool cfi_entries_next(struct cfi_entries *entries, struct cfi_fde *ret);

#endif
