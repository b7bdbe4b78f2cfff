/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels.h - whose sample it is, as the profile says it: numbers (pid, tid, cpu) and texts (comm, thread, cgroup, the
 * container and the systemd unit that the cgroup's path names).
 */
#ifndef EBPROF_COLLECT_LABELS_H
#define EBPROF_COLLECT_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "cgroups.h"
#include "processes.h"
#include "profile.h"
#include "sample.h"

struct labels_config {
	struct session_labels wanted;
	const struct cgroups *cgroups; /* borrowed; NULL unless labels_want_cgroup() */
};

/* Whether samples have to carry their cgroup. */
static inline bool labels_want_cgroup(const struct session_labels *wanted)
{
	return wanted->cgroup || wanted->container || wanted->unit;
}

/* Fills labels, of PROFILE_LABELS_MAX, and returns their number. process: NULL = unknown. */
uint32_t labels_make(const struct labels_config *config, const struct process *process, const struct count_key *key,
		     struct profile *profile, struct profile_label *labels);

#endif
