/* SPDX-License-Identifier: Apache-2.0 */
/*
 * odd SECONDS MODE - assembly that no walker can get past, each for its own reason (x86-64):
 *
 *   expression   the frame's address by a DWARF expression of a kind that no compiler emits; it is true
 *   register     the frame's address relative to r10, which the function called has overwritten; a leaf would be fine
 *   unreadable   the stack pointer points at address 16 while it spins
 *   backwards    the frame's address below the stack pointer
 *   nowhere      a return address at which there is nothing
 *   edge         the same on a stack of its own, with no memory right below the stack pointer
 *   nothing      no unwind information, a stack of its own, and a frame pointer that points nowhere
 */
#include <string.h>
#include <sys/mman.h>

#include "work.h"

#ifndef __x86_64__
#error the workload is written for x86-64
#endif

work_fn odd_expression, odd_register, odd_unreadable, odd_backwards, odd_nothing, odd_nowhere, odd_edge, odd_callee;
char *odd_edge_stack;

WORK void odd_callee(unsigned long spins)
{
	__asm__ volatile("xor %%r10d, %%r10d" ::: "r10");
	BURN(spins);
}

#define FUNCTION(name) ".globl " name "\n.type " name ", @function\n" name ":\n"
#define END(name)      ".size " name ", . - " name "\n"
#define SPIN           "1: sub $1, %rdi\njne 1b\n"

__asm__(".text\n"
	FUNCTION("odd_expression")
	".cfi_startproc\n"
	/* DW_CFA_def_cfa_expression, 5 bytes: breg7 +8, dup, drop, nop */
	".cfi_escape 0x0f, 0x05, 0x77, 0x08, 0x12, 0x13, 0x96\n"
	SPIN "ret\n.cfi_endproc\n" END("odd_expression")

	FUNCTION("odd_register")
	".cfi_startproc\n"
	"lea 8(%rsp), %r10\n"
	".cfi_def_cfa %r10, 0\n"
	"sub $8, %rsp\n"
	"call odd_callee\n"
	"add $8, %rsp\n"
	".cfi_def_cfa %rsp, 8\n"
	"ret\n.cfi_endproc\n" END("odd_register")

	FUNCTION("odd_unreadable")
	".cfi_startproc\n"
	"mov %rsp, %rax\n"
	"mov $16, %esp\n"
	SPIN
	"mov %rax, %rsp\n"
	"ret\n.cfi_endproc\n" END("odd_unreadable")

	FUNCTION("odd_backwards")
	".cfi_startproc\n"
	"push %rbp\n"
	"lea -4096(%rsp), %rbp\n"
	".cfi_def_cfa %rbp, 16\n"
	SPIN
	"pop %rbp\n"
	".cfi_def_cfa %rsp, 8\n"
	"ret\n.cfi_endproc\n" END("odd_backwards")

	FUNCTION("odd_nothing")
	"push %rbp\n"
	"mov $0x1234, %ebp\n"
	"mov %rsp, odd_rsp(%rip)\n"
	"lea odd_stack + 256(%rip), %rsp\n"
	SPIN
	"mov odd_rsp(%rip), %rsp\n"
	"pop %rbp\n"
	"ret\n" END("odd_nothing")
	".local odd_rsp, odd_stack\n"
	".comm odd_rsp, 8, 8\n"
	".comm odd_stack, 512, 16\n"

	FUNCTION("odd_nowhere")
	".cfi_startproc\n"
	"push $0x12345678\n"
	SPIN
	"add $8, %rsp\n"
	"ret\n.cfi_endproc\n" END("odd_nowhere")

	FUNCTION("odd_edge")
	".cfi_startproc\n"
	"mov %rsp, %rax\n"
	"mov odd_edge_stack(%rip), %rsp\n"
	"push $0x12345678\n"
	SPIN
	"mov %rax, %rsp\n"
	"ret\n.cfi_endproc\n" END("odd_edge"));

static const struct {
	const char *name;
	work_fn *work;
} modes[] = {
	{ "expression", odd_expression }, { "register", odd_register }, { "unreadable", odd_unreadable },
	{ "backwards", odd_backwards },	  { "nothing", odd_nothing },
	{ "nowhere", odd_nowhere }, { "edge", odd_edge },
};

enum { PAGE = 4096 };

/* One page of stack above one that can't be read. NULL = there is no memory. */
static char *edge_stack(void)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE))
		return NULL;
	return pages + PAGE + 8;
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);

	odd_edge_stack = edge_stack();
	if (!odd_edge_stack)
		return 3;
	for (size_t i = 0; argc > 2 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[2]))
			continue;
		say_ready();
		/* What lies below the stack pointer must be readable for "backwards". */
		memset(__builtin_alloca(16384), 0, 16384);
		print_line(modes[i].name, run_for(modes[i].work, limit_ns));
		return 0;
	}
	return 2;
}
