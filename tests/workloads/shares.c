/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares SECONDS - three functions with 50, 30 and 20 % of the CPU time, at any moment: the next slice goes to the one
 * that is furthest behind. Built in many ways (static, stripped, without section headers ...), the same shape each.
 */
#include <sys/resource.h>

#include "work.h"

WORK void share_a(unsigned long spins)
{
	BURN(spins);
}

WORK void share_b(unsigned long spins)
{
	BURN(spins);
}

WORK void share_c(unsigned long spins)
{
	BURN(spins);
}

static uint64_t micros(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

int main(int argc, char **argv)
{
	static work_fn *const functions[3] = { share_a, share_b, share_c };
	static const double wanted[3] = { 0.5, 0.3, 0.2 };
	uint64_t limit_ns = seconds_argument(argc, argv, 2);
	uint64_t used_ns[3] = { 0, 0, 0 };
	uint64_t total_ns = 0;
	struct rusage usage;

	say_ready();
	while (total_ns < limit_ns) {
		int next = 0;
		uint64_t slice_ns;

		for (int i = 1; i < 3; i++) {
			if ((double)used_ns[i] / wanted[i] < (double)used_ns[next] / wanted[next])
				next = i;
		}
		slice_ns = run_slice(functions[next], 2000000 + random_below(8000000));
		used_ns[next] += slice_ns;
		total_ns += slice_ns;
	}
	print_line("share_a", used_ns[0]);
	print_line("share_b", used_ns[1]);
	print_line("share_c", used_ns[2]);
	getrusage(RUSAGE_SELF, &usage);
	print_line("rusage_us", micros(usage.ru_utime) + micros(usage.ru_stime));
	return 0;
}
