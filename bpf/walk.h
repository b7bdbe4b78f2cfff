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
 * Stack memory is read in windows of up to 1 KiB inside one page: a read costs the same for 8 bytes as for 1,024.
 *
 * This file compiles for the kernel and for the host. Whoever includes it supplies the seven functions declared below;
 * all state is in struct walk, which in the kernel is a map value (the verifier follows values on the BPF stack one by
 * one and would not finish).
 */
#ifndef EBPROF_BPF_WALK_H
#define EBPROF_BPF_WALK_H

#include <stdbool.h>

#include "rows.h"
#include "sample.h"
#include "stacks.h"

#ifdef __bpf__
#define WALK_INLINE static __always_inline
/* Keeps the compiler from proving away a mask that the verifier needs to see. */
#define walk_opaque(value) asm volatile("" : "+r"(value))
#define WALK_UNROLL        _Pragma("clang loop unroll(full)")
#else
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
};

struct walk {
	/* The current frame. */
	__u64 pc;
	__u64 regs[16];    /* by DWARF number */
	__u64 frame_flags; /* FRAME_EXACT, FRAME_BY_FP and FRAME_GUESSED, of pc */
	__u32 known_regs;  /* bit per register: its value in this frame is known; of rsp and rbp it always is */
	__u32 is_unsure;   /* the rule at work took a register for kept that a callee may change */
	__u32 is_32bit;

	/* The process's run of mapping slots. */
	__u32 first_mapping;
	__u32 nr_mappings;

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
	if (stop > STOP_absent) {
		w->record.end_frame = frame_make_stop(stop, module);
		stack_key_add(&w->key, w->record.end_frame);
	}
	return 1;
}

