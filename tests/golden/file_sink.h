/* SPDX-License-Identifier: Apache-2.0 */
/* file_sink.h - a sink that writes to a FILE. */
#ifndef EBPROF_TESTS_FILE_SINK_H
#define EBPROF_TESTS_FILE_SINK_H

#include <errno.h>
#include <stdio.h>

#include "sink.h"

struct file_sink {
	struct sink sink; /* first: the write function casts */
	FILE *file;
};

static inline int file_write(struct sink *sink, const void *data, size_t size_bytes)
{
	struct file_sink *file = (struct file_sink *)sink;

	return fwrite(data, 1, size_bytes, file->file) == size_bytes ? 0 : -EIO;
}

#endif
