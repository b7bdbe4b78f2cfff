/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * walk_state.h - what a walk holds, what it asks of its home, and its elementary steps: keep a frame, end, find the
 * mapping of a pc and the rule of an offset, read a word of the stack, go on in the caller.
 *
 * All state is in struct walk, which in the kernel is a map value: the verifier follows values on the BPF stack one by
 * one and would not finish.
 */
#ifndef EBPROF_BPF_WALK_STATE_H
#define EBPROF_BPF_WALK_STATE_H

#include <stdbool.h>

#include "rows.h"
#include "sample.h"
#include "stacks.h"

#ifdef __bpf__
#define WALK_INLINE static __always_inline
/* Keeps the compiler from proving away a mask that the verifier needs to see. */
#define walk_opaque(value) asm volatile("" : "+r"(value))
#define WALK_UNROLL        _Pragma("clang loop unroll(full)")
/* Of those that aren't inlined the verifier looks at each once, and not at every place that calls them. */
#define WALK_CALLED __attribute__((noinline))
#else
#define WALK_CALLED        static inline
#define WALK_INLINE        static inline
#define walk_opaque(value) ((void)(value))
#define WALK_UNROLL
#endif

enum {
	WALK_WINDOW = 1024,
	WALK_LOOK_BACK = 64, /* saved registers lie just below the return address that is read first */
	WALK_PAGE = 4096,
	WALK_FP_FRAME_MAX = 1 << 20, /* a frame-pointer step that is longer is taken for garbage */
	WALK_MAPPING_STEPS = 17,     /* binary search over at most MAPPINGS_MAX slots */
	WALK_CONTEXT_WORDS = 17,     /* registers in a signal frame, rip last */
	WALK_ROW_STEPS = 10,         /* over at most GRANULE_ROWS_MAX rows */
	WALK_FOUND_SHIFT = 9,
	WALK_FOUND = 1 << WALK_FOUND_SHIFT, /* pcs whose place and rule are kept */
};
#define WALK_NO_RUN 0ull

/*
 * Where a pc that was looked up lies in a run of mappings, and its rule. A rule of a ready table stays what it is, and
 * a run that changes becomes another one: what is kept here is right for as long as anyone asks for it.
 */
struct walk_found {
	__u64 pc; /* as looked up: of a return address the byte before it */
	__u64 run;
	__u64 place; /* a file frame's module and offset */
	__u32 rule;  /* RULE_NONE: nothing is kept here */
	__u32 era;
};

struct walk {
	/* The current frame. */
	__u64 pc;
	__u64 regs[16];    /* by DWARF number */
	__u64 frame_flags; /* FRAME_EXACT, FRAME_BY_FP and FRAME_GUESSED, of pc */
	__u32 known_regs;  /* bit per register: its value in this frame is known; of rsp and rbp it always is */
	__u32 is_unsure;   /* the rule at work took a register for kept that a callee may change */
	__u32 is_32bit;

	/* The process's run of mapping slots, and a number that no other has, ever: WALK_NO_RUN = nothing is kept. */
	__u64 run;
	__u32 first_mapping;
	__u32 nr_mappings;

	/* Where other code may be than the mappings say; empty = nowhere. */
	__u64 fresh_start;
	__u64 fresh_end;
	__u32 is_stale; /* the walk came by there */

	__u32 frame_module; /* the current frame's */

	/* The last mapping met and its module's table. */
	__u32 module;
	__u64 mapping_start;
	__u64 mapping_size; /* 0 = none yet */
	__u64 mapping_offset;
	struct module_table table;

	/* Stack memory read last. */
	__u64 window_start;
	__u64 window_size; /* bytes, 0 = nothing */
	__u64 window[WALK_WINDOW / 8];

	/* The result. */
	struct stack_key key;
	__u32 nr_leaf_frames; /* kept from the leaf on; with the next 1..USER_FRAMES_MAX */
	__u32 nr_root_frames; /* kept before the root: a ring */
	__u32 nr_walked;
	__u32 stop; /* enum stop */
	__u32 has_raw;
	__u32 nr_fp_frames;
	__u32 nr_guessed_frames;
	__u32 overflow;             /* frames that did not fit their fields */
	struct record_stack record; /* here so that record and frames leave together */
	__u64 frames[USER_FRAMES_MAX];

	/* What walks before this one have found; of an era before, nothing is believed any more. */
	__u32 era;
	struct walk_found found[WALK_FOUND];
};

