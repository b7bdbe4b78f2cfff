/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * walk_guess.h - where is the caller when no rule says so?
 *
 * A guess wants evidence: a return address points into executable text behind a call instruction. First, of a leaf, the
 * word at rsp; then what rbp points at, or, in code without any table, two links of a chain. A chain of frame pointers,
 * once begun, only has to stay in text.
 */
#ifndef EBPROF_BPF_WALK_GUESS_H
#define EBPROF_BPF_WALK_GUESS_H

#include "walk_state.h"

/* Bytes that `call *operand` takes, by the two bytes behind its opcode; 0 = that is no indirect call. */
WALK_INLINE __u32 walk_call_length(__u32 modrm, __u32 sib)
{
	__u32 mode = modrm >> 6, rm = modrm & 7;
	__u32 length = 2 + (rm == 4 && mode != 3);

	if ((modrm & 0x38) != 0x10)
		return 0;
	if (mode == 1)
		length += 1;
	if (mode == 2 || (mode == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5))))
		length += 4;
	return length;
}

/* Whether a guessed return address is one: it lies in executable text, behind a call. Makes its mapping the current. */
WALK_CALLED int walk_follows_call(struct walk *w, __u64 pc)
{
	__u64 code;

	if (!w)
		return 0;
	if (!walk_find_mapping(w, pc - 1))
		return 0;
	/* Eight bytes end at pc; the last five may be call rel32. */
	if (walk_read_user(&code, sizeof(code), pc - sizeof(code)))
		return 0;
	if ((code >> 24 & 0xff) == 0xe8)
		return 1;
	WALK_UNROLL
	for (__u32 length = 2; length <= 7; length++) {
		__u64 call = code >> (64 - 8 * length);

		if ((call & 0xff) == 0xff && walk_call_length(call >> 8 & 0xff, call >> 16 & 0xff) == length)
			return 1;
	}
	return 0;
}

/* Whether another link of a chain of frame pointers follows: above this one, with a return address in text. */
WALK_INLINE int walk_is_linked(struct walk *w, __u64 rbp, __u64 caller_rbp)
{
	__u64 word = w->is_32bit ? 4 : 8;
	__u64 pc;

	if ((caller_rbp & (word - 1)) || caller_rbp - rbp - 1 >= WALK_FP_FRAME_MAX)
		return 0;
	return walk_read_stack(w, caller_rbp + word, &pc) == 0 && walk_find_mapping(w, pc - 1);
}

/*
 * Whether the first link of a chain is believed. Interpreters push return addresses that are behind no call; in code
 * that has no tables at all, which is what compilers make at run time, two links tell as much.
 */
WALK_INLINE int walk_believes_link(struct walk *w, int has_table, __u64 pc, __u64 caller_rbp)
{
	if (walk_follows_call(w, pc))
		return 1;
	return !has_table && walk_is_linked(w, w->regs[DWARF_RBP], caller_rbp) && walk_find_mapping(w, pc - 1);
}

/* The frame-pointer convention: rbp points at {caller's rbp, return address}. */
WALK_INLINE int walk_by_frame_pointer(struct walk *w, __u32 module, int has_table)
{
	__u64 rbp = w->regs[DWARF_RBP];
	__u64 word = w->is_32bit ? 4 : 8;
	__u64 pc, caller_rbp;
	int in_chain = !!(w->frame_flags & FRAME_BY_FP);
	enum stop stop = w->is_32bit ? STOP_not_64bit : STOP_no_unwind_info;

	/* Without a chain that led here, 0 is just what the code keeps in rbp. */
	if (!rbp && in_chain)
		return walk_stop(w, STOP_ended, 0);
	if (!rbp || (rbp & (word - 1)) || rbp - w->regs[DWARF_RSP] >= WALK_FP_FRAME_MAX)
		return walk_stop(w, stop, module);
	if (walk_read_stack(w, rbp, &caller_rbp) || walk_read_stack(w, rbp + word, &pc))
		return walk_stop(w, stop, module);
	/* The first step is believed with evidence only; that a chain ends in 0, only of one that led here. */
	if (!pc        ? !in_chain
	    : in_chain ? !walk_find_mapping(w, pc - 1)
		       : !walk_believes_link(w, has_table, pc, caller_rbp))
		return walk_stop(w, stop, module);
	return walk_enter_caller(w, pc, rbp + 2 * word, caller_rbp, FRAME_BY_FP, 0);
}

/* No rule says where the caller is. */
WALK_INLINE int walk_without_rule(struct walk *w, __u32 module)
{
	__u64 rsp = w->regs[DWARF_RSP];
	__u64 word = w->is_32bit ? 4 : 8;
	int has_table = w->table.state == MODULE_READY || w->table.state == MODULE_UNFINISHED;
	__u64 pc;

	if ((w->frame_flags & FRAME_EXACT) && !(rsp & (word - 1)) && walk_read_stack(w, rsp, &pc) == 0 && pc &&
	    walk_follows_call(w, pc))
		return walk_enter_caller(w, pc, rsp + word, w->regs[DWARF_RBP], FRAME_GUESSED,
					 w->known_regs & 1u << DWARF_RBX);
	return walk_by_frame_pointer(w, module, has_table);
}

#endif
