/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * walk_rule.h - from a frame and its rule to the caller's frame: the usual rules, signal frames, and the rules of
 * runtimes that change stacks.
 */
#ifndef EBPROF_BPF_WALK_RULE_H
#define EBPROF_BPF_WALK_RULE_H

#include "walk_guess.h"

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

/*
 * Interpreters in assembly describe all of their code by one rule, and with it the subroutines in it, which are called
 * with one word more on the stack. What the rule takes for a leaf's return address is then none, and the word at rsp
 * leads back to code of the same rule.
 */
WALK_INLINE int walk_is_subroutine(struct walk *w, const struct unwind_rule *rule, __u64 caller_pc, __u64 *ret)
{
	if (!(w->frame_flags & FRAME_EXACT) || rule->cfa != CFA_REGISTER || rule->cfa_reg != DWARF_RSP)
		return 0;
	if (caller_pc && walk_is_code(w, caller_pc - 1))
		return 0;
	if (walk_read_word(w, w->regs[DWARF_RSP], ret) || !walk_follows_call(w, *ret) || w->module != w->frame_module)
		return 0;
	return walk_get_rule(walk_find_rule(w, *ret - 1 - w->mapping_start + w->mapping_offset)) == rule;
}

/* Goes on in the caller, or ends, or (an inferred rule without evidence) says that it is for the walker to guess. */
enum { WALK_GUESS = 2 };
WALK_INLINE int walk_by_rule(struct walk *w, const struct unwind_rule *rule)
{
	struct walk_caller caller = {.rsp = ~0ull};
	int inferred = !!(rule->flags & RULE_INFERRED);
	__u64 pc;

	w->is_unsure = 0;
	enum stop stop = walk_apply_rule(w, rule, &caller);
	int below = caller.rsp < w->regs[DWARF_RSP] && !(rule->flags & RULE_OTHER_STACK);

	/* On another stack below, by a rule that was inferred, or by a register that may have changed. */
	if ((inferred || w->is_unsure || below) && !(stop == STOP_complete && walk_follows_call(w, caller.pc)))
		stop = STOP_bad_frame;
	if (stop == STOP_complete && walk_is_subroutine(w, rule, caller.pc, &pc))
		return walk_enter_caller(w, pc, w->regs[DWARF_RSP] + 8, w->regs[DWARF_RBP], FRAME_GUESSED,
					 w->known_regs & 1u << DWARF_RBX);
	if (stop != STOP_complete && inferred)
		return WALK_GUESS;
	if (stop != STOP_complete)
		return walk_stop(w, w->is_unsure ? STOP_leaf_register : stop, w->frame_module);
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

#endif
