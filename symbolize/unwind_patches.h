/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_patches.h - code whose frames are known without call-frame information, or in spite of it.
 */
#ifndef EBPROF_SYMBOLIZE_UNWIND_PATCHES_H
#define EBPROF_SYMBOLIZE_UNWIND_PATCHES_H

#include "object.h"
#include "unwind_rows.h"

/*
 * Adds the file's signal trampolines and its entry point, as distances from origin_addr, a file_addr not above any
 * segment. ranges and rows are the functions found so far. 0, or an error from reading.
 */
int unwind_patches_find(const struct object *object, uint64_t origin_addr, const struct row_ranges *ranges,
			const struct rule_rows *rows, struct rule_patches *patches);

#endif
