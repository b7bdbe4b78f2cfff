/* SPDX-License-Identifier: Apache-2.0 */
/* inlined SECONDS - inner in middle in outer, both inlined; the lines are found by the words in the comments. */
#include "work.h"

static inline __attribute__((always_inline)) void inner(unsigned long spins)
{
	BURN(spins); /* line of inner */
}

static inline __attribute__((always_inline)) void middle(unsigned long spins)
{
	inner(spins); /* line of middle */
}

WORK void outer(unsigned long spins)
{
	middle(spins); /* line of outer */
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);

	say_ready();
	print_line("outer", run_for(outer, limit_ns));
	return 0;
}
