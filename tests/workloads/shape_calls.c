/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape_calls SECONDS MODE - calls, and ways out of a function, that are not the usual ones:
 *
 *   tail         tail_caller jumps to tail_target: it has left no frame, and its caller is the parent
 *   cold         the call is in the part of split that the compiler moved elsewhere
 *   noreturn     ends_in_call ends with its call: the return address lies in the next function
 *   wrapped      the prologue comes behind an early way out
 *   callback     qsort: libc's frames in the middle
 *   alias        two functions with the same code, which the compiler may make one
 *   longjmp      from five calls deep, all the time
 *   constructor  before main
 *   atexit       after main
 *   thread_exit  a destructor of thread-specific data
 *   cancel       a cleanup handler of a cancelled thread
 *   vfork        a child on its parent's stack
 *   clone        a thread on a stack of our own, by libc's clone
 *   raw_clone    likewise by the system call: nothing but a 0 is above its first function
 *   indirect     a call through a register
 *   all          those that need no process or thread of their own, one after another
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

#ifndef __x86_64__
#error the workload is written for x86-64
#endif

enum { LEAF_SPINS = 200, STACK_BYTES = 256 << 10 };

static volatile unsigned long sink;
static uint64_t limit_ns;

WORK void call_leaf(unsigned long spins)
{
	BURN(spins);
}

#define REPEAT(call)                                                                                                   \
	for (unsigned long repeat_left = spins / LEAF_SPINS + 1; repeat_left; repeat_left--) {                         \
		call;                                                                                                  \
	}                                                                                                              \
	NOT_A_TAIL_CALL()

/* --- tail calls --------------------------------------------------------------------------------------------------- */

WORK void tail_target(unsigned long a)
{
	volatile unsigned long room[8];

	room[a % 8] = a;
	call_leaf(LEAF_SPINS);
	sink += room[a % 8];
}

#ifdef __clang__
#define TAIL_CALL(call) __attribute__((musttail)) return call
WORK void tail_caller(unsigned long a)
#else
#define TAIL_CALL(call) call
WORK __attribute__((optimize("optimize-sibling-calls"))) void tail_caller(unsigned long a)
#endif
{
	volatile unsigned long room[20];

	room[a % 20] = a;
	sink += room[a % 20];
	TAIL_CALL(tail_target(sink));
}

WORK void run_tail(unsigned long spins)
{
	REPEAT(tail_caller(3));
}

/* --- hot and cold ------------------------------------------------------------------------------------------------- */

WORK __attribute__((cold)) void cold_leaf(unsigned long spins)
{
	BURN(spins);
}

WORK unsigned long split(unsigned long a, unsigned long b)
{
	if (__builtin_expect(a > 1, 0)) {
		cold_leaf(LEAF_SPINS);
		a += b * 3;
		cold_leaf(LEAF_SPINS / 2);
		sink += a ^ b;
	}
	return a + b;
}

WORK void run_cold(unsigned long spins)
{
	REPEAT(sink += split(repeat_left | 2, 5));
}

/* --- a call that is the last instruction -------------------------------------------------------------------------- */

static jmp_buf way_out;

WORK __attribute__((noreturn)) void never_returns(unsigned long spins)
{
	call_leaf(spins);
	longjmp(way_out, 1);
}

void ends_in_call(unsigned long spins);

/* The function behind it has another frame, of 4 KiB, from its first byte on, and begins where the call ends. */
__asm__(".text\n.globl ends_in_call\n.type ends_in_call, @function\n"
	"ends_in_call:\n.cfi_startproc\n"
	"push %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbp, -16\n"
	"sub $48, %rsp\n.cfi_adjust_cfa_offset 48\n"
	"call never_returns\n"
	".cfi_endproc\n.size ends_in_call, . - ends_in_call\n"
	".type comes_next, @function\n"
	"comes_next:\n.cfi_startproc\n.cfi_def_cfa_offset 4096\n"
	"ret\n.cfi_endproc\n.size comes_next, . - comes_next\n");

WORK void run_noreturn(unsigned long spins)
{
	for (volatile unsigned long left = spins / LEAF_SPINS + 1; left; left--) {
		if (!setjmp(way_out))
			ends_in_call(LEAF_SPINS);
	}
}

WORK void jump_down(int depth)
{
	if (depth)
		jump_down(depth - 1);
	else if (limit_ns)
		never_returns(LEAF_SPINS);
	NOT_A_TAIL_CALL();
}

WORK void run_longjmp(unsigned long spins)
{
	for (volatile unsigned long left = spins / LEAF_SPINS + 1; left; left--) {
		if (!setjmp(way_out))
			jump_down(5);
	}
}

/* --- prologues that are not at the start -------------------------------------------------------------------------- */

WORK unsigned long wrapped(unsigned long a, unsigned long b)
{
	if (!(a & 3))
		return b;
	unsigned long c = a * b, d = a ^ b, e = a + b;

	call_leaf(LEAF_SPINS);
	return c * d + e;
}

WORK void run_wrapped(unsigned long spins)
{
	REPEAT(sink += wrapped(repeat_left, 7) + wrapped(4, 9));
}

/* --- libc in the middle ------------------------------------------------------------------------------------------- */

WORK int compare(const void *left, const void *right)
{
	const unsigned int *a = left, *b = right;

	call_leaf(LEAF_SPINS);
	return (*a > *b) - (*a < *b);
}

