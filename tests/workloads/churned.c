/* SPDX-License-Identifier: Apache-2.0 */
/*
 * churned_1 US [HOW...] - works US microseconds in churned_1_work and ends; built several times with another NUMBER, so
 * that each program has a function named after itself. HOW is the rest of a chain, done one after the other when the
 * work is done: a number = becomes churned_NUMBER; t = does that from a thread; f = lets a child, which does not exec,
 * work in churned_1_forked, and waits for it.
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

#define NAME__(number, what) churned_##number##_##what
#define NAME_(number, what)  NAME__(number, what)
#define NAME(what)           NAME_(NUMBER, what)

static char *next_path;
static char **next_argv;

WORK void NAME(work)(uint64_t until_ns)
{
	while (thread_cpu_ns() < until_ns)
		BURN(20000);
	NOT_A_TAIL_CALL();
}

WORK void NAME(forked)(uint64_t until_ns)
{
	while (thread_cpu_ns() < until_ns)
		BURN(20000);
	NOT_A_TAIL_CALL();
}

static void *exec_from_thread(void *unused)
{
	(void)unused;
	execv(next_path, next_argv);
	_exit(3);
	return NULL;
}

static void become(char **argv, const char *number, bool in_thread)
{
	static char path[4096];
	pthread_t thread;

	snprintf(path, sizeof(path), "%s", argv[0]);
	strrchr(path, '_')[1] = number[0];
	next_path = path;
	argv[0] = path;
	next_argv = argv;
	if (!in_thread)
		exec_from_thread(NULL);
	if (pthread_create(&thread, NULL, exec_from_thread, NULL) == 0)
		pthread_join(thread, NULL);
	_exit(3);
}

int main(int argc, char **argv)
{
	uint64_t work_ns = (uint64_t)(argument(argc, argv, 1, 1000) * 1000);
	bool in_thread = false;

	NAME(work)(work_ns);
	for (int i = 2; i < argc; i++) {
		const char *how = argv[i];

		if (how[0] == 't') {
			in_thread = true;
		} else if (how[0] == 'f') {
			if (fork() == 0) {
				NAME(forked)(work_ns);
				_exit(0);
			}
			wait(NULL);
		} else {
			/* What is left of the chain moves to the front. */
			memmove(argv + 2, argv + i + 1, (size_t)(argc - i) * sizeof(*argv));
			become(argv, how, in_thread);
		}
	}
	return 0;
}
