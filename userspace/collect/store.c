/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "stacks.h"

void store_init(struct store *store, const struct stack_key *seed)
{
	memset(store, 0, sizeof(*store));
	store->seed = *seed;
	table_init(&store->body_ids, sizeof(struct stack_key));
	table_init(&store->count_ids, sizeof(struct count_key));
}

void store_deinit(struct store *store)
{
	vector_free(&store->bodies);
	vector_free(&store->frames);
	vector_free(&store->counts);
	table_deinit(&store->body_ids);
	table_deinit(&store->count_ids);
}

static bool body_makes_key(const struct store *store, const struct record_stack *record, const uint64_t *frames)
{
	struct stack_key key;

	stack_key_start(&key, &store->seed);
	for (uint32_t i = 0; i < record->nr_frames; i++)
		stack_key_add(&key, frames[i]);
	stack_key_finish(&key, record->has_raw ? record->process : 0);
	return memcmp(&key, &record->key, sizeof(key)) == 0;
}

void store_add_body(struct store *store, const struct record_stack *record, size_t size_bytes)
{
	const uint64_t *frames = (const uint64_t *)(record + 1);
	bool added;

	if (size_bytes < sizeof(*record) || record->nr_frames > STACK_FRAMES_MAX ||
	    size_bytes < sizeof(*record) + record->nr_frames * sizeof(uint64_t) ||
	    !body_makes_key(store, record, frames)) {
		store->nr_mismatches++;
		return;
	}
	/* A body comes again when the kernel's table of known keys was full or busy. */
	table_intern(&store->body_ids, &record->key, (uint32_t)store->bodies.nr, &added);
	if (!added)
		return;
	*vector_push(&store->bodies) = (struct stack_body){
		.first_frame = store->frames.nr,
		.nr_frames = record->nr_frames,
		.process = record->process,
	};
	vector_reserve(&store->frames, record->nr_frames);
	memcpy(store->frames.data + store->frames.nr, frames, record->nr_frames * sizeof(uint64_t));
	store->frames.nr += record->nr_frames;
}

void store_add_count(struct store *store, const struct count_key *key, uint64_t count)
{
	bool added;
	uint32_t id = table_intern(&store->count_ids, key, (uint32_t)store->counts.nr, &added);

	if (added)
		vector_push(&store->counts)->key = *key;
	store->counts.data[id].count += count;
}

const struct stack_body *store_find_body(const struct store *store, const struct stack_key *key)
{
	uint32_t id;

	return table_get(&store->body_ids, key, &id) ? &store->bodies.data[id] : NULL;
}
