/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_switches.c - how does a walk get from one stack of a Go thread to the other?
 *
 * A goroutine's stack is small, so the runtime runs its own work, C code and the vdso on the thread's stack. The switch
 * happens in the middle of a few hand-written functions, one instruction of which sets rsp. How their caller is found
 * from then on, they show themselves:
 *
 * - Most have a frame pointer, which the code that they call preserves like any other: the caller is where rbp points,
 *   on whichever stack that is. runtime.cgocallback, which enters Go from C, leads to the C code in this way, and
 *   runtime.asmcgocall from there to the goroutine.
 * - runtime.systemstack and runtime.asmcgocall had none before Go 1.21, runtime.morestack has none at all. They save
 * rsp and pc in the goroutine's state, to which a chain of pointers leads from thread-local memory. The offsets on the
 * way change with releases; the instructions of runtime.systemstack that follow that chain have them.
 * - runtime.mcall and runtime.gogo don't come back: what is left is no caller, and the stack that they go to begins
 * there.
 *
 * The instructions are found by their bytes, without decoding what lies between: these functions are a page of code
 * that changes little, and where an expected instruction is missing, the rule is "unsupported" rather than a guess.
 */
#include "go_switches.h"

#include <string.h>

#include "memory.h"

enum {
	NO_PLACE = -1,
	RBP_SLOT = -16, /* of a frame made by "push %rbp": right below the return address */
};

static const struct unwind_rule root = {.cfa = CFA_ROOT};
static const struct unwind_rule unsupported = {.cfa = CFA_UNSUPPORTED};

/* --- by name --------------------------------------------------------------------------------------------------------
 */

