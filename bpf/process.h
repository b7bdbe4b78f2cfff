/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * process.h - which process image is this, and what does the loader have to know of it?
 *
 * An image is {tgid, start of the group leader, exec id}. The first program that meets one gives it a slot number and
 * tells the loader; its mapping run is published later by the loader, or inherited at fork.
 */
#ifndef EBPROF_BPF_PROCESS_H
#define EBPROF_BPF_PROCESS_H

#include "maps.h"
#include "target.h"

/*
 * Pointers are followed by BPF_CORE_READ here and below: for each pointer that a typed load follows, newer kernels
 * search all of their type information by name while loading the program (some 5 ms each).
 */
static __always_inline struct process_id process_id_of(struct task_struct *task)
{
	struct process_id id = {
		.start_boottime_ns = task->pid == task->tgid ? task->start_boottime
							     : BPF_CORE_READ(task, group_leader, start_boottime),
		.tgid = task->tgid,
		.exec_id = (__u32)task->self_exec_id,
	};

	return id;
}

/* The same of a task that only a plain pointer is held of. */
static __always_inline struct process_id process_id_read(struct task_struct *task)
{
	struct process_id id = {
		.start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime),
		.tgid = BPF_CORE_READ(task, tgid),
		.exec_id = (__u32)BPF_CORE_READ(task, self_exec_id),
	};

	return id;
}

/* A task's number in the loader's pid namespace; 0 = it has none there. */
static __always_inline __u32 task_pid_here(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);

	for (__u32 i = 0; i < PID_LEVELS_MAX; i++) {
		struct upid number;

		if (i > level)
			break;
		if (bpf_core_read(&number, sizeof(number), &pid->numbers[i]))
			break;
		if (BPF_CORE_READ(number.ns, ns.inum) == ebprof_pidns_inode)
			return number.nr;
	}
	return 0;
}

/*
 * Until the loader has answered, an image has no table. So an exec of a listed target wakes it. On a whole host there
 * are too many for that, and most are never sampled: there a first sample does, unless another one has just done it.
 */
static __always_inline __u64 announcement_flags(enum process_origin origin, __u64 now)
{
	if (targets_are_listed())
		return origin == ORIGIN_EXEC ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
	if (origin == ORIGIN_FORK || now - ebprof_woken_ns < WAKE_AGAIN_NS)
		return BPF_RB_NO_WAKEUP;
	ebprof_woken_ns = now;
	return BPF_RB_FORCE_WAKEUP;
}

/* Tells the loader of an image. */
static __always_inline void process_announce(struct task_struct *task, const struct process_id *id,
					     const struct process_entry *entry, const struct process_id *parent_id,
					     enum process_origin origin)
{
	struct record_process record = {
		.type = RECORD_PROCESS,
		.origin = origin,
		.time_ns = bpf_ktime_get_ns(),
		.id = *id,
		.entry = *entry,
	};
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	record.pid = task_pid_here(leader);
	if (parent_id)
		record.parent = *parent_id;
	BPF_CORE_READ_INTO(&record.comm, leader, comm);
	counter_add(COUNTER_process_events, 1);
	if (ring_send(&record, sizeof(record), announcement_flags(origin, record.time_ns)))
		bpf_map_delete_elem(&ebprof_processes, id); /* the next sample announces it again */
}

/* Of an image without a run: whether the loader can look at it at all. */
static __always_inline __u32 process_first(struct task_struct *task)
{
	return task_pid_here(BPF_CORE_READ(task, group_leader)) ? 0 : FIRST_NOT_VISIBLE;
}

/* Adds an image with a new slot and the mapping run given; *entry is what the map holds then. 0 = there. */
static __always_inline int process_add(const struct process_id *id, struct process_entry *entry, bool *added)
{
	entry->slot = __sync_fetch_and_add(&ebprof_next_slot, 1);
	*added = bpf_map_update_elem(&ebprof_processes, id, entry, BPF_NOEXIST) == 0;
	if (*added)
		return 0;
	/* Another CPU was first, or the map is full. */
	struct process_entry *held = bpf_map_lookup_elem(&ebprof_processes, id);

	if (!held)
		return -1;
	*entry = *held;
	return 0;
}

#endif
