/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * unwind.h - where the walker's tables live in the kernel, and the functions that walk.h wants of its home.
 *
 * Mappings: one array of slots; each process has a run of them. Modules: one entry per file. Rules: one list for all
 * files, since most files use the same ones. Index entries and rows: a pool that grows by segments of 1 MiB; a file's
 * index lies at one place in it, and the rows of a granule never cross a segment's end.
 */
#ifndef EBPROF_BPF_UNWIND_H
#define EBPROF_BPF_UNWIND_H

#include "kernel.h"
#include "probed.h"
#include "walk.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct mapping_slot);
} ebprof_mappings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct module_table);
} ebprof_modules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RULES_MAX);
	__type(key, __u32);
	__type(value, struct unwind_rule);
} ebprof_rules SEC(".maps");

struct pool_segment {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, POOL_SEGMENT_SIZE);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, POOL_SEGMENTS_MAX);
	__type(key, __u32);
	__array(values, struct pool_segment);
} ebprof_pool SEC(".maps");

WALK_INLINE const struct mapping_slot *walk_get_mapping(__u32 index)
{
	return bpf_map_lookup_elem(&ebprof_mappings, &index);
}

WALK_INLINE const struct module_table *walk_get_module(__u32 module)
{
	return bpf_map_lookup_elem(&ebprof_modules, &module);
}

WALK_INLINE const void *walk_get_segment(__u32 segment)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&ebprof_pool, &segment);

	return map ? bpf_map_lookup_elem(map, &zero) : 0;
}

WALK_INLINE const struct unwind_rule *walk_get_rule(__u32 rule)
{
	return bpf_map_lookup_elem(&ebprof_rules, &rule);
}

WALK_INLINE int walk_read_user(void *buffer, __u32 size_bytes, __u64 address)
{
	return bpf_probe_read_user(buffer, size_bytes, (const void *)address);
}

WALK_INLINE __u64 walk_thread_base(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	/* As of the last switch to another task: threads set it once, through the kernel. */
	return BPF_CORE_READ(task, thread.fsbase);
}

#endif
