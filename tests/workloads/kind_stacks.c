/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_stacks SECONDS MODE - programs that jump between stacks, or off them (x86-64). Each has functions of its own for
 * its work, so a test knows the one chain that belongs to each of them:
 *
 *   jump       descends 30 calls, works, and leaves by longjmp
 *   sigjump    a signal handler, on an alternate stack, works and leaves by siglongjmp
 *   context    ucontext: the root of the other stack is libc's
 *   switch     a switch in assembly; the other stack's root function returns to 0
 *   garbage    the same, but it returns to an address where nothing is
 *   scheduler  200 stacks, each a mapping of its own, in turn, suspended at different depths
 *   segments   each call moves to a piece of stack of its own, each mapped apart and below or above the last
 *   tiny       threads whose stacks are as small as libc allows, with nothing mapped behind them
 *   clone      a thread made by clone() itself, whose stack begins with the last word of its mapping
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "work.h"

#ifndef __x86_64__
#error the workload is written for x86-64
#endif

enum { DEPTH = 30, PAGE = 4096, STACK = 64 << 10, NR_TASKS = 200, NR_SEGMENTS = 12 };

/* Memory with nothing mapped below or above it. */
static char *map_apart(size_t size)
{
	char *memory = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + PAGE, size, PROT_READ | PROT_WRITE))
		exit(2);
	return memory + PAGE;
}

/* ---- jump, sigjump ---- */

static jmp_buf home;
static sigjmp_buf signal_home;
static unsigned long jump_spins;

WORK void jump_bottom(unsigned long spins)
{
	BURN(spins);
}

WORK void jump_descend(int depth, unsigned long spins)
{
	if (!depth) {
		jump_bottom(spins);
		longjmp(home, 1);
	}
	if (depth > 0)
		jump_descend(depth - 1, spins);
	NOT_A_TAIL_CALL();
}

WORK void jump_landed(unsigned long spins)
{
	BURN(spins);
}

WORK void jump(unsigned long spins)
{
	if (!setjmp(home))
		jump_descend(DEPTH, spins / 2);
	jump_landed(spins / 2);
	NOT_A_TAIL_CALL();
}

WORK void sigjump_handler_work(unsigned long spins)
{
	BURN(spins);
}

static void sigjump_handler(int number)
{
	(void)number;
	sigjump_handler_work(jump_spins);
	siglongjmp(signal_home, 1);
}

WORK void sigjump_raise(int depth)
{
	if (!depth)
		kill(getpid(), SIGUSR1);
	else
		sigjump_raise(depth - 1);
	NOT_A_TAIL_CALL();
}

WORK void sigjump(unsigned long spins)
{
	jump_spins = spins / 2;
	if (!sigsetjmp(signal_home, 1))
		sigjump_raise(DEPTH);
	jump_landed(spins / 2);
	NOT_A_TAIL_CALL();
}

static void sigjump_start(void)
{
	stack_t stack = { .ss_sp = map_apart(STACK), .ss_size = STACK };
	struct sigaction action = { .sa_handler = sigjump_handler, .sa_flags = SA_ONSTACK };

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
}

/* ---- context ---- */

static ucontext_t context_home, context_other;
static unsigned long context_spins;

WORK void context_work(unsigned long spins)
{
	BURN(spins);
}

WORK void context_main(void)
{
	for (;;) {
		context_work(context_spins);
		swapcontext(&context_other, &context_home);
	}
}

WORK void context(unsigned long spins)
{
	context_spins = spins;
	swapcontext(&context_home, &context_other);
	NOT_A_TAIL_CALL();
}

static void context_start(void)
{
	getcontext(&context_other);
	context_other.uc_stack.ss_sp = map_apart(STACK);
	context_other.uc_stack.ss_size = STACK;
	context_other.uc_link = &context_home;
	makecontext(&context_other, context_main, 0);
}

/* ---- switch, garbage, scheduler ---- */

/* void stack_switch(void **save, void *to): leaves one stack with its registers on it and goes on on another. */
void stack_switch(void **save, void *to);
__asm__(".text\n.globl stack_switch\n.type stack_switch, @function\nstack_switch:\n"
	".cfi_startproc\n"
	"push %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %rbp, 0\n"
	"push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %rbx, 0\n"
	"push %r12\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r12, 0\n"
	"push %r13\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r13, 0\n"
	"push %r14\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r14, 0\n"
	"push %r15\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r15, 0\n"
	"mov %rsp, (%rdi)\n"
	"mov %rsi, %rsp\n"
	"pop %r15\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r15\n"
	"pop %r14\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r14\n"
	"pop %r13\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r13\n"
	"pop %r12\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r12\n"
	"pop %rbx\n.cfi_adjust_cfa_offset -8\n.cfi_restore %rbx\n"
	"pop %rbp\n.cfi_adjust_cfa_offset -8\n.cfi_restore %rbp\n"
	"ret\n.cfi_endproc\n.size stack_switch, . - stack_switch\n");

static void *switch_home;
static struct task {
	void *stack;
	int depth;
} tasks[NR_TASKS];
static struct task *current;
static unsigned long switch_spins;

/* A stack as if its function had been called from `caller`. */
static void *stack_make(void (*function)(void), uintptr_t caller)
{
	uintptr_t *top = (uintptr_t *)(map_apart(STACK) + STACK);

	*--top = caller;
	*--top = (uintptr_t)function;
	top -= 6;
	memset(top, 0x55, 6 * sizeof(*top)); /* what the registers hold on a new stack is anybody's guess */
	return top;
}

static void switch_back(void)
{
	stack_switch(&current->stack, switch_home);
}

