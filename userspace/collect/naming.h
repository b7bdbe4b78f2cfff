/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naming.h - from stacks and counts to a profile.
 *
 * Each frame that occurs is resolved once: file frames of a module together, in one call of the reader; kernel frames
 * by kallsyms; raw pcs by the mappings of their process; pseudo-frames by their reason. Then every count becomes a
 * sample: kernel frames first (the leaf side), user frames below, labels from the process and the key.
 */
#ifndef EBPROF_COLLECT_NAMING_H
#define EBPROF_COLLECT_NAMING_H

#include <stdbool.h>
#include <stdint.h>

#include "labels.h"
#include "modules.h"
#include "processes.h"
#include "profile.h"
#include "reader.h"
#include "store.h"

struct naming_config {
	bool is_host;    /* of no process in particular */
	uint64_t period; /* what one sample is worth, in the unit of the second sample type */
	struct labels_config labels;
};

struct naming_stats {
	uint64_t nr_stack_lost;     /* samples whose body never came */
	uint64_t nr_frames_unnamed; /* distinct user frames without a function */
	uint64_t nr_kernel_unnamed;
};

/*
 * Adds samples to profile, whose sample types are set: samples, then period each. modules, processes and store are only
 * read.
 */
void naming_build(const struct naming_config *config, struct reader *reader, const struct modules *modules,
		  const struct processes *processes, const struct store *store, struct profile *profile,
		  struct naming_stats *ret);

#endif
