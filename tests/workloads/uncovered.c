/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncovered SECONDS - calls functions without unwind information (uncovered.S) from C with and without it, directly and
 * through pointers; each combination has an equal share of the time.
 */
#include "uncovered.h"

#define ROWS(name)                                                                                                     \
	{#name "_direct_covered", name##_direct_covered}, {#name "_pointer_covered", name##_pointer_covered},          \
		{#name "_direct_bare", name##_direct_bare}, {#name "_pointer_bare", name##_pointer_bare},

static const struct {
	const char *name;
	work_fn *work;
} callers[] = {UNCOVERED(ROWS)};

int main(int argc, char **argv)
{
	enum { NR_CALLERS = sizeof(callers) / sizeof(callers[0]) };
	uint64_t limit_ns = seconds_argument(argc, argv, 1) / NR_CALLERS;

	say_ready();
	for (size_t i = 0; i < NR_CALLERS; i++)
		print_line(callers[i].name, run_for(callers[i].work, limit_ns));
	return 0;
}
