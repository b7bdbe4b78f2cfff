/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * target.h - is this task wanted?
 *
 * Targets are either listed or described. Listed are processes, or single threads with -t, kept by the kernel's own
 * numbers: a child joins the list at fork. A command that was started to be recorded is listed from the beginning,
 * marked as waiting for its exec, so that not one instruction of ours shows. Described are all tasks, those of a name
 * and those of a cgroup: each tick looks at its task, and a process that has no tick costs nothing here.
 */
#ifndef EBPROF_BPF_TARGET_H
#define EBPROF_BPF_TARGET_H

#include "maps.h"

static __always_inline bool targets_are_threads(void)
{
	return ebprof_target_kind == TARGET_THREADS;
}

static __always_inline bool targets_are_listed(void)
{
	return ebprof_target_kind == TARGET_PROCESSES || ebprof_target_kind == TARGET_THREADS;
}

static __always_inline __u32 target_key(const struct task_struct *task)
{
	return targets_are_threads() ? task->pid : task->tgid;
}

static __always_inline __u32 *target_find(const struct task_struct *task)
{
	__u32 key = target_key(task);

	return bpf_map_lookup_elem(&ebprof_targets, &key);
}

/* The process's name is its group leader's. */
static __always_inline bool target_is_named(const struct task_struct *task)
{
	union target_name name;

	if (BPF_CORE_READ_INTO(&name.text, task, group_leader, comm))
		return false;
	for (__u32 i = 0; i < TARGET_NAMES_MAX && i < ebprof_nr_target_names; i++) {
		if (name.words[0] == ebprof_target_names[i].words[0] &&
		    name.words[1] == ebprof_target_names[i].words[1])
			return true;
	}
	return false;
}

/* Of the running task. */
static __always_inline bool target_is_in_cgroup(void)
{
	for (__u32 i = 0; i < TARGET_CGROUPS_MAX && i < ebprof_nr_target_cgroups; i++) {
		if (bpf_get_current_ancestor_cgroup_id((int)ebprof_target_cgroups[i].level) ==
		    ebprof_target_cgroups[i].id)
			return true;
	}
	return false;
}

/* Of the running task. */
static __always_inline bool target_wanted(const struct task_struct *task)
{
	if (ebprof_target_kind == TARGET_ALL)
		return true;
	if (ebprof_target_kind == TARGET_NAMED)
		return target_is_named(task);
	if (ebprof_target_kind == TARGET_CGROUPS)
		return target_is_in_cgroup();
	__u32 *flags = target_find(task);

	return flags && !(*flags & TARGET_AWAIT_EXEC);
}

#endif
