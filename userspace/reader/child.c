/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - how is a process started from an agent with threads, and ended though it may not be able to end?
 *
 * Started by posix_spawn, which needs no care for other threads' locks and shares nothing of the agent's memory with
 * what will run hostile input: the program is loaded anew from /proc/self/exe, which names the running file even after
 * an update. Of the environment it gets what the loader, the sanitizers and the rights of the opener depend on. It is
 * in a process group of its own, so that Ctrl-C is the agent's to answer.
 *
 * Ended by closing its sockets, or where it failed, by SIGKILL to both of its halves. Waiting for a process that hangs
 * in a system call could take for ever, so it is waited for a moment only; numbers of those left behind are kept until
 * waitpid knows them, which also keeps them from being given to others.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"
#include "messages.h"

enum {
	SOCKETS_FROM = 10, /* clear of the numbers that they get in the new process */
	END_WAIT_MS = 200, /* for a process that closed its socket, or was killed, to be gone */
	ENVIRONMENT_MAX = 8,
};

static const char *const kept_variables[] = {
	"LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "SUDO_UID=", "SUDO_GID=",
};
_Static_assert(ARRAY_SIZE(kept_variables) < ENVIRONMENT_MAX, "room for each and the end");

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void child_init(struct child *child)
{
	*child = (struct child){.pidfd = -1, .reader_socket = -1, .opener_socket = -1, .opener_pidfd = -1};
}

/* Whether it has gone, or goes within a time. Without a pidfd it was never fully started, and can't hang yet. */
static bool is_gone(const struct child *child, int wait_ms, int *status_ret)
{
	struct pollfd gone = {.fd = child->pidfd, .events = POLLIN};

	if (child->pidfd >= 0 && poll(&gone, 1, wait_ms) <= 0)
		return false;
	return waitpid(child->pid, status_ret, WNOHANG) == child->pid;
}

void child_dismiss(struct child *child)
{
	/* One that has not greeted yet may be anything, and is killed. */
	if (!child->greeted)
		return;
	close_fd(&child->reader_socket);
	close_fd(&child->opener_socket);
}

void child_deinit(struct child *child)
{
	int status;

	child_dismiss(child);
	/* It takes its opener along. */
	if (child->pid && child->greeted && is_gone(child, END_WAIT_MS, &status))
		child->pid = 0;
	child_end(child, &status);
	vector_free(&child->left_behind);
}

/* A pair of sockets, the child's end clear of low numbers. */
static int make_pair(int *own_ret, int *other_ret)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*own_ret = pair[0];
	*other_ret = fcntl(pair[1], F_DUPFD_CLOEXEC, SOCKETS_FROM);
	int error = *other_ret < 0 ? -errno : 0;

	close(pair[1]);
	return error;
}

static void choose_environment(char *ret[ENVIRONMENT_MAX])
{
	size_t nr = 0;

	for (char **entry = environ; entry && *entry && nr + 1 < ENVIRONMENT_MAX; entry++)
		for (size_t i = 0; i < ARRAY_SIZE(kept_variables); i++)
			if (strncmp(*entry, kept_variables[i], strlen(kept_variables[i])) == 0 &&
			    nr + 1 < ENVIRONMENT_MAX)
				ret[nr++] = *entry;
	ret[nr] = NULL;
}

static int spawn(struct child *child, const char *program, const char *argument, int reader_end, int opener_end)
{
	char name[] = "ebprof";
	char *arguments[] = {name, (char *)argument, NULL};
	char *environment[ENVIRONMENT_MAX];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;

	sigemptyset(&none);
	choose_environment(environment);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&attributes, &none);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, reader_end, READER_SOCKET);
	posix_spawn_file_actions_adddup2(&actions, opener_end, OPENER_SOCKET);
	int error = -posix_spawn(&child->pid, program, &actions, &attributes, arguments, environment);

	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (error)
		child->pid = 0;
	return error;
}

/* Of those left behind, forgets who has gone. */
static void collect_left_behind(struct child *child)
{
	size_t kept = 0;

	for (size_t i = 0; i < child->left_behind.nr; i++)
		if (waitpid(child->left_behind.data[i], NULL, WNOHANG) == 0)
			child->left_behind.data[kept++] = child->left_behind.data[i];
	child->left_behind.nr = kept;
}

int child_start(struct child *child, const char *program, const char *argument)
{
	_cleanup_close_ int reader_end = -1, opener_end = -1;
	int status;

	collect_left_behind(child);
	int error = make_pair(&child->reader_socket, &reader_end);

	if (!error)
		error = make_pair(&child->opener_socket, &opener_end);
	if (!error)
		error = spawn(child, program, argument, reader_end, opener_end);
	if (!error) {
		child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
		error = child->pidfd < 0 ? -errno : 0;
	}
	if (error)
		child_end(child, &status);
	return error;
}

static void tell_refused(uint32_t refused)
{
	static const char *const texts[NR_CONFINEMENTS] = {
#define CONFINEMENT(name, text) text,
		CONFINEMENTS(CONFINEMENT)
#undef CONFINEMENT
	};

	for (uint32_t i = 0; i < NR_CONFINEMENTS; i++)
		if (refused >> i & 1)
			message_detail("the process that reads files goes without %s: the system refused it", texts[i]);
}

int child_greet(struct child *child, const struct wire_wait *wait)
{
	struct hello hello;
	struct opener_reply reply;

	if (child->greeted)
		return 0;
	int error = wire_receive(child->reader_socket, &hello, sizeof(hello), wait);

	if (!error && hello.magic != HELLO_MAGIC)
		error = -EPROTO;
	if (!error)
		error = wire_receive_with_fd(child->opener_socket, &reply, sizeof(reply), &child->opener_pidfd, wait);
	if (error)
		return error;
	tell_refused(hello.refused);
	child->greeted = true;
	return 0;
}

bool child_is_lost(const struct child *child)
{
	struct pollfd fds[] = {{.fd = child->reader_socket, .events = POLLIN},
			       {.fd = child->opener_socket, .events = POLLIN}};

	/* What has not been greeted yet may be talking. */
	if (!child->greeted)
		return false;
	return poll(fds, ARRAY_SIZE(fds), 0) > 0;
}

void child_end(struct child *child, int *status_ret)
{
	char byte;
	int status;

	*status_ret = -1;
	if (child->pid) {
		/* Whoever closed the socket is about to end by itself, and its status says why. */
		bool closed = recv(child->reader_socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
		bool gone = is_gone(child, closed ? END_WAIT_MS : 0, status_ret);

		if (child->opener_pidfd >= 0)
			syscall(SYS_pidfd_send_signal, child->opener_pidfd, SIGKILL, NULL, 0);
		if (!gone) {
			*status_ret = -1;
			kill(child->pid, SIGKILL);
			if (!is_gone(child, END_WAIT_MS, &status))
				*vector_push(&child->left_behind) = child->pid;
		}
	}
	child->pid = 0;
	child->greeted = false;
	close_fd(&child->pidfd);
	close_fd(&child->opener_pidfd);
	close_fd(&child->reader_socket);
	close_fd(&child->opener_socket);
}
