/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel itself offers for stacks: bpf_get_stack() along frame pointers, kernel and user part, and nothing else;
 * the measure that cost.py puts beside ebprof's walk.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

enum { FRAMES_MAX = 127 };

struct stacks {
	__u64 kernel[FRAMES_MAX];
	__u64 user[FRAMES_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stacks);
} scratch SEC(".maps");

const volatile __u32 target = 0;
__u64 samples, user_frames;

SEC("perf_event")
int take_stack(void *context)
{
	__u32 zero = 0;
	struct stacks *stacks;
	long bytes;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	stacks = bpf_map_lookup_elem(&scratch, &zero);
	if (!stacks)
		return 0;
	bpf_get_stack(context, stacks->kernel, sizeof(stacks->kernel), 0);
	bytes = bpf_get_stack(context, stacks->user, sizeof(stacks->user), BPF_F_USER_STACK);
	__sync_fetch_and_add(&samples, 1);
	if (bytes > 0)
		__sync_fetch_and_add(&user_frames, bytes / 8);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
