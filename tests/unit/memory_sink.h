/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_sink.h - a sink that keeps what it is given, and can be told to fail.
 */
#ifndef EBPROF_TESTS_MEMORY_SINK_H
#define EBPROF_TESTS_MEMORY_SINK_H

#include <string.h>

#include "memory.h"
#include "sink.h"

struct memory_sink {
	struct sink sink; /* first: the write function casts */
	char *data;	  /* NUL-terminated once something was written */
	size_t size_bytes;
	size_t largest; /* of all writes */
	size_t nr_writes;
	size_t fail_at; /* this write (from 1) and later ones return error; 0 = none */
	int error;
};

static inline int memory_sink_write(struct sink *sink, const void *data, size_t size_bytes)
{
	struct memory_sink *memory = (struct memory_sink *)sink;

	memory->nr_writes++;
	if (memory->fail_at && memory->nr_writes >= memory->fail_at)
		return memory->error;
	if (size_bytes > memory->largest)
		memory->largest = size_bytes;
	memory->data = memory_realloc(memory->data, memory->size_bytes + size_bytes + 1, 1);
	memcpy(memory->data + memory->size_bytes, data, size_bytes);
	memory->size_bytes += size_bytes;
	memory->data[memory->size_bytes] = '\0';
	return 0;
}

static inline void memory_sink_init(struct memory_sink *memory)
{
	*memory = (struct memory_sink){.sink = {.write = memory_sink_write}};
}

static inline void memory_sink_deinit(struct memory_sink *memory)
{
	free(memory->data);
}

#endif
