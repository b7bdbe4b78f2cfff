/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape_assembly SECONDS MODE - hand-written assembly: libc's, and some without any unwind information (x86-64).
 *
 *   strings   some twenty of libc's string functions on lengths of all kinds, each called by a function of its own,
 *             call_NAME; which variant runs is libc's choice (GLIBC_TUNABLES)
 *   direct    a leaf without unwind information, called directly
 *   pointer   the same through a pointer, by `call *%rax` and by `call *8(%rbx)`
 *   bp        the same, while rbp points nowhere
 */
#include <string.h>
#include <wchar.h>

#include "work.h"

#ifndef __x86_64__
#error the workload is written for x86-64
#endif

enum { BYTES = 1 << 16 };

static char left[BYTES + 64] __attribute__((aligned(64))), right[BYTES + 64] __attribute__((aligned(64)));
static wchar_t wide[BYTES / 8], other_wide[BYTES / 8];
static volatile size_t sink;

/* NAME(function, what it is called with: n bytes, texts of n characters) */
#define STRING_CALLS(NAME)                                                                                             \
	NAME(memcpy, (size_t)memcpy(left, right + 3, n))                                                               \
	NAME(memmove, (size_t)memmove(left + 5, left, n))                                                              \
	NAME(memset, (size_t)memset(left, 'a', n))                                                                     \
	NAME(mempcpy, (size_t)mempcpy(left, right, n))                                                                 \
	NAME(memcmp, (size_t)memcmp(left, right, n))                                                                   \
	NAME(memchr, (size_t)memchr(left, 0, n))                                                                       \
	NAME(memrchr, (size_t)memrchr(left, 0, n))                                                                     \
	NAME(rawmemchr, (size_t)rawmemchr(left, 0))                                                                    \
	NAME(strlen, strlen(left))                                                                                     \
	NAME(strnlen, strnlen(left, n))                                                                                \
	NAME(strchr, (size_t)strchr(left, 'b'))                                                                        \
	NAME(strrchr, (size_t)strrchr(left, 'b'))                                                                      \
	NAME(strchrnul, (size_t)strchrnul(left, 'b'))                                                                  \
	NAME(strcmp, (size_t)strcmp(left, right))                                                                      \
	NAME(strncmp, (size_t)strncmp(left, right, n))                                                                 \
	NAME(strcasecmp, (size_t)strcasecmp(left, right))                                                              \
	NAME(strcpy, (size_t)strcpy(right, left))                                                                      \
	NAME(strncpy, (size_t)strncpy(right, left, n))                                                                 \
	NAME(stpcpy, (size_t)stpcpy(right, left))                                                                      \
	NAME(strspn, strspn(left, "ab"))                                                                               \
	NAME(strcspn, strcspn(left, "bc"))                                                                             \
	NAME(wcslen, wcslen(wide))                                                                                     \
	NAME(wcscmp, (size_t)wcscmp(wide, other_wide))                                                                 \
	NAME(wmemset, (size_t)wmemset(wide, L'a', n / 8))

#define DEFINE(name, call)                                                                                             \
	WORK void call_##name(size_t n)                                                                                \
	{                                                                                                              \
		(void)n;                                                                                               \
		sink = (call);                                                                                         \
	}
STRING_CALLS(DEFINE)

static void fill(size_t n)
{
	memset(left, 'a', n);
	left[n] = 0;
	memcpy(right, left, n + 1);
	for (size_t i = 0; i < n / 8; i++)
		wide[i] = other_wide[i] = L'a';
	wide[n / 8] = other_wide[n / 8] = 0;
}

WORK void run_strings(unsigned long spins)
{
	static const size_t lengths[] = {3, 17, 40, 100, 300, 1000, 5000, 30000};

	for (unsigned long left_spins = spins / 400000 + 1; left_spins; left_spins--) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			fill(lengths[i]);
#define CALL(name, call) call_##name(lengths[i]);
			for (int again = 0; again < (i < 5 ? 20 : 1); again++) {
				STRING_CALLS(CALL)
			}
		}
	}
	NOT_A_TAIL_CALL();
}

void bare_leaf(unsigned long spins);
void bare_call_rax(unsigned long spins);
void bare_call_memory(unsigned long spins);
void bare_bp(unsigned long spins);

static void (*const targets[2])(unsigned long) __attribute__((used)) = {bare_leaf, bare_leaf};

/* Callers with unwind information, a leaf without. */
__asm__(".text\n.globl bare_leaf\n.type bare_leaf, @function\n"
	"bare_leaf: 1: sub $1, %rdi\njne 1b\nret\n.size bare_leaf, . - bare_leaf\n"

	".globl bare_call_rax\n.type bare_call_rax, @function\n"
	"bare_call_rax:\n.cfi_startproc\n"
	"sub $8, %rsp\n.cfi_adjust_cfa_offset 8\n"
	"lea bare_leaf(%rip), %rax\ncall *%rax\n"
	"add $8, %rsp\n.cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\n.size bare_call_rax, . - bare_call_rax\n"

	".globl bare_call_memory\n.type bare_call_memory, @function\n"
	"bare_call_memory:\n.cfi_startproc\n"
	"push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbx, -16\n"
	"lea targets(%rip), %rbx\ncall *8(%rbx)\n"
	"pop %rbx\n.cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\n.size bare_call_memory, . - bare_call_memory\n"

	".globl bare_bp\n.type bare_bp, @function\n"
	"bare_bp:\n.cfi_startproc\n"
	"push %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbp, -16\n"
	"mov $0x1234, %ebp\ncall bare_leaf\n"
	"pop %rbp\n.cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\n.size bare_bp, . - bare_bp\n");

WORK void run_direct(unsigned long spins)
{
	bare_leaf(spins);
	NOT_A_TAIL_CALL();
}

WORK void run_pointer(unsigned long spins)
{
	bare_call_rax(spins / 2 + 1);
	bare_call_memory(spins / 2 + 1);
	NOT_A_TAIL_CALL();
}

WORK void run_bp(unsigned long spins)
{
	bare_bp(spins);
	NOT_A_TAIL_CALL();
}

static const struct {
	const char *name;
	work_fn *work;
} modes[] = {
	{"strings", run_strings},
	{"direct", run_direct},
	{"pointer", run_pointer},
	{"bp", run_bp},
};

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);

	for (size_t i = 0; argc > 2 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[2]))
			continue;
		say_ready();
		print_line(modes[i].name, run_for(modes[i].work, limit_ns));
		return 0;
	}
	return 2;
}
