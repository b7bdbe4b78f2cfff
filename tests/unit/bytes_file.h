/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_file.h - a file in memory. */
#ifndef EBPROF_TESTS_BYTES_FILE_H
#define EBPROF_TESTS_BYTES_FILE_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A descriptor of a file with these bytes. */
static inline int bytes_fd(const void *bytes, size_t size)
{
	int fd = memfd_create("bytes", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
		abort();
	return fd;
}

#endif
