/* SPDX-License-Identifier: Apache-2.0 */
/* family SECONDS - a parent that works and starts children that work too, in turns, each in a function of its own. */
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

WORK void parent_work(unsigned long spins)
{
	BURN(spins);
}

WORK void elder_work(unsigned long spins)
{
	BURN(spins);
}

WORK void younger_work(unsigned long spins)
{
	BURN(spins);
}

static void run_child(work_fn *work)
{
	if (fork() == 0) {
		run_for(work, 30000000);
		_exit(0);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + seconds_argument(argc, argv, 2);

	say_ready();
	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		run_for(parent_work, 30000000);
		run_child(elder_work);
		run_child(younger_work);
	}
	return 0;
}
