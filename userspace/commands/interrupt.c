/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt.c - signal handlers and what they share with the program.
 *
 * Handlers are installed without SA_RESTART: poll() in the session has to return when one ran. They only store, kill,
 * reap, unlink and _exit, all of which are allowed at any moment.
 *
 * SIGHUP stays ignored where it was (nohup). SIGINT does not, although shells start background jobs that way: a
 * recording in a script is ended by `kill -INT` too. COMMAND gets every signal as ebprof got it.
 */
#include "interrupt.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "memory.h"
#include "output.h"

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static struct sigaction before_pipe, before_child, before_end[ARRAY_SIZE(end_signals)];
static volatile sig_atomic_t stop, first_signal;
static volatile sig_atomic_t command_pid, command_ended, command_status;

static void reap_command(void)
{
	int saved = errno, status;

	if (command_pid && !command_ended && waitpid(command_pid, &status, WNOHANG) == command_pid) {
		command_status = status;
		command_ended = 1;
		stop = 1;
	}
	errno = saved;
}

static void on_child(int number)
{
	(void)number;
	reap_command();
}

static void on_end(int number)
{
	int saved = errno;

	if (number == SIGTERM && command_pid && !command_ended)
		kill(command_pid, SIGTERM);
	/* SIGQUIT asks for no order. */
	if (first_signal || number == SIGQUIT) {
		output_abandon_all();
		_exit(STATUS_SIGNAL_BASE + number);
	}
	first_signal = number;
	stop = 1;
	errno = saved;
}

void interrupts_install(void)
{
	struct sigaction action = {.sa_handler = on_end};

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(end_signals); i++) {
		sigaction(end_signals[i], NULL, &before_end[i]);
		if (before_end[i].sa_handler != SIG_IGN || end_signals[i] == SIGINT || end_signals[i] == SIGTERM)
			sigaction(end_signals[i], &action, NULL);
	}
	action.sa_handler = on_child;
	action.sa_flags = SA_NOCLDSTOP;
	sigaction(SIGCHLD, &action, &before_child);
	action.sa_handler = SIG_IGN;
	action.sa_flags = 0;
	sigaction(SIGPIPE, &action, &before_pipe);
}

const volatile sig_atomic_t *interrupts_stop(void)
{
	return &stop;
}

int interrupts_signal(void)
{
	return first_signal;
}

/* In the child: as if ebprof had never been there. */
static void restore_handlers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(end_signals); i++)
		sigaction(end_signals[i], &before_end[i], NULL);
	sigaction(SIGCHLD, &before_child, NULL);
	sigaction(SIGPIPE, &before_pipe, NULL);
}

pid_t interrupts_fork_command(void)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid_t pid = fork();
	int error = errno;

	if (pid == 0)
		restore_handlers();
	else if (pid > 0)
		command_pid = pid;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

bool interrupts_command_ended(int *status_ret)
{
	if (!command_ended)
		return false;
	*status_ret = command_status;
	return true;
}

int interrupts_wait_command(void)
{
	sigset_t child, before;

	/* Blocked while looking, let in while waiting: an end between the two is not missed. */
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	sigset_t open = before;

	sigdelset(&open, SIGCHLD);
	reap_command();
	while (command_pid && !command_ended)
		sigsuspend(&open);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return command_status;
}
