/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * snapshot.h - a second chance for a stack that could not be walked for want of something the loader is about to learn:
 * the mappings of a process that has just begun, the table of a file that has just been mapped.
 *
 * The sample then leaves with its own registers and the top of its own stack, and the loader walks it with the same
 * walker when it knows more. Nothing is shared with other samples. The copy is made page by page, since a stack's last
 * pages may not be in memory, and ends at a page's end, where the walker's reads end too. Nor may its first ones be:
 * below rsp nothing may have been written yet, and a frame that has just been made is touched for the first time. The
 * copy then begins at the first page that is there.
 *
 * A process may send so many in a second, so that one whose stacks will never be walked doesn't fill the ring, and all
 * together leave a quarter of it free.
 */
#ifndef EBPROF_BPF_SNAPSHOT_H
#define EBPROF_BPF_SNAPSHOT_H

#include "maps.h"
#include "walk.h"

enum {
	SNAPSHOT_BELOW = 192,        /* bytes below rsp: the red zone, and what the walker reads ahead of it */
	SNAPSHOTS_PER_SECOND = 1024, /* of one process */
	SNAPSHOT_BUDGETS = 4096,
	SNAPSHOT_STALE_NS = 500000000, /* after a process was found with a pc outside its mappings */
};

struct snapshot_buffer {
	struct record_snapshot record;
	__u8 stack[SNAPSHOT_STACK_MAX + WALK_PAGE];
};

/* One per scratch slot: a value per CPU may not be this large. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct snapshot_buffer);
} ebprof_snapshots SEC(".maps");

/* By process slot modulo the size. Racy, which costs a few more. */
struct snapshot_budget {
	__u32 slot;
	__u32 used;
	__u64 second;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SNAPSHOT_BUDGETS);
	__type(key, __u32);
	__type(value, struct snapshot_budget);
} ebprof_budgets SEC(".maps");

static __always_inline int snapshot_within_budget(__u32 slot, __u64 now)
{
	__u32 place = slot % SNAPSHOT_BUDGETS;
	struct snapshot_budget *budget = bpf_map_lookup_elem(&ebprof_budgets, &place);
	__u64 second = now >> 30;

	if (!budget)
		return 0;
	if (budget->slot != slot || budget->second != second) {
		budget->slot = slot;
		budget->second = second;
		budget->used = 0;
	}
	if (budget->used >= SNAPSHOTS_PER_SECOND)
		return 0;
	budget->used++;
	return 1;
}

struct snapshot_loop {
	struct snapshot_buffer *buffer;
};

/* One page, or what of the first one lies at the start and above. */
static long snapshot_page(__u32 index, struct snapshot_loop *loop)
{
	struct snapshot_buffer *buffer = loop->buffer;

	if (!buffer)
		return 1;
	__u32 at = buffer->record.stack_bytes;
	__u64 address = buffer->record.stack_start + at;
	__u32 size = WALK_PAGE - (address & (WALK_PAGE - 1));

	if (at >= ebprof_snapshot_bytes || at > SNAPSHOT_STACK_MAX)
		return 1;
	walk_opaque(size);
	if (size > WALK_PAGE)
		return 1;
	if (bpf_probe_read_user(buffer->stack + at, size, (const void *)address)) {
		if (at)
			return 1;
		buffer->record.stack_start = address + size;
		return 0;
	}
	buffer->record.stack_bytes = at + size;
	return 0;
}

/* Copies the stack; the caller has filled the rest of the record. 0 = it has left. */
static __always_inline int snapshot_send(struct snapshot_buffer *buffer, __u64 rsp)
{
	struct snapshot_loop loop = {.buffer = buffer};
	__u64 flags = BPF_RB_NO_WAKEUP;

	buffer->record.type = RECORD_SNAPSHOT;
	buffer->record.stack_start = (rsp - SNAPSHOT_BELOW) & ~7ull;
	buffer->record.stack_bytes = 0;
	bpf_loop(SNAPSHOT_STACK_MAX / WALK_PAGE + 2, snapshot_page, &loop, 0);

	__u32 bytes = buffer->record.stack_bytes;
	__u64 unread = bpf_ringbuf_query(&ebprof_ring, BPF_RB_AVAIL_DATA);

	if (!bytes)
		return -1;
	/* One comparison of both would be of bytes - 1, and tell older verifiers nothing about bytes. */
	walk_opaque(bytes);
	if (bytes > sizeof(buffer->stack))
		return -1;
	/* The rest is for stacks that were walked and for processes, which take little and can't be done without. */
	if (unread + bytes > ebprof_ring_bytes / 4 * 3)
		return -1;
	if (unread > ebprof_ring_bytes / 4)
		flags = BPF_RB_FORCE_WAKEUP;
	return ring_send(buffer, sizeof(buffer->record) + bytes, flags);
}

#endif
