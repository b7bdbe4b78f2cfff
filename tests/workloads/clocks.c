/* SPDX-License-Identifier: Apache-2.0 */
/* clocks SECONDS - asks for the time all the time: the code is the kernel's [vdso], the caller ask_time. */
#include "work.h"

WORK void ask_time(unsigned long spins)
{
	struct timespec now;

	for (unsigned long i = 0; i <= spins / 32; i++)
		clock_gettime(CLOCK_MONOTONIC, &now);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);

	say_ready();
	print_line("ask_time", run_for(ask_time, limit_ns));
	return 0;
}
