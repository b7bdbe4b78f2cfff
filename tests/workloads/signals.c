/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals SECONDS [altstack] - a timer interrupts interrupted_work every 20 ms of CPU time, the handler works 10 ms:
 * handler_work <- on_timer <- the kernel's signal frame <- interrupted_work <- main, with altstack across two stacks.
 */
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "work.h"

static uint64_t handler_ns;

WORK void handler_work(unsigned long spins)
{
	BURN(spins);
}

static void on_timer(int number)
{
	uint64_t start_ns = thread_cpu_ns();

	(void)number;
	while (thread_cpu_ns() - start_ns < 10000000)
		handler_work(100000);
	handler_ns += thread_cpu_ns() - start_ns;
}

WORK void interrupted_work(unsigned long spins)
{
	BURN(spins);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);
	struct itimerval every = { .it_interval = { .tv_usec = 20000 }, .it_value = { .tv_usec = 20000 } };
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	uint64_t used_ns;

	if (argc > 2 && !strcmp(argv[2], "altstack")) {
		stack_t stack = { .ss_size = 1 << 16 };

		stack.ss_sp = malloc(stack.ss_size);
		if (sigaltstack(&stack, NULL))
			return 2;
		action.sa_flags |= SA_ONSTACK;
	}
	sigaction(SIGVTALRM, &action, NULL);
	say_ready();
	setitimer(ITIMER_VIRTUAL, &every, NULL);
	used_ns = run_for(interrupted_work, limit_ns);
	every = (struct itimerval){ 0 };
	setitimer(ITIMER_VIRTUAL, &every, NULL);
	print_line("handler_work", handler_ns);
	print_line("interrupted_work", used_ns - handler_ns);
	return 0;
}
