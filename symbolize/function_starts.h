/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function_starts.h - where functions begin in a file that has no symbols for them.
 *
 * Call-frame information survives stripping, and its search table (PT_GNU_EH_FRAME; LSB Core, "Exception Frames") lists
 * the first address of every function. So the samples of a nameless function can at least be told from its neighbours'.
 */
#ifndef EBPROF_SYMBOLIZE_FUNCTION_STARTS_H
#define EBPROF_SYMBOLIZE_FUNCTION_STARTS_H

#include "object.h"

/*
 * For each file_addr the first address of the function that covers it, 0 where none is known to. -ENODATA: the file has
 * no search table of the usual form; others: reading failed.
 */
int function_starts_find(const struct object *object, const uint64_t *addrs, size_t nr, uint64_t *starts_ret);

#endif
