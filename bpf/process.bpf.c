/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * process.bpf.c - the life of processes: what runs already (a task iterator), fork, exec and exit of targets from then
 * on, and where they map code. Listed targets are extended and closed here, in the kernel, so that no child is missed
 * however short it lives. Where targets are described, only processes that were sampled are followed: of all others the
 * loader hears from the side band.
 */
#include "process.h"
#include "target.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 ebprof_target_kind;
const volatile union target_name ebprof_target_names[TARGET_NAMES_MAX];
const volatile struct target_cgroup ebprof_target_cgroups[TARGET_CGROUPS_MAX];
const volatile __u32 ebprof_nr_target_names;
const volatile __u32 ebprof_nr_target_cgroups;
const volatile bool ebprof_with_children = true;
const volatile __u32 ebprof_pidns_inode;
__u32 ebprof_next_slot;
__s32 ebprof_nr_targets;
__u64 ebprof_fresh_ns;
__u64 ebprof_woken_ns;

struct ebprof_fresh ebprof_fresh SEC(".maps");
struct ebprof_targets ebprof_targets SEC(".maps");
struct ebprof_processes ebprof_processes SEC(".maps");
struct ebprof_ring ebprof_ring SEC(".maps");
struct ebprof_counters ebprof_counters SEC(".maps");

SEC("iter/task")
int ebprof_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	struct task_entry entry = {
		.id = process_id_of(task),
		.pid = task_pid_here(BPF_CORE_READ(task, group_leader)),
		.tid = task->pid,
		.ns_tid = task_pid_here(task),
		.flags = (task->flags & PF_KTHREAD ? TASK_IS_KTHREAD : 0) |
			 (BPF_CORE_READ(task, signal, live.counter) == 0 ? TASK_IS_EXITING : 0),
	};

	BPF_CORE_READ_INTO(&entry.comm, task, group_leader, comm);
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

/* What the loader doesn't know yet of the parent's mappings, it doesn't know of the child's. */
static __always_inline void inherit_fresh(const struct process_entry *parent, const struct process_entry *child)
{
	__u32 from = parent->slot % FRESH_CODES, to = child->slot % FRESH_CODES;
	const struct fresh_code *held = bpf_map_lookup_elem(&ebprof_fresh, &from);

	if (!held || held->slot != parent->slot || held->time_ns <= child->known_ns)
		return;
	struct fresh_code fresh = {
		.start = held->start,
		.end = held->end,
		.time_ns = held->time_ns,
		.since_ns = held->since_ns,
		.slot = child->slot,
	};

	bpf_map_update_elem(&ebprof_fresh, &to, &fresh, BPF_ANY);
}

/* Lists the child of a listed process. False: it is no target. */
static __always_inline bool join_child(const struct task_struct *parent, __u32 child)
{
	__u32 *held = target_find(parent);
	__u32 flags = 0;

	if (targets_are_threads() || !ebprof_with_children)
		return false;
	/* A command that waits for its exec starts nothing that anybody asked for. */
	if (!held || *held & TARGET_AWAIT_EXEC) {
		/* The number of a target that has gone is somebody else's now. */
		if (bpf_map_lookup_elem(&ebprof_targets, &child))
			bpf_map_delete_elem(&ebprof_targets, &child);
		return false;
	}
	if (bpf_map_update_elem(&ebprof_targets, &child, &flags, BPF_ANY)) {
		counter_add(COUNTER_targets_full, 1);
		return false;
	}
	__sync_fetch_and_add(&ebprof_nr_targets, 1);
	return true;
}

/*
 * Raw tracepoints, not the typed ones: for each typed argument that is used, newer kernels search the whole of their
 * type information by name while loading (some 7 ms each). fork, exec and exit all run in the task that they are about.
 */
SEC("raw_tp/sched_process_fork")
int ebprof_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = bpf_get_current_task_btf();
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	struct process_id id = process_id_read(child);

	if (id.tgid == (__u32)parent->tgid)
		return 0;
	if (targets_are_listed() && !join_child(parent, id.tgid))
		return 0;
	struct process_id parent_id = process_id_of(parent);
	struct process_entry *parent_entry = bpf_map_lookup_elem(&ebprof_processes, &parent_id);

	if (!targets_are_listed() && !parent_entry)
		return 0;
	struct process_entry entry = {};
	bool added;

	if (parent_entry)
		entry = *parent_entry;
	if (process_add(&id, &entry, &added) == 0) {
		if (parent_entry)
			inherit_fresh(parent_entry, &entry);
		process_announce(child, &id, &entry, &parent_id, ORIGIN_FORK);
	}
	return 0;
}

