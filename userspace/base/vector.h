/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector.h - a growable array of one type.
 *
 *     VECTOR(struct mapping) list = {0};
 *     *vector_push(&list) = (struct mapping){ .start = 1 };
 *     for (size_t i = 0; i < list.nr; i++) use(&list.data[i]);
 *     vector_free(&list);
 *
 * Invariant: nr <= capacity, data[0..nr) are initialised. A push may move data: keep indexes, not pointers.
 */
#ifndef EBPROF_BASE_VECTOR_H
#define EBPROF_BASE_VECTOR_H

#include <string.h>

#include "memory.h"

#define VECTOR(type)                                                                                                   \
	struct {                                                                                                       \
		type *data;                                                                                            \
		size_t nr;                                                                                             \
		size_t capacity;                                                                                       \
	}

/* Makes room for extra more elements. */
#define vector_reserve(vector, extra)                                                                                  \
	do {                                                                                                           \
		size_t need_ = (vector)->nr + (extra);                                                                 \
		if (need_ > (vector)->capacity) {                                                                      \
			size_t grown_ = (vector)->capacity * 2;                                                        \
			(vector)->capacity = grown_ > need_ ? grown_ : need_ < 8 ? 8 : need_;                          \
			(vector)->data =                                                                               \
				memory_realloc((vector)->data, (vector)->capacity, sizeof((vector)->data[0]));         \
		}                                                                                                      \
	} while (0)

/* Appends one zeroed element and yields its address, valid until the next push. */
#define vector_push(vector)                                                                                            \
	({                                                                                                             \
		vector_reserve(vector, 1);                                                                             \
		__typeof__((vector)->data) element_ = &(vector)->data[(vector)->nr++];                                 \
		memset(element_, 0, sizeof(*element_));                                                                \
		element_;                                                                                              \
	})

#define vector_free(vector)                                                                                            \
	do {                                                                                                           \
		free((vector)->data);                                                                                  \
		memset((vector), 0, sizeof(*(vector)));                                                                \
	} while (0)

#endif
