/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * store.h - keep a walked stack: send its body once, add its count always.
 *
 * The key of a stack whose body has left is "known"; it is marked so only after the ring took the body, so a refused
 * body is tried again with the next sample, and a full table of known keys costs bodies sent twice, never a lost one.
 *
 * Counts have two generations. The active one is the slot of an array of maps; when the loader puts the other map
 * there, the kernel waits for all running programs, so the map that was taken out is no longer written. A program
 * therefore fetches the inner map once and works on that.
 */
#ifndef EBPROF_BPF_STORE_H
#define EBPROF_BPF_STORE_H

#include "maps.h"
#include "walk.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct stack_key);
	__type(value, __u8);
} ebprof_known SEC(".maps");

struct counts_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct count_key);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct counts_map);
} ebprof_counts SEC(".maps");

/* Sends record and its frames, which follow it in memory, unless the loader has them. */
static __always_inline void store_body(struct record_stack *record, __u32 nr_frames)
{
	__u8 one = 1;

	if (bpf_map_lookup_elem(&ebprof_known, &record->key))
		return;
	walk_opaque(nr_frames);
	if (nr_frames > USER_FRAMES_MAX)
		return;
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (bpf_ringbuf_query(&ebprof_ring, BPF_RB_AVAIL_DATA) > ebprof_ring_bytes / 4)
		flags = BPF_RB_FORCE_WAKEUP;
	if (ring_send(record, sizeof(*record) + nr_frames * sizeof(__u64), flags))
		return;
	counter_add(COUNTER_stacks_sent, 1);
	int error = bpf_map_update_elem(&ebprof_known, &record->key, &one, BPF_ANY);

	if (error == -7 /* E2BIG */)
		counter_add(COUNTER_known_full, 1);
	else if (error)
		counter_add(COUNTER_known_busy, 1);
}

/* Adds one sample under key; returns its outcome. */
static __always_inline enum counter store_count(const struct count_key *key)
{
	__u32 zero = 0;
	__u64 one = 1;
	void *counts = bpf_map_lookup_elem(&ebprof_counts, &zero);

	if (!counts)
		return COUNTER_lost_counts_busy;
	__u64 *count = bpf_map_lookup_elem(counts, key);
	int error = 0;

	if (!count) {
		error = bpf_map_update_elem(counts, key, &one, BPF_NOEXIST);
		if (!error)
			return COUNTER_samples;
		/* Another CPU may have been first. */
		count = bpf_map_lookup_elem(counts, key);
	}
	if (count) {
		__sync_fetch_and_add(count, 1);
		return COUNTER_samples;
	}
	return error == -7 /* E2BIG */ ? COUNTER_lost_counts_full : COUNTER_lost_counts_busy;
}

#endif
