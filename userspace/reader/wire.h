/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - bytes and descriptors over a stream socket, all of them or an error, and never later than a deadline.
 */
#ifndef EBPROF_READER_WIRE_H
#define EBPROF_READER_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* How long to wait for the other side. */
struct wire_wait {
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; WIRE_NO_DEADLINE = as long as it takes */
	int cancel_fd;        /* readable = give up; -1 = none */
};

#define WIRE_NO_DEADLINE UINT64_MAX

/*
 * -EPIPE: the other side has gone (also when it closed within the message); -ETIMEDOUT: the deadline; -ECANCELED;
 * others as the system gave them.
 */
int wire_send(int socket, const void *data, size_t size_bytes, const struct wire_wait *wait);
int wire_receive(int socket, void *data, size_t size_bytes, const struct wire_wait *wait);

/* The same with a descriptor (-1 = none) beside the first byte. size_bytes > 0. */
int wire_send_with_fd(int socket, const void *data, size_t size_bytes, int fd, const struct wire_wait *wait);
/* *fd_ret is -1 when none came; more than one is -EPROTO. */
int wire_receive_with_fd(int socket, void *data, size_t size_bytes, int *fd_ret, const struct wire_wait *wait);

#endif
