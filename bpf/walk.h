/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * walk.h - the stack walker: from a thread's user registers to the frames of its callers.
 *
 * One step does this: find the mapping that holds pc; write the frame; find the row of the file's unwind table that
 * covers pc; compute the canonical frame address (CFA: the caller's rsp at the call) from rsp or rbp by the row's
 * rule; read the return address and the saved rbp relative to it. A return address points behind its call, possibly
 * into the next function, so it is looked up one byte lower; the leaf, and a frame that a signal interrupted, are
 * looked up where they are ("exact").
 *
 * Where no row covers pc (JIT code, files without unwind information) the walker guesses and wants evidence: a return
 * address points into executable text behind a call instruction. First, of a leaf, the word at rsp, since code without
 * unwind information is mostly hand-written leaves; then the frame pointer. A chain of frame pointers, once begun, is
 * trusted as long as it leads into executable text. 32-bit processes are walked in this way only.
 *
 * What a ready table said of a pc is kept in struct walk for the walks that come after: most stacks pass where others
 * did. What could become wrong is not kept, or is kept under the number of a run that no other run will have.
 *
 * Stack memory is read in windows of up to 1 KiB inside one page: a read costs the same for 8 bytes as for 1,024.
 *
 * This file compiles for the kernel and for the host. Whoever includes it supplies the seven functions that
 * walk_state.h declares. Guesses are in walk_guess.h, what rules say in walk_rule.h.
 */
#ifndef EBPROF_BPF_WALK_H
#define EBPROF_BPF_WALK_H

#include "walk_rule.h"

/* Writes the frame of pc, which lies in the current mapping, behind (0 or 1) bytes above its lookup pc's offset. */
WALK_INLINE void walk_append_frame(struct walk *w, __u64 offset, __u64 behind)
{
	if (w->module >= MODULES_MAX || offset + behind > FRAME_OFFSET_MASK) {
		w->overflow += w->module != NO_MODULE;
		w->has_raw = 1;
		walk_append(w, frame_make(FRAME_RAW, w->frame_flags, w->pc));
	} else {
		walk_append(w, frame_make_file(w->module, offset + behind, w->frame_flags));
	}
}

/* Only what a ready table says, and only rules that need nothing but themselves: a guess asks for mapping and table. */
WALK_INLINE int walk_may_keep(const struct walk *w, const struct unwind_rule *rule, __u64 offset)
{
	int by_rule = rule->cfa >= CFA_REGISTER && rule->cfa <= CFA_PLT && !(rule->flags & RULE_INFERRED);

	return w->table.state == MODULE_READY && (by_rule || rule->cfa == CFA_ROOT) && w->run != WALK_NO_RUN &&
	       w->module < MODULES_MAX && offset < FRAME_OFFSET_MASK;
}

/* Appends the frame of a pc that was not met before, and finds its rule. 0 = there is one, 1 = the walk is over. */
WALK_INLINE int walk_look_up(struct walk *w, const struct unwind_rule **ret)
{
	__u64 lookup_pc = w->pc - !(w->frame_flags & FRAME_EXACT);
	int found = walk_find_mapping(w, lookup_pc);

	if (!found || w->module == NO_MODULE) {
		__u64 pc = walk_probed_pc(w->pc, &w->regs[DWARF_RSP]);

		if (pc) {
			w->pc = pc;
			lookup_pc = pc - !(w->frame_flags & FRAME_EXACT);
			found = walk_find_mapping(w, lookup_pc);
		}
	}
	if (!found) {
		w->has_raw = 1;
		walk_append(w, frame_make(FRAME_RAW, w->frame_flags, w->pc));
		return walk_stop(w, STOP_no_mapping, NO_MODULE);
	}
	__u64 offset = lookup_pc - w->mapping_start + w->mapping_offset;
	/* A file without a table is code that no rule covers. */
	int has_table = (w->table.state == MODULE_READY || w->table.state == MODULE_UNFINISHED) && !w->is_32bit;
	__u32 number = has_table ? walk_find_rule(w, offset) : RULE_NONE;
	const struct unwind_rule *rule = walk_get_rule(number);

	w->frame_module = w->module;
	/* Where a handler returns to was not called from the byte before, which may be another function's. */
	if (number == RULE_SIGNAL)
		w->frame_flags |= FRAME_EXACT;
	walk_append_frame(w, offset, w->pc - lookup_pc);
	int unfinished = w->table.state == MODULE_UNFINISHED && number == RULE_NONE;

	if ((w->table.state == MODULE_PENDING || unfinished) && !w->is_32bit)
		return walk_stop(w, STOP_no_file_table, w->module);
	if (!rule)
		return walk_stop(w, STOP_unsupported_rule, w->module);
	if (walk_may_keep(w, rule, offset))
		*walk_find_found(w, lookup_pc) = (struct walk_found){
			.pc = lookup_pc,
			.run = w->run,
			.place = frame_make_file(w->module, offset, 0),
			.rule = number,
			.era = w->era,
		};
	*ret = rule;
	return 0;
}

/* One frame. 0 = go on, 1 = the walk is over and w->stop says why. */
WALK_INLINE int walk_step(struct walk *w)
{
	__u64 behind = !(w->frame_flags & FRAME_EXACT);
	__u64 lookup_pc = w->pc - behind;
	const struct walk_found *found = walk_find_found(w, lookup_pc);
	const struct unwind_rule *rule;
	int step;

	if (w->nr_walked >= USER_WALK_MAX)
		return walk_stop(w, STOP_too_deep, NO_MODULE);
	if (walk_is_found(w, found, lookup_pc)) {
		__u64 place = found->place;

		rule = walk_get_rule(found->rule);
		if (!rule)
			return walk_stop(w, STOP_walker_limit, NO_MODULE); /* cannot happen: it was there */
		w->frame_module = frame_module(place);
		walk_append(w, w->frame_flags | (place + behind));
	} else if (walk_look_up(w, &rule)) {
		return 1;
	}
	switch (rule->cfa) {
	case CFA_ROOT:
		return walk_stop(w, STOP_complete, 0);
	case CFA_NONE:
		break;
	case CFA_SIGNAL:
		return walk_signal_frame(w);
	case CFA_UNSUPPORTED:
		return walk_stop(w, STOP_unsupported_rule, w->module);
	case CFA_STACK_TOP:
		return walk_from_stack_top(w, rule);
	case CFA_GOROUTINE:
		return walk_to_goroutine(w, rule);
	default:
		step = walk_by_rule(w, rule);
		if (step != WALK_GUESS)
			return step;
		break;
	}
	return walk_without_rule(w, w->frame_module);
}

/*
 * Prepares a walk; the caller has set pc, regs, is_32bit, fresh_*, run, first_mapping and nr_mappings. Of max_frames
 * (1..USER_FRAMES_MAX) two thirds are kept from the leaf on and the rest before the root.
 */
WALK_INLINE void walk_start(struct walk *w, const struct stack_key *seed, __u32 max_frames)
{
	if (max_frames < 1)
		max_frames = 1;
	if (max_frames > USER_FRAMES_MAX)
		max_frames = USER_FRAMES_MAX;
	w->nr_root_frames = max_frames / 3;
	w->nr_leaf_frames = max_frames - w->nr_root_frames;
	stack_key_start(&w->key, seed);
	w->frame_flags = FRAME_EXACT;
	w->known_regs = ~0u;
	w->module = ~0u;
	w->mapping_size = 0;
	w->window_size = 0;
	w->nr_walked = 0;
	w->record.end_frame = 0;
	w->stop = STOP_walker_limit;
	w->has_raw = 0;
	w->nr_fp_frames = 0;
	w->nr_guessed_frames = 0;
	w->overflow = 0;
	w->is_stale = 0;
}

/* After the last step: completes the key, and the record that frames leave with. */
WALK_INLINE void walk_finish(struct walk *w, __u32 process)
{
	if (w->record.end_frame)
		stack_key_add(&w->key, w->record.end_frame);
	stack_key_finish(&w->key, w->has_raw ? process : 0);
	w->record.type = RECORD_STACK;
	w->record.nr_frames = walk_nr_kept(w);
	w->record.nr_leaf_frames = w->nr_leaf_frames;
	w->record.nr_walked = w->nr_walked;
	w->record.process = process;
	w->record.has_raw = w->has_raw;
	w->record.is_kernel = 0;
	w->record.key = w->key;
}

#endif
