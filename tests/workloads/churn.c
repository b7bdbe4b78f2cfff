/* SPDX-License-Identifier: Apache-2.0 */
/*
 * churn COUNT US PARALLEL - COUNT processes that live some ms, PARALLEL at a time: programs churned_1 to churned_6 in
 * turn, started by vfork or fork, alone, as chains of several programs, with children that don't exec, by exec from
 * a thread. Prints how many processes there were and the CPU time of all of them.
 */
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

enum { PROGRAMS = 6, WORDS_MAX = 8 };

extern char **environ;

/* What comes behind the time, by the number of the process. */
static const char *const chains[][WORDS_MAX] = {
	{NULL}, {"2", NULL}, {"f", NULL}, {"3", "5", NULL}, {"t", "4", NULL}, {"f", "6", "f", NULL}, {NULL},
};

static void start(const char *self, int number, const char *us)
{
	const char *const *chain = chains[number % (int)(sizeof(chains) / sizeof(*chains))];
	char path[4096];
	char *argv[WORDS_MAX + 3] = {path, (char *)us};
	pid_t pid;

	snprintf(path, sizeof(path), "%s", self);
	snprintf(strrchr(path, '/'), 16, "/churned_%d", number % PROGRAMS + 1);
	for (int i = 0; chain[i]; i++)
		argv[2 + i] = (char *)chain[i];
	if (number % 3 == 0) {
		pid = fork();
		if (pid == 0) {
			execv(path, argv);
			_exit(3);
		}
	} else if (posix_spawn(&pid, path, NULL, NULL, argv, environ)) {
		pid = -1;
	}
	if (pid < 0)
		exit(2);
}

int main(int argc, char **argv)
{
	int count = (int)argument(argc, argv, 1, 1000), parallel = (int)argument(argc, argv, 3, 4), running = 0;
	struct rusage usage;
	int status, failed = 0;

	say_ready();
	for (int i = 0; i < count; i++) {
		if (running == parallel) {
			wait(&status);
			failed += status != 0;
			running--;
		}
		start(argv[0], i, argc > 2 ? argv[2] : "2000");
		running++;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	getrusage(RUSAGE_CHILDREN, &usage);
	print_line("processes", (uint64_t)count);
	print_line("failed", (uint64_t)failed);
	print_line("children_us", (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
					  (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
	return failed != 0;
}
