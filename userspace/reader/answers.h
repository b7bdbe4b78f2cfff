/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers.h - answers of the reader process, into bytes and back.
 *
 * The writers (answer_put_*) run in the reader process. The readers (answer_take_*, answer_check_*) run in the agent
 * and believe nothing: whatever the bytes are, what they let through is a valid value of its type, -EPROTO the rest.
 */
#ifndef EBPROF_READER_ANSWERS_H
#define EBPROF_READER_ANSWERS_H

#include <sys/types.h>

#include "messages.h"
#include "vector.h"

struct answer_bytes {
	uint8_t *data; /* a VECTOR */
	size_t nr;
	size_t capacity;
};

void answer_put_info(const struct object_info *info, struct told_info *ret);
int answer_take_info(const struct told_info *told, struct object_info *ret);

int answer_take_status(const struct told_status *told, struct names_status *ret);

/*
 * A table's head. answer_new_table makes room for one that its ceilings allow; once the three arrays are filled,
 * answer_check_table says whether they may reach the walker: granules that divide the rows among themselves in order,
 * offsets that rise within each, rules that exist.
 */
struct told_table answer_put_table(const struct unwind_table *table);
uint64_t answer_table_bytes(const struct told_table *told); /* of the arrays */
int answer_new_table(const struct told_table *told, struct unwind_table **ret);
int answer_check_table(const struct unwind_table *table);
void answer_free_table(struct unwind_table *table); /* NULL is allowed */

/* Appends the names of one address. */
void answer_put_names(struct answer_bytes *bytes, size_t index, const struct name_frame *frames, size_t nr_frames);

/* Takes names apart again. `seen` has nr flags, all false at first: each index may come once. */
struct answer_names {
	size_t nr;
	bool *seen;
	names_found_fn found;
	void *context;
};

/* One part: calls found for each whole answer before the first mistake. */
int answer_take_names(struct answer_names *names, const uint8_t *bytes, size_t size_bytes);

/* Where functions begin, for addrs. */
int answer_check_starts(const uint64_t *addrs, const uint64_t *starts, size_t nr);

#endif
