/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_bits32 SECONDS MODE - a process of the other kinds of system calls and addresses; built with -m32 and frame
 * pointers, and the last mode also for 64 bits:
 *
 *   work      a chain of three functions
 *   vdso      asks for the time, of which the kernel's own code in the process knows
 *   vsyscall  (64 bits) asks for it at the fixed address of old, where the kernel steps in
 */
#include <string.h>

#include "work.h"

WORK void bits_work(unsigned long spins)
{
	BURN(spins);
}

WORK void bits_middle(unsigned long spins)
{
	bits_work(spins);
	NOT_A_TAIL_CALL();
}

WORK void bits_outer(unsigned long spins)
{
	bits_middle(spins);
	NOT_A_TAIL_CALL();
}

WORK void bits_ask(unsigned long spins)
{
	for (unsigned long i = 0; i < spins / 256; i++)
		clock_ns(CLOCK_MONOTONIC);
}

#ifdef __x86_64__
WORK void bits_ask_old(unsigned long spins)
{
	time_t (*old_time)(time_t *) = (time_t(*)(time_t *))0xffffffffff600400;

	for (unsigned long i = 0; i < spins / 4096; i++)
		old_time(NULL);
}
#else
#define bits_ask_old NULL
#endif

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);
	const char *mode = argc > 2 ? argv[2] : "";
	work_fn *work = !strcmp(mode, "work")       ? bits_outer
			: !strcmp(mode, "vdso")     ? bits_ask
			: !strcmp(mode, "vsyscall") ? bits_ask_old
						    : NULL;

	if (!work)
		return 2;
	say_ready();
	print_line(mode, run_for(work, limit_ns));
	return 0;
}
