/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape_signals SECONDS MODE [altstack] - signals that hit at every kind of instruction (x86-64).
 *
 *   anywhere   a timer interrupts fine <- small <- short_lived <- interrupted, tiny functions that are mostly prologue
 * and epilogue, at whatever instruction it happens to; the handler works in handler_work nested     the handler of one
 * timer is interrupted by that of a faster one ud2        SIGILL by the first instruction of a function, which follows
 * another one without a gap int3       SIGTRAP by the first instruction of a function: pc is behind it segv SIGSEGV by
 * the first instruction of a function restorer   the handler returns to a function of ours without any unwind
 * information restorer32 likewise, with the shorter way to load the number of the system call null       SIGSEGV by a
 * call of address 0
 *
 * Nothing here reads a clock while it is interrupted: the handlers count, so that the chain of callers is the one that
 * the source says and no other.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "work.h"

#ifndef __x86_64__
#error the workload is written for x86-64
#endif

static volatile sig_atomic_t is_over;
static volatile unsigned long sink;
static uint64_t limit_ns;

WORK void handler_work(unsigned long spins)
{
	BURN(spins);
}

static int used_up(void)
{
	struct timespec now;

	/* The system call itself: libc's function may have been what the signal interrupted. */
	syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec >= limit_ns;
}

/* --- asynchronous ------------------------------------------------------------------------------------------------ */

WORK void on_timer(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	handler_work(3000000);
	is_over = used_up();
}

WORK void inner_handler(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	handler_work(1000000);
}

WORK void outer_work(unsigned long spins)
{
	BURN(spins);
}

WORK void outer_handler(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	outer_work(20000000);
	is_over = used_up();
}

WORK unsigned long fine(unsigned long a, unsigned long b)
{
	return a * 3 + b;
}

/* Five registers to save, and hardly anything in between. */
WORK unsigned long small(unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e)
{
	unsigned long x = fine(a, b);

	x += fine(b, c);
	x += fine(c, d);
	return x + fine(d, e) + a + b + c + d + e;
}

WORK unsigned long short_lived(unsigned long a)
{
	volatile unsigned long room[40];

	room[a % 40] = a;
	return small(a, a + 1, a + 2, a + 3, room[a % 40]) + 1;
}

WORK void interrupted(void)
{
	while (!is_over)
		sink = short_lived(sink) + sink;
}

static void start_timer(int which, int signal, void (*handler)(int, siginfo_t *, void *), int flags, long period_us)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART | flags};
	struct itimerval every = {.it_interval = {.tv_usec = period_us}, .it_value = {.tv_usec = period_us}};

	sigaction(signal, &action, NULL);
	setitimer(which, &every, NULL);
}

static void stop_timers(void)
{
	struct itimerval never = {.it_value = {0}};

	setitimer(ITIMER_REAL, &never, NULL);
	setitimer(ITIMER_PROF, &never, NULL);
}

WORK void run_anywhere(int flags)
{
	start_timer(ITIMER_PROF, SIGPROF, on_timer, flags, 4000);
	interrupted();
	stop_timers();
}

WORK void run_nested(int flags)
{
	start_timer(ITIMER_REAL, SIGALRM, inner_handler, flags, 1000);
	start_timer(ITIMER_PROF, SIGPROF, outer_handler, flags, 20000);
	interrupted();
	stop_timers();
}

/* --- synchronous ------------------------------------------------------------------------------------------------- */

void before_first(void);
void first_ud2(void);
void first_int3(void);
void first_segv(long *address);
void own_restorer(void);
void own_restorer32(void);