/* Makes the mapping that holds pc the current one; false when there is none. */
WALK_INLINE int walk_find_mapping(struct walk *w, __u64 pc)
{
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
WALK_INLINE __u32 walk_find_rule(const struct walk *w, __u64 offset)
{
	__u64 granule = (offset - w->table.start) >> GRANULE_SHIFT;

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
	/* Branch-free: the number of paths that the verifier has to follow stays one. */
	const __u32 mask = POOL_SEGMENT_SIZE / sizeof(*rows) - 1;
	__u64 want = offset & (GRANULE_SIZE - 1);
	__u64 low = entry.first_row;
	__u64 length = entry.nr_rows;

	for (int step = 0; step < WALK_ROW_STEPS; step++) {
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
WALK_INLINE int walk_follows_call(struct walk *w, __u64 pc)
{
	__u64 code;

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

/* The frame-pointer convention: rbp points at {caller's rbp, return address}. */
WALK_INLINE int walk_by_frame_pointer(struct walk *w, __u32 module)
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
	if (!pc ? !in_chain : in_chain ? !walk_find_mapping(w, pc - 1) : !walk_follows_call(w, pc))
		return walk_stop(w, stop, module);
	return walk_enter_caller(w, pc, rbp + 2 * word, caller_rbp, FRAME_BY_FP, 0);
}

/* No rule says where the caller is. */
WALK_INLINE int walk_without_rule(struct walk *w, __u32 module)
{
	__u64 rsp = w->regs[DWARF_RSP];
	__u64 word = w->is_32bit ? 4 : 8;
	__u64 pc;

	if ((w->frame_flags & FRAME_EXACT) && !(rsp & (word - 1)) && walk_read_stack(w, rsp, &pc) == 0 && pc &&
	    walk_follows_call(w, pc))
		return walk_enter_caller(w, pc, rsp + word, w->regs[DWARF_RBP], FRAME_GUESSED,
					 w->known_regs & 1u << DWARF_RBX);
	return walk_by_frame_pointer(w, module);
}

/*
 * The trampoline that a signal handler returns to: rsp points at the kernel's ucontext, whose mcontext starts 40 bytes
 * in (Linux uapi asm/sigcontext.h: r8-r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip).
 */
WALK_INLINE int walk_signal_frame(struct walk *w)
{
	static const __u8 order[WALK_CONTEXT_WORDS - 1] = {
		DWARF_R8,  DWARF_R9,  DWARF_R10, DWARF_R11, DWARF_R12, DWARF_R13, DWARF_R14, DWARF_R15,
		DWARF_RDI, DWARF_RSI, DWARF_RBP, DWARF_RBX, DWARF_RDX, DWARF_RAX, DWARF_RCX, DWARF_RSP};
	__u64 context = w->regs[DWARF_RSP] + 40;

	w->window_size = 0;
	if (walk_read_user(w->window, WALK_CONTEXT_WORDS * 8, context))
		return walk_stop(w, STOP_unreadable, w->module);
	WALK_UNROLL
	for (int i = 0; i < WALK_CONTEXT_WORDS - 1; i++)
		w->regs[order[i]] = w->window[i];
	w->pc = w->window[WALK_CONTEXT_WORDS - 1];
	w->frame_flags = FRAME_EXACT;
	w->known_regs = ~0u;
	return 0;
}

/*
 * The value of a register in the current frame; 0 = known. To an exact frame's caller all others probably still have
 * theirs: hand-written code knows which registers its own subroutines leave alone.
 */
enum { WALK_REGS_FROM_LEAF = 1u << 16 };
WALK_INLINE int walk_register(struct walk *w, __u32 reg, __u64 *ret)
{
	const __u32 always = 1u << DWARF_RSP | 1u << DWARF_RBP;

	reg &= 15;
	if (!((w->known_regs | always) >> reg & 1)) {
		if (!(w->known_regs & WALK_REGS_FROM_LEAF) || reg == DWARF_RBX)
			return 1;
		w->is_unsure = 1;
	}
	walk_opaque(reg);
	*ret = w->regs[reg & 15];
	return 0;
}

/* Computes the CFA by the rule; returns the stop that it meets, or STOP_complete for none. */
WALK_INLINE enum stop walk_cfa(struct walk *w, const struct unwind_rule *rule, __u64 *ret)
{
	__u64 base;

	if (rule->cfa == CFA_PLT) {
		*ret = w->regs[DWARF_RSP] + 8 + ((__s64)(w->pc & 15) >= rule->cfa_offset ? 8 : 0);
		return STOP_complete;
	}
	if (walk_register(w, rule->cfa_reg, &base))
		return STOP_leaf_register;
	if (rule->cfa == CFA_INDEXED)
		base = w->regs[DWARF_RSP] + 8 * base;
	base += (__s64)rule->cfa_offset;
	if (rule->cfa == CFA_MEMORY || rule->cfa == CFA_INDEXED) {
		if (walk_read_word(w, base & ~7ull, &base))
			return STOP_unreadable;
		base += (__s64)rule->cfa_add;
	}
	*ret = base;
	/*
	 * Stacks grow down: a caller's frame lies strictly above. Only a leaf may have taken its return address off the
	 * stack already, as libgcc's unwinder and longjmp do before they jump there. And where the frame is told by
	 * rbp, rsp may have been moved to another stack meanwhile: such a caller wants evidence (walk_by_rule).
	 */
	int popped = (w->frame_flags & FRAME_EXACT) && rule->cfa == CFA_REGISTER && rule->cfa_reg != DWARF_RBP;
	int moved = rule->cfa == CFA_REGISTER && rule->cfa_reg == DWARF_RBP;

	if (base & 7)
		return STOP_bad_frame;
	/* Nothing follows from the order of two stacks; a chain that goes round ends at the greatest depth. */
	if (rule->flags & RULE_OTHER_STACK)
		return STOP_complete;
	if ((base < w->regs[DWARF_RSP] && !moved) || (base == w->regs[DWARF_RSP] && !popped))
		return STOP_bad_frame;
	return STOP_complete;
}

/* One of the two values that a rule restores. */
WALK_INLINE enum stop walk_value(struct walk *w, __u32 how, __u32 reg, __s64 offset, __u64 cfa, __u64 *ret)
{
	__u64 base = cfa;

	if (how == VALUE_UNDEFINED) {
		*ret = 0;
		return STOP_complete;
	}
	if (how != VALUE_AT_CFA && walk_register(w, reg, &base))
		return STOP_leaf_register;
	base += offset;
	if (how == VALUE_REGISTER) {
		*ret = base;
		return STOP_complete;
	}
	if (base & 7)
		return STOP_bad_frame;
	return walk_read_word(w, base, ret) ? STOP_unreadable : STOP_complete;
}

/*
 * gcc's unwind information of realigned frames goes on saying that rbp is saved where rbp points for the one or two
 * instructions after the epilogue has popped it. What rbp points at then isn't in this frame.
 */
WALK_INLINE int walk_has_popped_rbp(const struct walk *w, const struct unwind_rule *rule, __u64 cfa)
{
	__u64 rsp = w->regs[DWARF_RSP];
	__u64 slot = w->regs[DWARF_RBP] + (__s64)rule->rbp_offset;

	return rule->rbp == VALUE_AT_REGISTER && rule->rbp_reg == DWARF_RBP && slot - rsp >= cfa - rsp;
}

/* The caller's state, as a rule gives it. */
struct walk_caller {
	__u64 pc, rsp, rbp, rbx;
	__u32 known_regs;
};

WALK_INLINE enum stop walk_apply_rule(struct walk *w, const struct unwind_rule *rule, struct walk_caller *ret)
{
	const __u32 rbx_bit = 1u << DWARF_RBX;
	enum stop stop = walk_cfa(w, rule, &ret->rsp);

	if (stop != STOP_complete)
		return stop;
	stop = walk_value(w, rule->ra, rule->ra_reg, rule->ra_offset, ret->rsp, &ret->pc);
	if (stop != STOP_complete)
		return stop;
	ret->rbp = w->regs[DWARF_RBP];
	if (rule->rbp != VALUE_SAME && !walk_has_popped_rbp(w, rule, ret->rsp)) {
		stop = walk_value(w, rule->rbp, rule->rbp_reg, rule->rbp_offset, ret->rsp, &ret->rbp);
		if (stop != STOP_complete)
			return stop;
	}
	ret->rbx = w->regs[DWARF_RBX];
	ret->known_regs = w->known_regs & rbx_bit;
	if (rule->rbx_offset != RBX_SAME) {
		/* Few frames further up ask for it: not to know it is no reason to stop. */
		__u64 address = ret->rsp + (__s64)rule->rbx_offset;
		int known = rule->rbx_offset != RBX_LOST && !(address & 7) && !walk_read_word(w, address, &ret->rbx);

		ret->known_regs = known ? rbx_bit : 0;
	}
	return STOP_complete;
}

/* Goes on in the caller, or ends, or (an inferred rule without evidence) says that it is for the walker to guess. */
enum { WALK_GUESS = 2 };
WALK_INLINE int walk_by_rule(struct walk *w, const struct unwind_rule *rule)
{
	struct walk_caller caller = {.rsp = ~0ull};
	__u32 module = w->module;
	int inferred = !!(rule->flags & RULE_INFERRED);

	w->is_unsure = 0;
	enum stop stop = walk_apply_rule(w, rule, &caller);
	int below = caller.rsp < w->regs[DWARF_RSP] && !(rule->flags & RULE_OTHER_STACK);

	/* On another stack below, by a rule that was inferred, or by a register that may have changed. */
	if ((inferred || w->is_unsure || below) && !(stop == STOP_complete && walk_follows_call(w, caller.pc)))
		stop = STOP_bad_frame;
	if (stop != STOP_complete && inferred)
		return WALK_GUESS;
	if (stop != STOP_complete)
		return walk_stop(w, w->is_unsure ? STOP_leaf_register : stop, module);
	w->regs[DWARF_RBX] = caller.rbx;
	if (w->frame_flags & FRAME_EXACT)
		caller.known_regs |= WALK_REGS_FROM_LEAF;
	return walk_enter_caller(w, caller.pc, caller.rsp, caller.rbp,
				 inferred || w->is_unsure          ? FRAME_GUESSED
				 : rule->flags & RULE_CALLER_EXACT ? FRAME_EXACT
								   : 0,
				 caller.known_regs);
}

/* From the thread's own stack to the goroutine's, from a frame that knows how far below its top that was left. */
WALK_INLINE int walk_from_stack_top(struct walk *w, const struct unwind_rule *rule)
{
	struct rule_stack_top place = rule_stack_top(rule);
	__u64 rsp = w->regs[DWARF_RSP];
	__u64 state, distance, cfa, pc;

	if (walk_read_user(&state, sizeof(state), rsp + (__s64)place.state) ||
	    walk_read_user(&distance, sizeof(distance), rsp + (__s64)place.distance) ||
	    walk_read_user(&cfa, sizeof(cfa), state + (__s64)place.top))
		return walk_stop(w, STOP_unreadable, w->module);
	cfa += (__s64)rule->cfa_add - distance;
	if ((cfa & 7) || walk_read_word(w, cfa - 8, &pc))
		return walk_stop(w, STOP_bad_frame, w->module);
	return walk_enter_caller(w, pc, cfa, w->regs[DWARF_RBP], 0, 0);
}

/*
 * From the thread's own stack to the goroutine's. Without a goroutine the stack ends there: the runtime has begun to
 * look for another one to run.
 */
WALK_INLINE int walk_to_goroutine(struct walk *w, const struct unwind_rule *rule)
{
	struct rule_goroutine place = rule_goroutine(rule);
	__u64 base = walk_thread_base();
	__u64 state, rsp, pc, rbp = w->regs[DWARF_RBP];

	if (!base || walk_read_user(&state, sizeof(state), base + (__s64)place.tls) ||
	    walk_read_user(&state, sizeof(state), state + (__s64)place.thread) ||
	    walk_read_user(&state, sizeof(state), state + (__s64)place.goroutine))
		return walk_stop(w, STOP_unreadable, w->module);
	if (!state)
		return walk_stop(w, STOP_complete, 0);
	if (walk_read_user(&rsp, sizeof(rsp), state + (__s64)place.saved) ||
	    walk_read_user(&pc, sizeof(pc), state + (__s64)place.saved + 8))
		return walk_stop(w, STOP_unreadable, w->module);
	rsp += (__s64)rule->cfa_add;
	if ((rsp & 7) || (rule->ra == VALUE_AT_CFA && walk_read_word(w, rsp - 8, &pc)))
		return walk_stop(w, STOP_bad_frame, w->module);
	if (rule->rbp == VALUE_AT_REGISTER && walk_read_user(&rbp, sizeof(rbp), state + (__s64)rule->rbp_offset))
		return walk_stop(w, STOP_unreadable, w->module);
	return walk_enter_caller(w, pc, rsp, rbp, 0, 0);
}

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

/* One frame. 0 = go on, 1 = the walk is over and w->stop says why. */
WALK_INLINE int walk_step(struct walk *w)
{
	__u64 lookup_pc = w->pc - !(w->frame_flags & FRAME_EXACT);

	if (w->nr_walked >= USER_WALK_MAX)
		return walk_stop(w, STOP_too_deep, NO_MODULE);
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
	__u32 number = w->table.state == MODULE_READY && !w->is_32bit ? walk_find_rule(w, offset) : RULE_NONE;
	const struct unwind_rule *rule = walk_get_rule(number);
	__u32 module = w->module;
	int step;

	/* Where a handler returns to was not called from the byte before, which may be another function's. */
	if (number == RULE_SIGNAL)
		w->frame_flags |= FRAME_EXACT;
	walk_append_frame(w, offset, w->pc - lookup_pc);
	if (w->table.state == MODULE_PENDING && !w->is_32bit)
		return walk_stop(w, STOP_no_file_table, module);
	if (!rule)
		return walk_stop(w, STOP_unsupported_rule, module);
	switch (rule->cfa) {
	case CFA_ROOT:
		return walk_stop(w, STOP_complete, 0);
	case CFA_NONE:
		break;
	case CFA_SIGNAL:
		return walk_signal_frame(w);
	case CFA_UNSUPPORTED:
		return walk_stop(w, STOP_unsupported_rule, module);
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
	return walk_without_rule(w, module);
}

/*
 * Prepares a walk; the caller has set pc, regs, is_32bit, first_mapping and nr_mappings. Of max_frames
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
}

/* After the last step: completes the key, and the record that frames leave with. */
WALK_INLINE void walk_finish(struct walk *w, __u32 process)
{
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
