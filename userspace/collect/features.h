/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.h - what the running kernel lets a recording do, found by trying.
 *
 * Everything that is made for a try is gone when it returns, and no clock is started.
 */
#ifndef EBPROF_COLLECT_FEATURES_H
#define EBPROF_COLLECT_FEATURES_H

#include "message.h"

enum feature {
	FEATURE_PROGRAMS,            /* BPF programs can be loaded at all */
	FEATURE_JIT,                 /* and become machine code */
	FEATURE_RING,                /* ring buffers */
	FEATURE_LOOP,                /* bpf_loop: the walker's loops */
	FEATURE_HELPERS,             /* the other calls that the programs make */
	FEATURE_KERNEL_READS,        /* programs may read kernel memory */
	FEATURE_BATCHES,             /* a map's entries in one call */
	FEATURE_CGROUP_IDS,          /* which cgroup a sample is of */
	FEATURE_TASKS,               /* an iterator over all tasks */
	FEATURE_PROCESS_TRACEPOINTS, /* fork, exec, exit */
	FEATURE_MAPPING_TRACEPOINT,  /* ma_write: a mapping changed */
	FEATURE_MAPPING_RECORDS,     /* a ring of them on each CPU */
	FEATURE_BUILD_IDS,           /* in these records */
	FEATURE_LOST_COUNTS,         /* of records that did not fit */
	FEATURE_CLOCK,               /* a timer on each CPU that runs a program */
	FEATURE_CYCLES,              /* the same by the cycle counter */
	FEATURE_UPROBES,
	FEATURE_UPROBES_MULTI,  /* many in one call */
	FEATURE_MAP_ACCOUNTING, /* maps are charged to the memory cgroup rather than to RLIMIT_MEMLOCK */
	NR_FEATURES,
};

/*
 * 0: it is there. -EOPNOTSUPP: the kernel or the machine doesn't have it. -EPERM: this process may not have it, so
 * nothing is known. Others as the kernel gave them. *problem is the reason where more can be said than that, else "".
 */
int feature_probe(enum feature feature, struct problem *problem);

#endif
