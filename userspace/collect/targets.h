/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.h - turn what the user named into what the programs filter by.
 *
 * Processes and threads are listed: pids and tids of our namespace become the kernel's own numbers, with the help of
 * the task iterator. All, names and cgroups describe targets, each of which the programs recognise when it is sampled.
 */
#ifndef EBPROF_COLLECT_TARGETS_H
#define EBPROF_COLLECT_TARGETS_H

#include "processes.h"
#include "programs.h"
#include "session.h"

enum target_kind targets_kind(const struct session_config *config);

bool targets_are_described(const struct session_config *config);

/* Descriptions in the programs' form. */
struct targets_described {
	union target_name names[TARGET_NAMES_MAX];
	struct target_cgroup cgroups[TARGET_CGROUPS_MAX];
	uint32_t nr_names, nr_cgroups;
};
void targets_describe(const struct session_config *config, struct targets_described *ret);

/*
 * Adds every listed target of config to the programs and to processes. -ESRCH with a sentence that names the first one
 * that does not exist.
 */
int targets_add(const struct session_config *config, struct programs *programs, struct processes *processes,
		struct problem *problem);

#endif