WORK void switch_work(unsigned long spins)
{
	BURN(spins);
}

WORK void switch_main(void)
{
	for (;;) {
		switch_work(switch_spins);
		switch_back();
	}
}

WORK void switch_over(unsigned long spins)
{
	switch_spins = spins;
	current = &tasks[0];
	stack_switch(&switch_home, current->stack);
	NOT_A_TAIL_CALL();
}

static void switch_start(void)
{
	tasks[0].stack = stack_make(switch_main, 0);
}

static void garbage_start(void)
{
	tasks[0].stack = stack_make(switch_main, 0x5bad5bad5000);
}

WORK void scheduler_work(unsigned long spins)
{
	BURN(spins);
}

WORK void scheduler_descend(int depth)
{
	if (depth) {
		scheduler_descend(depth - 1);
		NOT_A_TAIL_CALL();
		return;
	}
	for (int i = 0; i < 3; i++) {
		scheduler_work(switch_spins);
		switch_back();
	}
}

WORK void scheduler_main(void)
{
	for (;;)
		scheduler_descend(current->depth);
}

WORK void scheduler(unsigned long spins)
{
	static int turn;

	switch_spins = spins / 16;
	for (int i = 0; i < 16; i++) {
		current = &tasks[turn++ % NR_TASKS];
		stack_switch(&switch_home, current->stack);
	}
}

static void scheduler_start(void)
{
	for (int i = 0; i < NR_TASKS; i++)
		tasks[i] = (struct task){ .stack = stack_make(scheduler_main, 0), .depth = i % 20 };
}

/* ---- segments ---- */

static char *segments[NR_SEGMENTS];

/*
 * void segment_call(int depth, unsigned long spins, void *top): calls segment_step(depth, spins) on another stack. The
 * frame is told by rbp, which is still this stack's.
 */
void segment_call(int depth, unsigned long spins, void *top);
void segment_step(int depth, unsigned long spins);
__asm__(".text\n.globl segment_call\n.type segment_call, @function\nsegment_call:\n"
	".cfi_startproc\n"
	"push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\n"
	"mov %rsp, %rbp\n.cfi_def_cfa_register %rbp\n"
	"mov %rdx, %rsp\n"
	"call segment_step\n"
	"mov %rbp, %rsp\n"
	"pop %rbp\n.cfi_def_cfa %rsp, 8\n"
	"ret\n.cfi_endproc\n.size segment_call, . - segment_call\n");

WORK void segment_work(unsigned long spins)
{
	BURN(spins);
}

WORK void segment_step(int depth, unsigned long spins)
{
	if (depth)
		segment_call(depth - 1, spins, segments[depth - 1] + PAGE);
	else
		segment_work(spins);
	NOT_A_TAIL_CALL();
}

WORK void segment(unsigned long spins)
{
	segment_step(NR_SEGMENTS, spins);
	NOT_A_TAIL_CALL();
}

static void segment_start(void)
{
	for (int i = 0; i < NR_SEGMENTS; i++)
		segments[i] = map_apart(PAGE);
	/* Not in the order of addresses: the mapping that is called next lies now below, now above. */
	for (int i = 0; i + 2 < NR_SEGMENTS; i += 3) {
		char *held = segments[i];

		segments[i] = segments[i + 2];
		segments[i + 2] = held;
	}
}

/* ---- tiny, clone ---- */

WORK void tiny_work(unsigned long spins)
{
	BURN(spins);
}

static void *tiny_main(void *limit)
{
	run_for(tiny_work, *(uint64_t *)limit);
	return NULL;
}

static uint64_t tiny(uint64_t limit_ns)
{
	pthread_t threads[4];
	uint64_t each_ns = limit_ns / 4;

	for (int i = 0; i < 4; i++) {
		pthread_attr_t attributes;

		pthread_attr_init(&attributes);
		if (pthread_attr_setstack(&attributes, map_apart(PTHREAD_STACK_MIN), PTHREAD_STACK_MIN) ||
		    pthread_create(&threads[i], &attributes, tiny_main, &each_ns))
			exit(2);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return limit_ns;
}

WORK void clone_work(unsigned long spins)
{
	BURN(spins);
}

static int clone_main(void *limit)
{
	run_for(clone_work, *(uint64_t *)limit);
	return 0;
}

static uint64_t clone_thread(uint64_t limit_ns)
{
	/* Its arguments take the last words; a child that shares memory but is waited for like a process. */
	pid_t child = clone(clone_main, map_apart(2 * PAGE) + 2 * PAGE, CLONE_VM | SIGCHLD, &limit_ns);

	if (child < 0 || waitpid(child, NULL, 0) != child)
		exit(2);
	return limit_ns;
}

/* ---- */

static const struct {
	const char *name;
	void (*start)(void);
	work_fn *work;
	uint64_t (*run)(uint64_t limit_ns);
} modes[] = {
	{ "jump", NULL, jump, NULL },
	{ "sigjump", sigjump_start, sigjump, NULL },
	{ "context", context_start, context, NULL },
	{ "switch", switch_start, switch_over, NULL },
	{ "garbage", garbage_start, switch_over, NULL },
	{ "scheduler", scheduler_start, scheduler, NULL },
	{ "segments", segment_start, segment, NULL },
	{ "tiny", NULL, NULL, tiny },
	{ "clone", NULL, NULL, clone_thread },
};

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);

	for (size_t i = 0; argc > 2 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[2]))
			continue;
		if (modes[i].start)
			modes[i].start();
		say_ready();
		print_line(argv[2], modes[i].run ? modes[i].run(limit_ns) : run_for(modes[i].work, limit_ns));
		return 0;
	}
	return 2;
}
