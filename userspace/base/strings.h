/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strings.h - interned strings: equal texts have equal ids.
 *
 * Ids are dense, start at 0, and id 0 is always "" (which is also what profile.proto wants of its string table).
 * A string's address is stable for the life of the pool.
 */
#ifndef EBPROF_BASE_STRINGS_H
#define EBPROF_BASE_STRINGS_H

#include <stdint.h>

#include "vector.h"

struct strings {
	VECTOR(const char *) texts; /* by id */
	uint32_t *slots;            /* hash slots: id + 1, 0 = empty */
	size_t capacity;            /* slots, a power of two */
};

void strings_init(struct strings *strings);
void strings_deinit(struct strings *strings);

/* The id of text, which is copied; NULL counts as "". */
uint32_t strings_intern(struct strings *strings, const char *text);

/* The text of an id that strings_intern returned. */
static inline const char *strings_text(const struct strings *strings, uint32_t id)
{
	return strings->texts.data[id];
}

#endif
