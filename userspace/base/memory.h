/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - allocation and scope guards.
 *
 * Allocation failure ends the program with a message: half of all error paths would otherwise exist only for a
 * case that no test reaches. The defence against hostile input is a ceiling, checked before a size that came from
 * a file, a process or a socket reaches these functions.
 */
#ifndef EBPROF_BASE_MEMORY_H
#define EBPROF_BASE_MEMORY_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Zeroed memory for nr elements of size bytes; aborts on overflow or exhaustion. Free with free(). */
void *memory_zalloc(size_t nr, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));

/* Like realloc(ptr, nr * size), with the same policy; the new part is not cleared. */
void *memory_realloc(void *ptr, size_t nr, size_t size) __attribute__((returns_nonnull, warn_unused_result));

/* Copies; free with free(). memory_format is asprintf. */
char *memory_strdup(const char *text) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *memory_dup(const void *data, size_t size_bytes) __attribute__((returns_nonnull, warn_unused_result));
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* Called when memory is exhausted, before the message; may end the process in a way of its own. NULL = nothing. */
void memory_set_exhausted(void (*hook)(void));

#define memory_new(type)           ((type *)memory_zalloc(1, sizeof(type)))
#define memory_new_array(type, nr) ((type *)memory_zalloc((nr), sizeof(type)))

/* Scope guards: `_cleanup_free_ char *text = ...;`, `_cleanup_close_ int fd = -1;` */
static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _cleanup_free_      _cleanup_(cleanup_free)
#define _cleanup_close_     _cleanup_(cleanup_close)
#define _cleanup_fclose_    _cleanup_(cleanup_fclose)

/* Hands the value of a guarded local to a new owner. */
#define steal_pointer(pointer)                                                                                         \
	({                                                                                                             \
		__typeof__(pointer) stolen_ = (pointer);                                                               \
		(pointer) = NULL;                                                                                      \
		stolen_;                                                                                               \
	})
#define steal_fd(fd)                                                                                                   \
	({                                                                                                             \
		int stolen_ = (fd);                                                                                    \
		(fd) = -1;                                                                                             \
		stolen_;                                                                                               \
	})

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
