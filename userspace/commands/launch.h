/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - run COMMAND so that it is recorded from its first instruction.
 *
 *     launch_check -> launch_start (a child that waits) -> [session] -> launch_release (it becomes COMMAND)
 *
 * The waiting child ends by itself when ebprof does; it never becomes COMMAND unrecorded. The process is reaped by
 * interrupt.h's handler.
 */
#ifndef EBPROF_COMMANDS_LAUNCH_H
#define EBPROF_COMMANDS_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "message.h"

struct launch_config {
	char **arguments;      /* NULL-terminated; borrowed until launch_release */
	bool as_root;	       /* keep root under sudo */
	bool stdout_to_stderr; /* our standard output carries the profile */
};

struct launch;

/*
 * Whether the program can be found and executed, before anything else is done: 0, STATUS_NOT_FOUND or
 * STATUS_NOT_EXECUTABLE with *problem. path is PATH's value, NULL = the usual folders.
 */
int launch_check(const char *program, const char *path, struct problem *problem);

/* 0 or a negative errno with *problem. */
int launch_start(const struct launch_config *config, struct launch **ret, struct problem *problem);

/* The file that will be executed, absolute or relative to the current folder; borrowed. */
const char *launch_path(const struct launch *launch);

pid_t launch_pid(const struct launch *launch);

/*
 * Lets the child become COMMAND and returns when it has: 0, STATUS_NOT_FOUND, STATUS_NOT_EXECUTABLE or
 * STATUS_FAILED_COMMAND with *problem.
 */
int launch_release(struct launch *launch, struct problem *problem);

/* Ends a child that was not released. NULL is allowed. */
void launch_destroy(struct launch *launch);

/* A wait status as a shell shows it: the exit status, or 128 + the signal. */
int launch_exit_status(int wait_status);

/* Puts the environment of the user who called sudo in place of root's, and drops sudo's own variables. */
void launch_restore_environment(const char *user, const char *home, const char *shell);

#endif
