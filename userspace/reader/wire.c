/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - how is a whole message moved, whatever the other side does?
 *
 * Each call tries the socket first and sleeps in poll() only when it would block, so a message that is there costs one
 * system call. The other side may stop at any byte: the deadline is one moment for the whole message, not a time per
 * byte.
 *
 * A plain receive gives the kernel no room for descriptors, so that it closes those that a side which should send none
 * sends nevertheless.
 */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "time_now.h"

/* Until the socket can go on: 0, or why not. */
static int wait_for(int socket, short events, const struct wire_wait *wait)
{
	struct pollfd fds[] = {{.fd = socket, .events = events}, {.fd = wait->cancel_fd, .events = POLLIN}};
	const uint64_t millisecond = 1000000, longest = 1000000;
	int timeout_ms = -1;

	if (wait->deadline_ns != WIRE_NO_DEADLINE) {
		uint64_t now = time_now_ns(CLOCK_MONOTONIC);

		if (now >= wait->deadline_ns)
			return -ETIMEDOUT;
		uint64_t left_ms = (wait->deadline_ns - now + millisecond - 1) / millisecond;

		timeout_ms = (int)(left_ms < longest ? left_ms : longest);
	}
	int nr = poll(fds, ARRAY_SIZE(fds), timeout_ms);

	if (nr < 0)
		return errno == EINTR ? 0 : -errno;
	return nr && fds[1].revents ? -ECANCELED : 0;
}

/* What an errno of the socket means: 0 = wait and try again. */
static int judge(int error)
{
	if (error == EAGAIN || error == EINTR)
		return 0;
	return error == ECONNRESET || error == ENOTCONN ? -EPIPE : -error;
}

int wire_send_with_fd(int socket, const void *data, size_t size_bytes, int fd, const struct wire_wait *wait)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};

	for (size_t sent = 0; sent < size_bytes;) {
		struct iovec part = {.iov_base = (char *)data + sent, .iov_len = size_bytes - sent};
		struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

		if (fd >= 0 && !sent) {
			message.msg_control = &control;
			message.msg_controllen = sizeof(control.room);
			control.header = (struct cmsghdr){
				.cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
			memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		}
		ssize_t length = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		int error = length < 0 ? judge(errno) : 0;

		if (!error && length < 0)
			error = wait_for(socket, POLLOUT, wait);
		if (error)
			return error;
		sent += length > 0 ? (size_t)length : 0;
	}
	return 0;
}

int wire_send(int socket, const void *data, size_t size_bytes, const struct wire_wait *wait)
{
	return wire_send_with_fd(socket, data, size_bytes, -1, wait);
}

int wire_receive(int socket, void *data, size_t size_bytes, const struct wire_wait *wait)
{
	for (size_t got = 0; got < size_bytes;) {
		ssize_t length = recv(socket, (char *)data + got, size_bytes - got, MSG_DONTWAIT);
		int error = length < 0 ? judge(errno) : 0;

		if (!length)
			return -EPIPE;
		if (!error && length < 0)
			error = wait_for(socket, POLLIN, wait);
		if (error)
			return error;
		got += length > 0 ? (size_t)length : 0;
	}
	return 0;
}

/* The descriptor among a message's control data, -1 = none. The kernel drops those for which there was no room. */
static int passed_fd(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int wire_receive_with_fd(int socket, void *data, size_t size_bytes, int *fd_ret, const struct wire_wait *wait)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = data, .iov_len = size_bytes};
	struct msghdr message;
	ssize_t length;

	*fd_ret = -1;
	for (;;) {
		/* Room for one: CMSG_SPACE() would be padded to hold two. */
		message = (struct msghdr){.msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = &control,
					  .msg_controllen = CMSG_LEN(sizeof(int))};
		length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (length >= 0)
			break;
		int waited = judge(errno);

		if (!waited)
			waited = wait_for(socket, POLLIN, wait);
		if (waited)
			return waited;
	}
	if (!length)
		return -EPIPE;
	_cleanup_close_ int fd = passed_fd(&message);

	if (message.msg_flags & MSG_CTRUNC)
		return -EPROTO;
	int error = wire_receive(socket, (char *)data + length, size_bytes - (size_t)length, wait);

	*fd_ret = error ? -1 : steal_fd(fd);
	return error;
}