/* Supplied by the includer. Pointers may be NULL for an index out of range. */
WALK_INLINE const struct mapping_slot *walk_get_mapping(__u32 index);
WALK_INLINE const struct module_table *walk_get_module(__u32 module);
WALK_INLINE const void *walk_get_segment(__u32 segment); /* POOL_SEGMENT_SIZE bytes */
WALK_INLINE const struct unwind_rule *walk_get_rule(__u32 rule);
WALK_INLINE int walk_read_user(void *buffer, __u32 size_bytes, __u64 address); /* 0 = read */
/*
 * Where execution really is when pc lies in a page that the kernel added to step over probed instructions and to catch
 * probed returns; 0 = pc is no such place. *rsp is the frame's, and becomes what it is there.
 */
WALK_INLINE __u64 walk_probed_pc(__u64 pc, __u64 *rsp);
/* Where the thread's local memory is (fs); 0 = unknown. */
WALK_INLINE __u64 walk_thread_base(void);

/* Keeps a frame: the leaf's part is filled once, the root's part goes round and holds the last ones. */
WALK_INLINE void walk_append(struct walk *w, __u64 frame)
{
	__u32 at = w->nr_walked;

	if (at >= w->nr_leaf_frames) {
		__u32 round = w->nr_root_frames;

		at = w->nr_leaf_frames + (round ? (at - w->nr_leaf_frames) % round : 0);
	}
	walk_opaque(at);
	w->frames[at & (USER_FRAMES_MAX - 1)] = frame;
	w->nr_walked++;
	stack_key_add(&w->key, frame);
}

/* How many of the walked frames are held. */
WALK_INLINE __u32 walk_nr_kept(const struct walk *w)
{
	__u32 max = w->nr_leaf_frames + w->nr_root_frames;

	return w->nr_walked < max ? w->nr_walked : max;
}

/* Ends the walk: complete and ended stacks as they are, others with a pseudo-frame. Returns 1 for the loop. */
WALK_INLINE int walk_stop(struct walk *w, enum stop stop, __u32 module)
{
	w->stop = stop;
	w->record.end_frame = stop > STOP_absent ? frame_make_stop(stop, module) : 0;
	return 1;
}

/* Makes the mapping that holds pc the current one; false when there is none. */
WALK_CALLED int walk_find_mapping(struct walk *w, __u64 pc)
{
	if (!w)
		return 0; /* as the verifier wants to see */
	if (pc - w->mapping_start < w->mapping_size)
		return 1;

	__u32 low = w->first_mapping;
	__u32 length = w->nr_mappings;

	for (int step = 0; step < WALK_MAPPING_STEPS; step++) {
		if (length <= 1)
			break;
		__u32 half = length >> 1;
		const struct mapping_slot *middle = walk_get_mapping(low + half);

		if (!middle)
			return 0;
		low += middle->start <= pc ? half : 0;
		length -= half;
	}
	const struct mapping_slot *slot = length ? walk_get_mapping(low) : 0;

	if (!slot || pc < slot->start || pc >= slot->end)
		return 0;
	if (slot->start < w->fresh_end && slot->end > w->fresh_start) {
		w->is_stale = 1;
		return 0;
	}
	w->mapping_start = slot->start;
	w->mapping_size = slot->end - slot->start;
	w->mapping_offset = slot->offset;
	if (w->module != slot->module) {
		const struct module_table *table = walk_get_module(slot->module);

		w->module = slot->module;
		w->table.state = MODULE_NO_INFO; /* anonymous memory */
		if (table) {
			/* The loader writes the state last, so it is read first. */
			__u32 state = *(const volatile __u32 *)&table->state;

			w->table = *table;
			w->table.state = state;
		}
	}
	return 1;
}

