/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - from addresses in a file to functions, source files, lines and inline chains.
 */
#ifndef EBPROF_SYMBOLIZE_NAMES_H
#define EBPROF_SYMBOLIZE_NAMES_H

#include "object.h"

/*
 * Calls found once for every address, in any order. addrs are file_addrs that lie *inside* the instruction meant
 * (a return address has been lowered by one already). Returns 0 also when nothing was found; negative errno when the
 * file could not be read at all. status may be NULL.
 */
int names_find(struct object *object, const uint64_t *addrs, size_t nr, names_found_fn found, void *context,
	       struct names_status *status);

#endif
