/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the loader's side of the stack store: bodies by key, kept for the run, and counts added up over all
 * generations.
 */
#ifndef EBPROF_COLLECT_STORE_H
#define EBPROF_COLLECT_STORE_H

#include <stdint.h>

#include "sample.h"
#include "table.h"
#include "vector.h"

struct stack_body {
	size_t first_frame; /* index into store.frames */
	uint32_t nr_frames;
	uint32_t process; /* slot; only meaningful for raw frames */
};

struct stack_count {
	struct count_key key;
	uint64_t count; /* samples */
};

struct store {
	VECTOR(struct stack_body) bodies;
	VECTOR(uint64_t) frames;
	VECTOR(struct stack_count) counts;
	struct table body_ids;  /* stack_key -> bodies */
	struct table count_ids; /* count_key -> counts */
	struct table raw_slots; /* processes that some frames mean nothing without */
	struct stack_key seed;
	uint64_t nr_mismatches; /* bodies whose frames do not make their key: dropped */
};

void store_init(struct store *store, const struct stack_key *seed);
void store_deinit(struct store *store);

/* size_bytes is the whole record's; a record that contradicts itself counts as a mismatch. */
void store_add_body(struct store *store, const struct record_stack *record, size_t size_bytes);
void store_add_count(struct store *store, const struct count_key *key, uint64_t count);

/* NULL when the body never came. */
const struct stack_body *store_find_body(const struct store *store, const struct stack_key *key);

/* Whether frames of its stacks are to be looked up in what the process of this slot has mapped. */
bool store_needs_process(const struct store *store, uint32_t slot);

static inline bool stack_key_is_empty(const struct stack_key *key)
{
	return !key->hash[0] && !key->hash[1];
}

#endif
