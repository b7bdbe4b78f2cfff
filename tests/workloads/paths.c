/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths SECONDS LEVELS - at each of LEVELS levels the call goes left or right by chance, and a little time is spent at
 * the bottom: nearly every sample has a stack of its own, 2^LEVELS in all.
 */
#include "work.h"

static int levels;

static void turn(int left, unsigned long spins);

WORK void path_bottom(unsigned long spins)
{
	BURN(spins);
}

WORK void go_left(int left, unsigned long spins)
{
	turn(left - 1, spins);
	NOT_A_TAIL_CALL();
}

WORK void go_right(int left, unsigned long spins)
{
	turn(left - 1, spins);
	NOT_A_TAIL_CALL();
}

static inline __attribute__((always_inline)) void turn(int left, unsigned long spins)
{
	if (left == 0)
		path_bottom(spins);
	else if (random_below(2))
		go_left(left, spins);
	else
		go_right(left, spins);
}

WORK void take_paths(unsigned long spins)
{
	for (unsigned long i = 0; i <= spins / 20000; i++)
		turn(levels, 20000);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);

	levels = (int)argument(argc, argv, 2, 16);
	say_ready();
	print_line("path_bottom", run_for(take_paths, limit_ns));
	return 0;
}
