/* SPDX-License-Identifier: Apache-2.0 */
/* recurse SECONDS DEPTH - the chain bottom <- descend, DEPTH times <- main; time is spent in bottom alone. */
#include "work.h"

static int levels;

WORK void bottom(unsigned long spins)
{
	BURN(spins);
}

WORK int descend(int level, unsigned long spins)
{
	int below = 0;

	if (level > 1)
		below = descend(level - 1, spins);
	else
		bottom(spins);
	NOT_A_TAIL_CALL();
	return below + 1;
}

WORK void start_descent(unsigned long spins)
{
	levels = descend(levels, spins);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);

	levels = (int)argument(argc, argv, 2, 200);
	say_ready();
	print_line("bottom", run_for(start_descent, limit_ns));
	return 0;
}
