/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * maps.h - the maps and settings that all programs share.
 *
 * Sizes are set by the loader before loading; a 1 here says "see the loader". Names carry the prefix because bpftool
 * shows them (15 characters at most).
 */
#ifndef EBPROF_BPF_MAPS_H
#define EBPROF_BPF_MAPS_H

#include "kernel.h"
#include "rows.h"
#include "sample.h"

/* Settings, fixed for a run. */
extern const volatile __u32 ebprof_target_kind; /* enum target_kind */
extern const volatile union target_name ebprof_target_names[TARGET_NAMES_MAX];
extern const volatile struct target_cgroup ebprof_target_cgroups[TARGET_CGROUPS_MAX];
extern const volatile __u32 ebprof_nr_target_names;
extern const volatile __u32 ebprof_nr_target_cgroups;
extern const volatile bool ebprof_want_idle;
extern const volatile bool ebprof_with_children;
extern const volatile bool ebprof_want_user;
extern const volatile bool ebprof_want_kernel;
extern const volatile bool ebprof_label_thread;
extern const volatile bool ebprof_label_tid;
extern const volatile bool ebprof_label_cpu;
extern const volatile bool ebprof_label_cgroup;
extern const volatile bool ebprof_capture;
extern const volatile __u32 ebprof_max_frames;
extern const volatile __u32 ebprof_kernel_frames_max; /* kernel.perf_event_max_stack, KERNEL_FRAMES_MAX at most */
extern const volatile __u32 ebprof_pidns_inode;       /* the loader's pid namespace */
extern const volatile __u32 ebprof_ring_bytes;
extern const volatile __u32 ebprof_snapshot_bytes; /* of stack that a second chance copies; 0 = none is given */
extern const volatile struct stack_key ebprof_seed;

/* State that the loader reads while it runs. */
extern __u32 ebprof_next_slot;  /* process slots given out */
extern __s32 ebprof_nr_targets; /* targets that live */

extern __u64 ebprof_woken_ns; /* when a process that is new last woke the loader, where targets are described */
enum { WAKE_AGAIN_NS = 10000000 };

extern __u64 ebprof_fresh_ns; /* when any process last mapped a file's code */

/*
 * Where a process has mapped a file's code of late, by slot modulo the size. Until the loader knows of it, what the
 * process's run holds of that place may be another file.
 */
struct fresh_code {
	__u64 start;
	__u64 end;
	__u64 time_ns;
	__u64 since_ns; /* of the first change that it stands for */
	__u32 slot;
	__u32 is_told; /* the loader was told that it is in a stack's way */
};
enum { FRESH_CODES = 8192, FRESH_WAIT_NS = 20000000 /* before the loader is told */ };
struct ebprof_fresh {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FRESH_CODES);
	__type(key, __u32);
	__type(value, struct fresh_code);
};
extern struct ebprof_fresh ebprof_fresh SEC(".maps");

/* Is this process (or thread) wanted? tgid or tid in the kernel's numbers -> TARGET_* flags. */
struct ebprof_targets {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
};
extern struct ebprof_targets ebprof_targets SEC(".maps");

struct ebprof_processes {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct process_id);
	__type(value, struct process_entry);
};
extern struct ebprof_processes ebprof_processes SEC(".maps");

struct ebprof_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
};
extern struct ebprof_ring ebprof_ring SEC(".maps");

struct ebprof_counters {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu_counters);
};
extern struct ebprof_counters ebprof_counters SEC(".maps");

static __always_inline struct cpu_counters *counters_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ebprof_counters, &zero);
}

/* Atomic: a clock tick may come in the middle of another program's increment. */
static __always_inline void counter_add(enum counter counter, __u64 n)
{
	struct cpu_counters *counters = counters_get();

	if (counters)
		__sync_fetch_and_add(&counters->value[counter], n);
}

/* Sends a record, waking the loader only if told to; a refused record is counted. 0 = sent. */
static __always_inline int ring_send(void *record, __u32 size_bytes, __u64 flags)
{
	int error = bpf_ringbuf_output(&ebprof_ring, record, size_bytes, flags);

	if (error)
		counter_add(COUNTER_ring_full, 1);
	return error;
}

#endif
