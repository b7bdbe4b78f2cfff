/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_huge SECONDS - a chain of 40 calls through an executable of very much code (kind_huge.S): the functions are
 * those with the numbers (i + 1) * 7919 modulo how many there are, for i from 0 for the outermost one. Prints where
 * they are.
 */
#include "work.h"

enum { CHAIN = 40, FUNCTION_SIZE = 512, STEP = 7919 };

extern char __start_huge_text[], __stop_huge_text[];

typedef void chained_fn(unsigned long spins, void **chain);

WORK void huge_work(unsigned long spins, void **chain)
{
	(void)chain;
	BURN(spins);
}

static void *chain[CHAIN + 1];

WORK void huge(unsigned long spins)
{
	((chained_fn *)chain[0])(spins, chain + 1);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);
	uint64_t nr = (uint64_t)(__stop_huge_text - __start_huge_text) / FUNCTION_SIZE;

	for (uint64_t i = 0; i < CHAIN; i++)
		chain[i] = __start_huge_text + (i + 1) * STEP % nr * FUNCTION_SIZE;
	chain[CHAIN] = (void *)huge_work;
	print_line("functions", nr);
	print_line("code", (uint64_t)(uintptr_t)__start_huge_text);
	say_ready();
	print_line("huge", run_for(huge, limit_ns));
	return 0;
}
