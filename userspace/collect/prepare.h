/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare.h - the files that a command will map, known before it starts: so that its first stacks find their tables.
 *
 * These are its executable (or what a script's first line names), the dynamic linker, and the libraries that these and
 * each other need, looked for where the linker looks first. What isn't found, or is mapped later by dlopen, is met when
 * it is mapped.
 */
#ifndef EBPROF_COLLECT_PREPARE_H
#define EBPROF_COLLECT_PREPARE_H

#include "modules.h"
#include "tables.h"

/* path: a path of ours; one that leads nowhere is somebody else's to complain about. */
void prepare_executable(struct modules *modules, struct tables *tables, const char *path);

#endif
