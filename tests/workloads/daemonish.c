/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemonish SECONDS DELAY - after DELAY seconds forks twice, into a session of its own; the grandchild works in
 * grandchild_work when the others are gone.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

WORK void grandchild_work(unsigned long spins)
{
	BURN(spins);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);
	pid_t child;

	say_ready();
	usleep((useconds_t)(argument(argc, argv, 2, 0) * 1e6));
	child = fork();
	if (child == 0) {
		setsid();
		if (fork() == 0)
			run_for(grandchild_work, limit_ns);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return 3;
}