WORK void run_callback(unsigned long spins)
{
	unsigned int numbers[300];

	for (unsigned long left = spins / (LEAF_SPINS * 2400ul) + 1; left; left--) {
		for (unsigned int i = 0; i < 300; i++)
			numbers[i] = i * 7919u % 1009;
		qsort(numbers, 300, sizeof(numbers[0]), compare);
		sink += numbers[3];
	}
}

/* --- the same code twice ------------------------------------------------------------------------------------------ */

static __attribute__((noinline)) unsigned long first_twin(unsigned long a)
{
	call_leaf(LEAF_SPINS);
	return a * 3 + sink;
}

static __attribute__((noinline)) unsigned long second_twin(unsigned long a)
{
	call_leaf(LEAF_SPINS);
	return a * 3 + sink;
}

WORK void run_alias(unsigned long spins)
{
	REPEAT(sink += first_twin(repeat_left) + second_twin(repeat_left));
}

/* --- through a register ------------------------------------------------------------------------------------------- */

static void (*volatile target)(unsigned long) = tail_target;

WORK void run_indirect(unsigned long spins)
{
	REPEAT(target(repeat_left));
}

/* --- before and after main ---------------------------------------------------------------------------------------- */

WORK void spin_until_limit(void)
{
	while (thread_cpu_ns() < limit_ns)
		call_leaf(100000);
}

/* The arguments reach constructors too. */
__attribute__((constructor)) static void constructor(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[2], "constructor")) {
		limit_ns = seconds_argument(argc, argv, 1);
		spin_until_limit();
		NOT_A_TAIL_CALL();
	}
}

WORK void after_main(void)
{
	spin_until_limit();
	NOT_A_TAIL_CALL();
}

/* --- threads' ends ------------------------------------------------------------------------------------------------ */

WORK void destroy_key(void *value)
{
	(void)value;
	spin_until_limit();
	NOT_A_TAIL_CALL();
}

static const char some_value[] = "not NULL";

static void *thread_with_key(void *unused)
{
	pthread_key_t key;

	(void)unused;
	pthread_key_create(&key, destroy_key);
	pthread_setspecific(key, some_value);
	return NULL;
}

WORK void clean_up(void *unused)
{
	(void)unused;
	spin_until_limit();
	NOT_A_TAIL_CALL();
}

WORK void wait_for_cancel(void)
{
	for (;;)
		pause();
}

static void *thread_to_cancel(void *unused)
{
	(void)unused;
	pthread_cleanup_push(clean_up, NULL);
	wait_for_cancel();
	pthread_cleanup_pop(1);
	return NULL;
}

static void run_thread(void *(*function)(void *), int cancel)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, function, NULL))
		exit(2);
	if (cancel) {
		usleep(20000);
		pthread_cancel(thread);
	}
	pthread_join(thread, NULL);
}

/* --- children ----------------------------------------------------------------------------------------------------- */

WORK void vfork_child(void)
{
	spin_until_limit();
	_exit(0);
}

WORK void run_vfork(void)
{
	pid_t child = vfork();

	if (!child)
		vfork_child();
	waitpid(child, NULL, 0);
}

static unsigned char own_stack[STACK_BYTES] __attribute__((aligned(64)));

enum { THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM };

WORK int clone_function(void *unused)
{
	(void)unused;
	spin_until_limit();
	return 0;
}

WORK void run_clone(void)
{
	pid_t child = clone(clone_function, own_stack + STACK_BYTES, THREAD_FLAGS | SIGCHLD, NULL);

	waitpid(child, NULL, 0);
}

WORK void raw_function(void)
{
	spin_until_limit();
	syscall(SYS_exit, 0);
}

/* Child: rsp on the new stack, whose top is a 0 in place of a return address. */
WORK void run_raw_clone(void)
{
	unsigned long *top = (unsigned long *)(own_stack + STACK_BYTES) - 1;
	long child;

	*top = 0;
	__asm__ volatile("syscall\n"
			 "test %%rax, %%rax\n"
			 "jnz 1f\n"
			 "jmp raw_function\n"
			 "1:"
			 : "=a"(child)
			 : "a"(SYS_clone), "D"(CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD), "S"(top), "d"(0)
			 : "rcx", "r11", "memory");
	waitpid((pid_t)child, NULL, 0);
}

static const struct {
	const char *name;
	work_fn *work;
} modes[] = {
	{"tail", run_tail},       {"cold", run_cold},         {"noreturn", run_noreturn}, {"longjmp", run_longjmp},
	{"wrapped", run_wrapped}, {"callback", run_callback}, {"alias", run_alias},       {"indirect", run_indirect},
};

static int run_other(const char *mode)
{
	limit_ns += thread_cpu_ns();
	if (!strcmp(mode, "atexit"))
		atexit(after_main);
	else if (!strcmp(mode, "thread_exit"))
		run_thread(thread_with_key, 0);
	else if (!strcmp(mode, "cancel"))
		run_thread(thread_to_cancel, 1);
	else if (!strcmp(mode, "vfork"))
		run_vfork();
	else if (!strcmp(mode, "clone"))
		run_clone();
	else if (!strcmp(mode, "raw_clone"))
		run_raw_clone();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	limit_ns = seconds_argument(argc, argv, 1);
	say_ready();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(modes[i].name, argv[2]) || !strcmp(argv[2], "all"))
			print_line(modes[i].name, run_for(modes[i].work, limit_ns));
	}
	return run_other(argv[2]);
}
