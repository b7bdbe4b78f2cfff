/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind.h - compile a file's call-frame information into rows (bpf/rows.h).
 *
 * Source: .eh_frame, found through PT_GNU_EH_FRAME (so it works without section headers), in its own CIE/FDE
 * interpreter; .debug_frame where .eh_frame has next to nothing. Format: LSB Core "Exception Frames", DWARF 5
 * section 6.4.
 */
#ifndef EBPROF_SYMBOLIZE_UNWIND_H
#define EBPROF_SYMBOLIZE_UNWIND_H

#include "object.h"

/*
 * -ENODATA: the file has no call-frame information; -EBADMSG: its index or sections are malformed beyond use;
 * -E2BIG: over a ceiling (text span 4 GiB, 64 Mi rows). A malformed FDE costs that FDE.
 */
int unwind_table_compile(struct object *object, enum table_effort effort, struct unwind_table **ret);
void unwind_table_destroy(struct unwind_table *table);

/* The rule at a module offset (RULE_NONE outside the table): the reference for the kernel's own search. */
const struct unwind_rule *unwind_table_find(const struct unwind_table *table, uint64_t offset);

#endif