SEC("raw_tp/sched_process_exec")
int ebprof_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct process_id id = process_id_of(task);
	struct process_id replaced = id;
	struct process_entry entry = {};
	bool added;

	replaced.exec_id--;
	if (targets_are_listed()) {
		__u32 *flags = target_find(task);

		if (!flags)
			return 0;
		*flags &= ~TARGET_AWAIT_EXEC;
	} else if (!bpf_map_lookup_elem(&ebprof_processes, &replaced)) {
		return 0;
	}
	entry.first = process_first(task);
	if (process_add(&id, &entry, &added) == 0)
		process_announce(task, &id, &entry, &replaced, ORIGIN_EXEC);
	return 0;
}

/*
 * A listed process stays a target until the loader forgets it: what the kernel does to tear it down still runs as this
 * task. False: it was none, or goes on.
 */
static __always_inline bool leave_list(const struct task_struct *task, bool is_last)
{
	__u32 *held = target_find(task);

	if (!held || *held & TARGET_EXITED || (!targets_are_threads() && !is_last))
		return false;
	__sync_fetch_and_add(&ebprof_nr_targets, -1);
	if (targets_are_threads()) {
		__u32 key = target_key(task);

		bpf_map_delete_elem(&ebprof_targets, &key);
	} else {
		*held |= TARGET_EXITED;
	}
	return true;
}

/* A process has gone when its last thread exits. */
SEC("raw_tp/sched_process_exit")
int ebprof_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct process_id id = process_id_of(task);
	bool is_last = BPF_CORE_READ(task, signal, live.counter) == 0;

	if (targets_are_listed() && !leave_list(task, is_last))
		return 0;
	if (!is_last || (!targets_are_listed() && !bpf_map_lookup_elem(&ebprof_processes, &id)))
		return 0;
	struct record_exit record = {
		.type = RECORD_EXIT,
		.pid = task_pid_here(BPF_CORE_READ(task, group_leader)),
		.time_ns = bpf_ktime_get_ns(),
		.id = id,
	};

	counter_add(COUNTER_process_events, 1);
	ring_send(&record, sizeof(record), BPF_RB_NO_WAKEUP);
	return 0;
}

/*
 * A file's code appears in the running process's memory, perhaps in the place of another's. The side band says what it
 * is, to the loader, some milliseconds from now; stacks that pass there have to wait for that.
 *
 * No tracepoint tells of mappings, but they are kept in a maple tree (kernels from 6.1), whose writes one tells of: the
 * value written is the new area. Other trees' values are none of this process's memory.
 */
SEC("raw_tp/ma_write")
int ebprof_mapped(struct bpf_raw_tracepoint_args *ctx)
{
	struct vm_area_struct *area = (struct vm_area_struct *)ctx->args[3];
	struct task_struct *task = bpf_get_current_task_btf();

	if (!area || !task->mm || BPF_CORE_READ(area, vm_mm) != task->mm)
		return 0;
	if (!(BPF_CORE_READ(area, vm_flags) & VM_EXEC) || !BPF_CORE_READ(area, vm_file))
		return 0;
	struct process_id id = process_id_of(task);
	struct process_entry *entry = bpf_map_lookup_elem(&ebprof_processes, &id);

	if (!entry)
		return 0;
	__u32 place = entry->slot % FRESH_CODES;
	struct fresh_code *fresh = bpf_map_lookup_elem(&ebprof_fresh, &place);
	__u64 start = BPF_CORE_READ(area, vm_start), end = BPF_CORE_READ(area, vm_end);
	__u64 now = bpf_ktime_get_ns(), since = now;

	if (!fresh)
		return 0;
	/* The one before may not be known yet either: then all that lies between waits, too. */
	if (fresh->slot == entry->slot && fresh->time_ns > entry->known_ns) {
		start = start < fresh->start ? start : fresh->start;
		end = end > fresh->end ? end : fresh->end;
		since = fresh->since_ns;
	}
	fresh->start = start;
	fresh->end = end;
	fresh->slot = entry->slot;
	fresh->time_ns = now;
	fresh->since_ns = since;
	fresh->is_told = 0;
	ebprof_fresh_ns = now;
	return 0;
}
