/* SPDX-License-Identifier: Apache-2.0 */
/* forks COUNT MS - children, one after the other, of MS of CPU time each: shorter than a sampling period. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

WORK void child_work(unsigned long spins)
{
	BURN(spins);
}

static uint64_t usage_us(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* A child's own use is read from its own clock: the sum of rusage values would only be as fine as their tick. */
static uint64_t run_child(uint64_t work_ns)
{
	uint64_t used_ns = 0;
	int pipes[2];

	if (pipe(pipes))
		exit(2);
	if (fork() == 0) {
		uint64_t end_ns;

		while (thread_cpu_ns() < work_ns)
			child_work(100000);
		end_ns = thread_cpu_ns();
		_exit(write(pipes[1], &end_ns, sizeof(end_ns)) != sizeof(end_ns));
	}
	close(pipes[1]);
	if (read(pipes[0], &used_ns, sizeof(used_ns)) != sizeof(used_ns))
		exit(2);
	close(pipes[0]);
	wait(NULL);
	return used_ns;
}

int main(int argc, char **argv)
{
	int count = (int)argument(argc, argv, 1, 400);
	uint64_t work_ns = (uint64_t)(argument(argc, argv, 2, 5) * 1e6);
	uint64_t children_ns = 0;

	say_ready();
	for (int i = 0; i < count; i++)
		children_ns += run_child(work_ns);
	print_line("child_work", children_ns);
	print_line("children_us", usage_us(RUSAGE_CHILDREN));
	print_line("parent_us", usage_us(RUSAGE_SELF));
	return 0;
}
