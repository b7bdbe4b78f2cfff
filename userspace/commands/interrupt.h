/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt.h - what signals do to a recording.
 *
 * The first SIGINT, SIGTERM or SIGHUP asks for the end: the file is still written. The second ends ebprof at once and
 * leaves no half-written file. SIGTERM is passed on to COMMAND (SIGINT and SIGHUP come from the terminal, which sends
 * them to COMMAND itself). The end of COMMAND asks for the end of the recording too.
 *
 * Signals belong to the whole process, so this is one set of functions over static state, not an object.
 */
#ifndef EBPROF_COMMANDS_INTERRUPT_H
#define EBPROF_COMMANDS_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Once, before anything that has to be ended in order. Ignores SIGPIPE: writing to a closed pipe becomes an error. */
void interrupts_install(void);

/* Non-zero when the recording should end. Changes under the caller's feet. */
const volatile sig_atomic_t *interrupts_stop(void);

/* The first of SIGINT, SIGTERM, SIGHUP that came, or 0. */
int interrupts_signal(void);

/* fork() that leaves no moment at which the child has our handlers or its end goes unseen. As fork(). */
pid_t interrupts_fork_command(void);

/* Whether that child has ended, and its wait status. */
bool interrupts_command_ended(int *status_ret);

/* Waits for it. */
int interrupts_wait_command(void);

#endif
