/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - a reader process as the agent holds it: started, greeted, ended.
 *
 * Ending never waits for long: a process that is stuck in a system call beyond SIGKILL is left behind and collected
 * when it has gone.
 */
#ifndef EBPROF_READER_CHILD_H
#define EBPROF_READER_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "vector.h"
#include "wire.h"

struct child {
	pid_t pid; /* 0 = none */
	int pidfd;
	int reader_socket, opener_socket;
	int opener_pidfd; /* from the greeting on */
	bool greeted;
	VECTOR(pid_t) left_behind; /* told to end, not gone yet */
};

void child_init(struct child *child);

/* Says that nothing more will come, so that it begins to end by itself; child_deinit waits for that. */
void child_dismiss(struct child *child);

/* Ends it, if there is one. */
void child_deinit(struct child *child);

/* Starts a program with one argument. 0, or a negative errno and nothing is running. */
int child_start(struct child *child, const char *program, const char *argument);

/* Waits for the process's first words, once. Says with -v what it goes without. */
int child_greet(struct child *child, const struct wire_wait *wait);

/* Whether it has gone, or talks out of turn, though nothing was asked. */
bool child_is_lost(const struct child *child);

/*
 * Ends it. *status_ret is its wait status if it had ended by itself within a moment, -1 otherwise.
 */
void child_end(struct child *child, int *status_ret);

#endif
