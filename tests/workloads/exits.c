/* SPDX-License-Identifier: Apache-2.0 */
/* exits MS STATUS - works MS in brief_work and exits; a negative STATUS is the number of a signal that ends it. */
#include <signal.h>
#include <unistd.h>

#include "work.h"

WORK void brief_work(unsigned long spins)
{
	BURN(spins);
}

int main(int argc, char **argv)
{
	uint64_t work_ns = (uint64_t)(argument(argc, argv, 1, 0) * 1e6);
	int status = (int)argument(argc, argv, 2, 0);

	say_ready();
	while (thread_cpu_ns() < work_ns)
		brief_work(100000);
	if (status < 0)
		kill(getpid(), -status);
	return status;
}