static bool is_one_of(const char *name, const char *const *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

#define IS_ONE_OF(name, ...)                                                                                           \
	({                                                                                                             \
		static const char *const names_[] = {__VA_ARGS__};                                                     \
		is_one_of(name, names_, ARRAY_SIZE(names_));                                                           \
	})

bool go_function_is_root(const struct go_function *function)
{
	/* The kernel calls signal handlers, and its frame leads on. */
	if (function->flags & GO_FUNCTION_TOP)
		return strncmp(function->name, "runtime.sigtramp", 16) != 0;
	return IS_ONE_OF(function->name, "runtime.goexit", "runtime.mstart", "runtime.rt0_go", "_rt0_amd64",
			 "_rt0_amd64_linux");
}

bool go_function_is_trampoline(const struct go_function *function)
{
	return IS_ONE_OF(function->name, "runtime.sigreturn", "runtime.sigreturn__sigaction");
}

bool go_function_is_injected(const struct go_function *function)
{
	return IS_ONE_OF(function->name, "runtime.asyncPreempt", "runtime.sigpanic", "runtime.sigpanic0");
}

/* Before Go 1.17 no flag tells. */
static bool sets_rsp(const struct go_function *function)
{
	return function->flags & GO_FUNCTION_MOVES_SP ||
	       IS_ONE_OF(function->name, "runtime.systemstack", "runtime.asmcgocall", "runtime.cgocallback",
			 "runtime.cgocallback_gofunc", "runtime.mcall", "runtime.morestack", "gogo", "runtime.gogo",
			 "runtime.nanotime1", "runtime.walltime1", "time.now", "runtime.clone");
}

/* --- instructions ---------------------------------------------------------------------------------------------------
 */

static ptrdiff_t find(const struct go_code *code, size_t from, const void *bytes, size_t size)
{
	const uint8_t *found = from < code->size ? memmem(code->bytes + from, code->size - from, bytes, size) : NULL;

	return found ? found - code->bytes : NO_PLACE;
}
#define FIND(code, from, ...)                                                                                          \
	({                                                                                                             \
		static const uint8_t bytes_[] = {__VA_ARGS__};                                                         \
		find(code, from, bytes_, sizeof(bytes_));                                                              \
	})

/* Bytes of an instruction "mov ..., %rsp", 0 = it is another one. */
static size_t length_of_mov_to_rsp(const uint8_t *bytes, size_t size)
{
	if (size < 3 || (bytes[0] & 0xf8) != 0x48)
		return 0;
	uint8_t mode = bytes[2] >> 6, reg = bytes[2] >> 3 & 7, rm = bytes[2] & 7;
	bool is_high_reg = bytes[0] & 4, is_high_rm = bytes[0] & 1;

	if (bytes[1] == 0x89)
		return mode == 3 && rm == 4 && !is_high_rm ? 3 : 0;
	if (bytes[1] != 0x8b || reg != 4 || is_high_reg)
		return 0;
	/* From a register, or from memory with a displacement of 0, 1 or 4 bytes; rm 4 has one more byte. */
	if (mode == 3)
		return 3;
	return (mode == 0 ? 3 : mode == 1 ? 4 : 7) + (rm == 4);
}

/* The end of the next instruction that sets rsp, or NO_PLACE. */
static ptrdiff_t next_switch(const struct go_code *code, size_t from)
{
	for (size_t i = from; i < code->size; i++) {
		size_t length = length_of_mov_to_rsp(code->bytes + i, code->size - i);

		if (length && i + length <= code->size)
			return (ptrdiff_t)(i + length);
	}
	return NO_PLACE;
}

/* The displacement behind an instruction's bytes, of 1 or 4 bytes; false when the instruction isn't there. */
static bool read_displacement(const struct go_code *code, ptrdiff_t place, size_t opcode_size, bool is_wide,
			      int16_t *ret)
{
	size_t at = (size_t)place + opcode_size;
	int32_t wide;

	if (place < 0 || at + (is_wide ? sizeof(wide) : 1) > code->size)
		return false;
	if (is_wide)
		memcpy(&wide, code->bytes + at, sizeof(wide));
	else
		wide = (int8_t)code->bytes[at];
	*ret = (int16_t)wide;
	return wide == *ret;
}

static void learn_from_systemstack(struct go_layout *layout, const struct go_code *code)
{
	struct rule_goroutine place;
	/* mov %fs:tls,%rax; or mov $tls,%rcx; mov %fs:(%rcx),%rax */
	bool found = read_displacement(code, FIND(code, 0, 0x64, 0x48, 0x8b, 0x04, 0x25), 5, true, &place.tls);
	ptrdiff_t indirect = FIND(code, 0, 0x64, 0x48, 0x8b, 0x01);

	if (!found && indirect >= 7 && memcmp(code->bytes + indirect - 7, "\x48\xc7\xc1", 3) == 0)
		found = read_displacement(code, indirect - 7, 3, true, &place.tls);
	/* mov thread(%rax),%rbx; cmp goroutine(%rbx),%rax; mov saved(%rax),%rsp */
	layout->known = found && read_displacement(code, FIND(code, 0, 0x48, 0x8b, 0x58), 3, false, &place.thread) &&
			read_displacement(code, FIND(code, 0, 0x48, 0x3b, 0x83), 3, true, &place.goroutine) &&
			read_displacement(code, FIND(code, 0, 0x48, 0x8b, 0x60), 3, false, &place.saved);
	if (layout->known)
		layout->place = place;
}

void go_layout_learn(struct go_layout *layout, const struct go_function *function, const struct go_code *code)
{
	/* There are variants for different calling conventions that only jump. */
	if (!layout->known && strcmp(function->name, "runtime.systemstack") == 0)
		learn_from_systemstack(layout, code);
	if (layout->rbp || strcmp(function->name, "runtime.morestack") != 0)
		return;
	/* mov %rbp,saved(%rdi); in older releases %rsi */
	if (!read_displacement(code, FIND(code, 0, 0x48, 0x89, 0x6f), 3, false, &layout->rbp))
		read_displacement(code, FIND(code, 0, 0x48, 0x89, 0x6e), 3, false, &layout->rbp);
}

/* --- spans ----------------------------------------------------------------------------------------------------------
 */

/* From one place in the function's code to another; NO_PLACE = its end. */
static void add_span(struct go_spans *spans, const struct go_frame *frame, ptrdiff_t from, ptrdiff_t to,
		     const struct unwind_rule *rule)
{
	uint64_t end = to == NO_PLACE ? frame->function.end : frame->code.start + (uint64_t)to;

	if (frame->code.start + (uint64_t)from < end)
		*vector_push(&spans->list) =
			(struct go_span){.start = frame->code.start + (uint64_t)from, .end = end, .rule = *rule};
}

static struct unwind_rule goroutine_rule(const struct go_layout *layout)
{
	return (struct unwind_rule){
		.cfa = CFA_GOROUTINE,
		.cfa_offset = (int32_t)((uint32_t)layout->place.thread << 16 | (uint16_t)layout->place.tls),
		.rbx_offset = layout->place.goroutine,
		.ra_offset = layout->place.saved,
	};
}

/* rsp as saved is that of the call: the return address of the function itself is the first thing there. */
static struct unwind_rule left_goroutine_rule(const struct go_layout *layout)
{
	struct unwind_rule rule = goroutine_rule(layout);

	if (!layout->known)
		return unsupported;
	rule.ra = VALUE_AT_CFA;
	rule.cfa_add = 8;
	return rule;
}

/* What morestack saves is the state of its caller; it never returns. */
static struct unwind_rule grown_goroutine_rule(const struct go_layout *layout)
{
	struct unwind_rule rule = goroutine_rule(layout);

	if (!layout->known || !layout->rbp)
		return unsupported;
	rule.rbp = VALUE_AT_REGISTER;
	rule.rbp_offset = layout->rbp;
	return rule;
}

/* mov disp(%rsp),%rbp: from here on rbp is the caller's again, and rsp that of this frame. */
static uint64_t find_restored(const struct go_frame *frame, uint64_t start, uint64_t end)
{
	const struct go_code *code = &frame->code;

	for (size_t i = start - code->start; i + 5 <= code->size && code->start + i < end; i++) {
		if (memcmp(code->bytes + i, "\x48\x8b\x6c\x24", 4) == 0)
			return code->start + i + 5;
	}
	return end;
}

/* Where there is a frame pointer, rsp doesn't matter. */
static void add_framed(const struct go_frame *frame, struct go_spans *spans)
{
	const struct go_saved_rbp *rbp = &frame->rbp;

	for (size_t i = 0; i < frame->pieces.nr; i++) {
		const struct go_piece *piece = &frame->pieces.data[i];
		uint64_t start = piece->start < rbp->pointed ? rbp->pointed : piece->start;

		if (piece->delta <= 0 || start >= piece->end)
			continue;
		*vector_push(&spans->list) = (struct go_span){
			.start = start,
			.end = find_restored(frame, start, piece->end),
			.rule = {.cfa = CFA_REGISTER,
				 .cfa_reg = DWARF_RBP,
				 .cfa_offset = -rbp->offset,
				 .ra = VALUE_AT_CFA,
				 .ra_offset = -8,
				 .rbp = VALUE_AT_CFA,
				 .rbp_offset = rbp->offset,
				 .rbx_offset = RBX_LOST,
				 .flags = RULE_OTHER_STACK},
		};
	}
}

/*
 * runtime.asmcgocall when it is on the thread's stack already: {sub $size,%rsp; and $-16,%rsp}, then it stores what rsp
 * was, which meanwhile is in rdx: mov %rdx,place(%rsp).
 */
static void add_realigned(const struct go_frame *frame, ptrdiff_t from, struct go_spans *spans)
{
	const struct go_code *code = &frame->code;
	ptrdiff_t sub = FIND(code, (size_t)from, 0x48, 0x83, 0xec);
	ptrdiff_t store = FIND(code, (size_t)from, 0x48, 0x89, 0x54, 0x24);
	int16_t place;

	if (sub == NO_PLACE || store < sub || !read_displacement(code, store, 4, false, &place))
		return;
	struct unwind_rule in_register = {.cfa = CFA_REGISTER,
					  .cfa_reg = DWARF_RDX,
					  .cfa_offset = 8,
					  .ra = VALUE_AT_CFA,
					  .ra_offset = -8,
					  .rbx_offset = RBX_LOST};
	struct unwind_rule in_memory = {.cfa = CFA_MEMORY,
					.cfa_reg = DWARF_RSP,
					.cfa_offset = place,
					.cfa_add = 8,
					.ra = VALUE_AT_CFA,
					.ra_offset = -8,
					.rbx_offset = RBX_LOST};

	add_span(spans, frame, sub + 4, store + 5, &in_register);
	add_span(spans, frame, store + 5, next_switch(code, (size_t)store + 5), &in_memory);
}

/*
 * What runtime.asmcgocall stores on the thread's stack for its way back: the goroutine's state, and how far below the
 *top of that one's stack it was. The saved rsp is no use for long: if the C code calls Go, that overwrites it.
 *
 *	mov %rdi,state(%rsp); mov top(%rdi),%rdi; sub %rdx,%rdi; mov %rdi,distance(%rsp)
 */
static void add_stored_distance(const struct go_frame *frame, ptrdiff_t from, ptrdiff_t to, struct go_spans *spans)
{
	const struct go_code *code = &frame->code;
	ptrdiff_t sub = FIND(code, (size_t)from, 0x48, 0x29, 0xd7);
	ptrdiff_t state = FIND(code, (size_t)from, 0x48, 0x89, 0x7c, 0x24);
	ptrdiff_t top = FIND(code, (size_t)from, 0x48, 0x8b, 0x7f);
	ptrdiff_t distance = sub == NO_PLACE ? NO_PLACE : FIND(code, (size_t)sub, 0x48, 0x89, 0x7c, 0x24);
	struct rule_stack_top place;

	if (state > top || top > sub || !read_displacement(code, state, 4, false, &place.state) ||
	    !read_displacement(code, top, 3, false, &place.top) ||
	    !read_displacement(code, distance, 4, false, &place.distance)) {
		add_span(spans, frame, from, to, &unsupported);
		return;
	}
	struct unwind_rule rule = {
		.cfa = CFA_STACK_TOP,
		.ra = VALUE_AT_CFA,
		.ra_offset = -8,
		.cfa_offset = (int32_t)((uint32_t)place.distance << 16 | (uint16_t)place.state),
		.cfa_add = 8,
		.rbx_offset = place.top,
	};

	add_span(spans, frame, distance + 5, to, &rule);
}

static void add_asmcgocall(const struct go_frame *frame, const struct go_layout *layout, ptrdiff_t away, ptrdiff_t back,
			   struct go_spans *spans)
{
	struct unwind_rule left = left_goroutine_rule(layout);

	/* Spans that begin later hold. */
	add_span(spans, frame, away, back, &left);
	add_stored_distance(frame, away, back, spans);
	add_realigned(frame, back == NO_PLACE ? away : back, spans);
}

void go_switches_add(const struct go_frame *frame, const struct go_layout *layout, struct go_spans *spans)
{
	const char *name = frame->function.name;
	ptrdiff_t away = sets_rsp(&frame->function) ? next_switch(&frame->code, 0) : NO_PLACE;
	ptrdiff_t back = away == NO_PLACE ? NO_PLACE : next_switch(&frame->code, (size_t)away);
	struct unwind_rule left = left_goroutine_rule(layout);

	if (away == NO_PLACE)
		return;
	if (IS_ONE_OF(name, "runtime.mcall", "gogo", "runtime.gogo", "runtime.clone")) {
		add_span(spans, frame, away, NO_PLACE, &root);
	} else if (strcmp(name, "runtime.morestack") == 0) {
		struct unwind_rule grown = grown_goroutine_rule(layout);

		add_span(spans, frame, away, NO_PLACE, &grown);
	} else if (frame->rbp.pointed) {
		add_framed(frame, spans);
	} else if (strcmp(name, "runtime.asmcgocall") == 0) {
		add_asmcgocall(frame, layout, away, back, spans);
	} else if (strcmp(name, "runtime.systemstack") == 0) {
		/* "mov saved(%rdx),%rbx; mov %rbx,%rsp" in some releases, and back by "mov saved(%rax),%rsp". */
		add_span(spans, frame, away, back, &left);
	} else {
		add_span(spans, frame, away, NO_PLACE, &unsupported);
	}
}
