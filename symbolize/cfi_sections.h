/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_sections.h - the sections of a file that hold call-frame information, in memory.
 */
#ifndef EBPROF_SYMBOLIZE_CFI_SECTIONS_H
#define EBPROF_SYMBOLIZE_CFI_SECTIONS_H

#include "cfi_entries.h"
#include "object.h"

struct cfi_sections {
	VECTOR(struct cfi_section) list;
};

void cfi_sections_deinit(struct cfi_sections *sections);

/*
 * Adds .eh_frame. -ENODATA: the file has none; -EBADMSG: what names it is malformed; -E2BIG: over the ceiling; others:
 * reading failed.
 */
int cfi_sections_add_eh_frame(struct cfi_sections *sections, const struct object *object);

/*
 * Adds .debug_frame, of the file itself or else of its separate debug file. -ENODATA, also where that is unreadable;
 * -E2BIG: over the ceiling, as it is stored or unpacked.
 */
int cfi_sections_add_debug_frame(struct cfi_sections *sections, const struct object *object);

#endif
