/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.h - turn what the user named (pids and tids of our namespace) into what the programs filter by (the kernel's
 * own numbers), with the help of the task iterator.
 */
#ifndef EBPROF_COLLECT_TARGETS_H
#define EBPROF_COLLECT_TARGETS_H

#include "processes.h"
#include "programs.h"
#include "session.h"

/*
 * Adds every target of config to the programs and to processes. -ESRCH with a sentence that names the first one that
 * does not exist.
 */
int targets_add(const struct session_config *config, struct programs *programs, struct processes *processes,
		struct problem *problem);

#endif
