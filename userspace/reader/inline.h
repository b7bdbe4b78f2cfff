/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.h - the library's answers about a file, in the calling process.
 *
 * What the reader process runs, and the reader itself when it was told to read within the agent (for debugging). Nobody
 * else may call this: it parses bytes that anybody may have written.
 *
 * Every function takes ownership of fd, a descriptor open for reading. Errors as in reader.h.
 */
#ifndef EBPROF_READER_INLINE_H
#define EBPROF_READER_INLINE_H

#include <sys/types.h>

#include "object.h"

int inline_describe(int fd, struct object_info *ret);
int inline_unwind_table(int fd, enum table_effort effort, struct unwind_table **ret);
int inline_names(int fd, related_open_fn related, void *related_context, const uint64_t *addrs, size_t nr,
		 names_found_fn found, void *context, struct names_status *status);
int inline_function_starts(int fd, related_open_fn related, void *related_context, const uint64_t *addrs, size_t nr,
			   uint64_t *starts_ret);

/* The file's first bytes; the number read. */
ssize_t inline_bytes(int fd, uint64_t file_offset, void *ret, size_t size_bytes);

#endif
