/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * target.h - is this task wanted?
 *
 * Targets are processes, or single threads with -t, kept by the kernel's own numbers. A command that was started to be
 * recorded is a target from the beginning, marked as waiting for its exec, so that not one instruction of ours shows.
 */
#ifndef EBPROF_BPF_TARGET_H
#define EBPROF_BPF_TARGET_H

#include "maps.h"

static __always_inline __u32 target_key(const struct task_struct *task)
{
	return ebprof_targets_are_threads ? task->pid : task->tgid;
}

static __always_inline __u32 *target_find(const struct task_struct *task)
{
	__u32 key = target_key(task);

	return bpf_map_lookup_elem(&ebprof_targets, &key);
}

static __always_inline bool target_wanted(const struct task_struct *task)
{
	__u32 *flags = target_find(task);

	return flags && !(*flags & TARGET_AWAIT_EXEC);
}

#endif
