/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stubborn SECONDS - works on through SIGINT and SIGTERM, and says how often it was asked to stop. Ends after SECONDS of
 * wall-clock time whatever happens, so that a failed test leaves nothing behind.
 */
#include <signal.h>

#include "work.h"

static volatile sig_atomic_t interrupts, terminations;

static void on_signal(int number)
{
	if (number == SIGINT)
		interrupts++;
	else
		terminations++;
}

WORK void stubborn_work(unsigned long spins)
{
	BURN(spins);
}

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + seconds_argument(argc, argv, 2);
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	say_ready();
	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		run_for(stubborn_work, 10000000);
	print_line("interrupts", (uint64_t)interrupts);
	print_line("terminations", (uint64_t)terminations);
	return 0;
}