/* No padding anywhere: one byte lower lies in another function. */
__asm__(".text\n"
	".globl before_first, first_ud2, first_int3, first_segv, own_restorer, own_restorer32\n"
	".type before_first, @function\n.type first_ud2, @function\n.type first_int3, @function\n"
	".type first_segv, @function\n.type own_restorer, @function\n.type own_restorer32, @function\n"
	"before_first:\n.cfi_startproc\n"
	"push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbx, -16\n"
	"sub $32, %rsp\n.cfi_adjust_cfa_offset 32\n"
	"call abort\n.cfi_endproc\n.size before_first, . - before_first\n"
	"first_ud2:\n.cfi_startproc\n"
	"ud2\nret\n.cfi_endproc\n.size first_ud2, . - first_ud2\n"
	"first_int3:\n.cfi_startproc\n"
	"int3\nret\n.cfi_endproc\n.size first_int3, . - first_int3\n"
	"first_segv:\n.cfi_startproc\n"
	"movq $1, (%rdi)\nret\n.cfi_endproc\n.size first_segv, . - first_segv\n"
	"own_restorer: mov $15, %rax\nsyscall\n.size own_restorer, . - own_restorer\n"
	"between:\n.cfi_startproc\nsub $8, %rsp\n.cfi_adjust_cfa_offset 8\ncall abort\n.cfi_endproc\n"
	".type between, @function\n.size between, . - between\n"
	"own_restorer32: mov $15, %eax\nsyscall\n.size own_restorer32, . - own_restorer32\n");

enum { UD2_BYTES = 2, MOVQ_IMMEDIATE_BYTES = 7 };

WORK void on_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted_at = context;
	greg_t *registers = interrupted_at->uc_mcontext.gregs;

	(void)info;
	handler_work(2000000);
	is_over = used_up();
	if (number == SIGILL)
		registers[REG_RIP] += UD2_BYTES;
	if (number == SIGSEGV && registers[REG_RIP])
		registers[REG_RIP] += MOVQ_IMMEDIATE_BYTES;
	if (number == SIGSEGV && !registers[REG_RIP]) {
		registers[REG_RIP] = *(greg_t *)registers[REG_RSP];
		registers[REG_RSP] += 8;
	}
}

WORK void raise_ud2(void)
{
	first_ud2();
	NOT_A_TAIL_CALL();
}

WORK void raise_int3(void)
{
	first_int3();
	NOT_A_TAIL_CALL();
}

WORK void raise_segv(void)
{
	first_segv((long *)16);
	NOT_A_TAIL_CALL();
}

static void (*volatile nowhere)(void);

WORK void call_null(void)
{
	nowhere();
	NOT_A_TAIL_CALL();
}

WORK void run_faults(void (*raise_one)(void), int flags)
{
	static const int signals[] = {SIGILL, SIGTRAP, SIGSEGV};
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	while (!is_over)
		raise_one();
}

/* --- a restorer of our own --------------------------------------------------------------------------------------- */

/* What the kernel takes; libc's structure is another one, and libc puts its own restorer in. */
struct kernel_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

WORK void run_restorer(void (*restorer)(void), int flags)
{
	enum { USES_RESTORER = 0x04000000 };
	struct kernel_sigaction action = {
		.handler = on_fault,
		.flags = SA_SIGINFO | USES_RESTORER | (unsigned long)flags,
		.restorer = restorer,
	};

	syscall(SYS_rt_sigaction, SIGILL, &action, NULL, sizeof(action.mask));
	while (!is_over)
		raise_ud2();
}

WORK int run_mode(const char *mode, int flags)
{
	if (!strcmp(mode, "anywhere"))
		run_anywhere(flags);
	else if (!strcmp(mode, "nested"))
		run_nested(flags);
	else if (!strcmp(mode, "ud2"))
		run_faults(raise_ud2, flags);
	else if (!strcmp(mode, "int3"))
		run_faults(raise_int3, flags);
	else if (!strcmp(mode, "segv"))
		run_faults(raise_segv, flags);
	else if (!strcmp(mode, "null"))
		run_faults(call_null, flags);
	else if (!strcmp(mode, "restorer"))
		run_restorer(own_restorer, flags);
	else if (!strcmp(mode, "restorer32"))
		run_restorer(own_restorer32, flags);
	else
		return 2;
	return 0;
}

int main(int argc, char **argv)
{
	static char stack_bytes[1 << 16];
	stack_t stack = {.ss_sp = stack_bytes, .ss_size = sizeof(stack_bytes)};
	int flags = 0;
	int status;

	limit_ns = seconds_argument(argc, argv, 1);
	if (argc < 3)
		return 2;
	if (argc > 3 && !strcmp(argv[3], "altstack")) {
		if (sigaltstack(&stack, NULL))
			return 2;
		flags = SA_ONSTACK;
	}
	say_ready();
	status = run_mode(argv[2], flags);
	print_line(argv[2], limit_ns);
	return status;
}
