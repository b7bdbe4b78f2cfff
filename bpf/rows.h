/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rows.h - unwind rows: how a file's call-frame information looks to the walker.
 *
 * A file's .eh_frame says, for every instruction, how to find the caller's frame. Compiled, that is a sequence of
 * rows "from this offset on, rule R", sorted by address. Text is cut into granules of 1 KiB; a granule has an index
 * entry (where its rows are, and the rule that already holds at its first byte) and its rows of 4 bytes. So a lookup
 * is: one index entry, a binary search in a few dozen bytes, one rule. A file that describes little of much text has
 * coarser granules, of up to 64 KiB, so that its index is not the larger part of it.
 *
 * Rules are few (some hundred per file, the same ones in most files), so rows carry a 16-bit rule number. Rule 0 is
 * RULE_NONE in every table.
 *
 * Addresses here are module offsets: ELF virtual address minus the lowest PT_LOAD's (rounded down to a page).
 *
 * Registers carry their DWARF numbers for x86-64. (REG_* would be <signal.h>'s names.)
 */
#ifndef EBPROF_BPF_ROWS_H
#define EBPROF_BPF_ROWS_H

#include <linux/types.h>

enum {
	GRANULE_SHIFT = 10, /* 1 KiB of text */
	GRANULE_SIZE = 1 << GRANULE_SHIFT,
	GRANULE_ROWS_MAX = GRANULE_SIZE, /* at most one row per byte: 10 binary-search steps and one compare */
	GRANULE_COARSER_MAX = 6,         /* at most 64 KiB, which a row's offset can hold */
	RULES_MAX = 1 << 14,             /* distinct rules in a run; rows that need more become RULE_UNSUPPORTED */
};

enum dwarf_register {
	DWARF_RAX,
	DWARF_RDX,
	DWARF_RCX,
	DWARF_RBX,
	DWARF_RSI,
	DWARF_RDI,
	DWARF_RBP,
	DWARF_RSP,
	DWARF_R8,
	DWARF_R9,
	DWARF_R10,
	DWARF_R11,
	DWARF_R12,
	DWARF_R13,
	DWARF_R14,
	DWARF_R15,
	DWARF_RIP,
	NR_REGS,
};

struct unwind_row {
	__u16 offset; /* from the start of the granule */
	__u16 rule;   /* holds from here to the next row */
};

struct unwind_granule {
	__u32 first_row; /* in a compiled table: index into its rows; when installed: place in the pool, in rows */
	__u16 nr_rows;
	__u16 rule; /* what holds at the granule's start, before its first row */
};

/* How the canonical frame address (the caller's rsp at the call) is found: unwind_rule.cfa. */
enum unwind_cfa {
	CFA_NONE,        /* no information about this code: the walker may try the frame pointer */
	CFA_ROOT,        /* the return address is undefined: this is the outermost frame */
	CFA_SIGNAL,      /* a signal trampoline: the interrupted registers are in the rt_sigframe at rsp */
	CFA_UNSUPPORTED, /* there is information, but not of a form that fits here */
	CFA_REGISTER,    /* reg + offset */
	CFA_MEMORY,      /* *(reg + offset) + add */
	CFA_INDEXED,     /* *(rsp + 8 * reg + offset) + add */
	CFA_PLT,         /* rsp + 8 + ((pc & 15) >= offset ? 8 : 0): the lazy-binding stubs' one expression */
	CFA_STACK_TOP,   /* on the goroutine's stack, by its distance from that stack's top: see rule_stack_top */
	CFA_GOROUTINE,   /* on the goroutine's stack, as the Go runtime has saved it: see rule_goroutine */
	NR_CFAS,
};

/* How rbp and the return address of the caller are found: unwind_rule.rbp and .ra. */
enum unwind_value {
	VALUE_SAME,        /* unchanged (rbp only) */
	VALUE_AT_CFA,      /* saved at CFA + offset */
	VALUE_AT_REGISTER, /* saved at *reg* + offset */
	VALUE_REGISTER,    /* reg + offset itself */
	VALUE_UNDEFINED,   /* not recoverable: 0 */
	NR_VALUES,
};

/*
 * Of the registers that a function has to preserve, rbp serves as a frame's base nearly everywhere; rbx does in the
 * dynamic linker's lazy binding, whose caller can be any function. Its value is followed for as long as each frame has
 * it unchanged or saved next to the CFA, which is what compilers do.
 */
enum {
	RBX_SAME = 0,       /* unchanged; nothing is ever saved at the CFA itself */
	RBX_LOST = -0x8000, /* in a way that a rule has no room for */
};

enum {
	/* Deduced from instructions, not said by the file: the walker wants evidence for the return address. */
	RULE_INFERRED = 1,
	/* The caller's frame is on another stack, which may lie below this one. */
	RULE_OTHER_STACK = 2,
	/* The return address was put there by someone else: the caller was about to execute it, it is behind no call.
	 */
	RULE_CALLER_EXACT = 4,
};

struct unwind_rule {
	__u8 cfa : 4;     /* enum unwind_cfa */
	__u8 cfa_reg : 4; /* enum dwarf_register; other than rsp, rbp and rbx only a leaf's value is known */
	__u8 rbp : 4;     /* enum unwind_value */
	__u8 rbp_reg : 4;
	__u8 ra : 4; /* enum unwind_value */
	__u8 ra_reg : 4;
	__u8 flags; /* RULE_* */
	__s16 ra_offset;
	__s16 rbx_offset; /* saved at CFA + this, or RBX_* */
	__s32 cfa_offset;
	__s16 cfa_add;
	__s16 rbp_offset;
};

/*
 * CFA_GOROUTINE: Go keeps a pointer to its state of the current stack in thread-local memory; that leads to the
 * thread's, and from there to the goroutine whose stack was left, with the rsp and pc that it was left with. CFA is
 * that rsp + cfa_add. The return address is at CFA - 8 (ra is VALUE_AT_CFA) or the saved pc itself (VALUE_SAME); rbp is
 * unchanged or saved in the goroutine's state, at rbp_offset (VALUE_AT_REGISTER).
 */
struct rule_goroutine {
	__s16 tls;       /* of the current stack's state, from the thread's base: low half of cfa_offset */
	__s16 thread;    /* of the thread's state in it: high half of cfa_offset */
	__s16 goroutine; /* of the goroutine's state in the thread's: rbx_offset (what rbx was is lost) */
	__s16 saved;     /* of {rsp, pc} in the goroutine's: ra_offset */
};

static inline struct rule_goroutine rule_goroutine(const struct unwind_rule *rule)
{
	return (struct rule_goroutine){
		.tls = (__s16)rule->cfa_offset,
		.thread = (__s16)(rule->cfa_offset >> 16),
		.goroutine = rule->rbx_offset,
		.saved = rule->ra_offset,
	};
}

/*
 * CFA_STACK_TOP: the frame holds a pointer to the goroutine's state, whose stack may have been moved since, and how far
 * below that stack's top rsp was. CFA is that rsp + cfa_add, the return address at CFA - 8; rbp is unchanged.
 */
struct rule_stack_top {
	__s16 state;    /* of the pointer, from rsp: low half of cfa_offset */
	__s16 distance; /* of the distance, from rsp: high half of cfa_offset */
	__s16 top;      /* of the address of the stack's top in the state: rbx_offset (what rbx was is lost) */
};

static inline struct rule_stack_top rule_stack_top(const struct unwind_rule *rule)
{
	return (struct rule_stack_top){
		.state = (__s16)rule->cfa_offset,
		.distance = (__s16)(rule->cfa_offset >> 16),
		.top = rule->rbx_offset,
	};
}

_Static_assert(sizeof(struct unwind_row) == 4, "a row is 4 bytes");
_Static_assert(sizeof(struct unwind_granule) == 8, "an index entry is 8 bytes");
_Static_assert(sizeof(struct unwind_rule) == 16, "a rule is 16 bytes, no padding: rules are compared as bytes");

/* The rules with fixed meanings have these numbers in every table; others follow. */
enum {
	RULE_NONE,
	RULE_ROOT,
	RULE_SIGNAL,
	RULE_UNSUPPORTED,
	RULE_FIRST_FREE,
};

#endif