/* The rule for a module offset, RULE_NONE outside the table. */
WALK_CALLED __u32 walk_find_rule(const struct walk *w, __u64 offset)
{
	if (!w)
		return RULE_NONE;
	__u32 shift = GRANULE_SHIFT + (w->table.coarser & 7);
	__u64 granule = (offset - w->table.start) >> shift;

	if (offset < w->table.start || granule >= w->table.nr_granules)
		return RULE_NONE;

	__u32 place = w->table.index + (__u32)granule;
	const struct unwind_granule *index = walk_get_segment(place >> (POOL_SEGMENT_SHIFT - 3));

	if (!index)
		return RULE_NONE;
	place &= POOL_SEGMENT_SIZE / sizeof(*index) - 1;
	walk_opaque(place);
	struct unwind_granule entry = index[place & (POOL_SEGMENT_SIZE / sizeof(*index) - 1)];

	if (!entry.nr_rows)
		return entry.rule;
	const struct unwind_row *rows = walk_get_segment(entry.first_row >> (POOL_SEGMENT_SHIFT - 2));

	if (!rows)
		return RULE_NONE;
	/* Branch-free but for its end: the number of paths that the verifier has to follow stays small. */
	const __u32 mask = POOL_SEGMENT_SIZE / sizeof(*rows) - 1;
	__u64 want = (offset - w->table.start) & ((1ull << shift) - 1);
	__u64 low = entry.first_row;
	__u64 length = entry.nr_rows;

	for (int step = 0; step < WALK_ROW_STEPS; step++) {
		if (length <= 1)
			break;
		__u64 half = length >> 1;
		__u64 at = low + half;

		walk_opaque(at);
		at &= mask;
		/* All ones when the row starts at or before `want`. */
		__u64 before = (__u64)((__s64)(rows[at].offset - want - 1) >> 63);

		walk_opaque(before);
		low += half & before;
		length -= half;
	}
	walk_opaque(low);
	struct unwind_row row = rows[low & mask];

	return row.offset <= want ? row.rule : entry.rule;
}

/* Where a pc's place and rule are kept: one place for many pcs, of which the last has it. */
WALK_INLINE struct walk_found *walk_find_found(struct walk *w, __u64 pc)
{
	__u64 at = pc * 0x9fb21c651e98df25ull >> (64 - WALK_FOUND_SHIFT);

	walk_opaque(at);
	return &w->found[at & (WALK_FOUND - 1)];
}

WALK_INLINE int walk_is_found(const struct walk *w, const struct walk_found *found, __u64 pc)
{
	return found->pc == pc && found->run == w->run && found->rule && found->era == w->era;
}

/* For a walk with a run that was not what it said: whatever it found is forgotten, and what others did with it. */
WALK_INLINE void walk_forget(struct walk *w)
{
	w->era++;
}

/* Whether pc is in some mapping, which becomes the current one unless the pc was met before. */
WALK_INLINE int walk_is_code(struct walk *w, __u64 pc)
{
	return walk_is_found(w, walk_find_found(w, pc), pc) || walk_find_mapping(w, pc);
}

/* One word of the user's stack. 0 = read. */
WALK_INLINE int walk_read_word(struct walk *w, __u64 address, __u64 *ret)
{
	__u64 at = address - w->window_start;

	if (at + 8 > w->window_size || at + 8 < 8) {
		__u64 page = address & ~(__u64)(WALK_PAGE - 1);
		__u64 start = (address - WALK_LOOK_BACK) & ~7ull;

		if (start < page)
			start = page;
		__u64 size = page + WALK_PAGE - start;

		if (size > WALK_WINDOW)
			size = WALK_WINDOW;
		walk_opaque(size);
		if (size < 8 || size > WALK_WINDOW)
			return 1;
		w->window_size = 0;
		if (walk_read_user(w->window, (__u32)size, start))
			return 1;
		w->window_start = start;
		w->window_size = size;
		at = address - start;
		if (at + 8 > size)
			return 1;
	}
	at >>= 3;
	walk_opaque(at);
	*ret = w->window[at & (WALK_WINDOW / 8 - 1)];
	return 0;
}

/* A word of the process's own width; 32-bit stacks are aligned to 4 bytes. 0 = read. */
WALK_INLINE int walk_read_stack(struct walk *w, __u64 address, __u64 *ret)
{
	__u64 word;

	if (!w->is_32bit)
		return walk_read_word(w, address, ret);
	if (walk_read_word(w, address & ~7ull, &word))
		return 1;
	*ret = (__u32)(word >> (address & 4 ? 32 : 0));
	return 0;
}

/* Goes on in the caller, in which the registers of the mask known_regs have kept their values. */
WALK_INLINE int walk_enter_caller(struct walk *w, __u64 pc, __u64 rsp, __u64 rbp, __u64 flags, __u32 known_regs)
{
	if (!pc)
		return walk_stop(w, STOP_ended, 0);
	w->pc = pc;
	w->regs[DWARF_RSP] = rsp;
	w->regs[DWARF_RBP] = rbp;
	w->frame_flags = flags;
	w->known_regs = known_regs;
	w->nr_fp_frames += !!(flags & FRAME_BY_FP);
	w->nr_guessed_frames += !!(flags & FRAME_GUESSED);
	return 0;
}

#endif
