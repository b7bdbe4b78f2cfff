/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "stacks.h"

void store_init(struct store *store, const struct stack_key *seed)
{
	memset(store, 0, sizeof(*store));
	store->seed = *seed;
	table_init(&store->body_ids, sizeof(struct stack_key));
	table_init(&store->count_ids, sizeof(struct count_key));
	table_init(&store->raw_slots, sizeof(uint32_t));
}

void store_deinit(struct store *store)
{
	vector_free(&store->bodies);
	vector_free(&store->frames);
	vector_free(&store->counts);
	table_deinit(&store->body_ids);
	table_deinit(&store->count_ids);
	table_deinit(&store->raw_slots);
}

/*
 * Whether a body can have made its key. One with elided frames can't be checked: its key is made of frames that did not
 * come.
 */
static bool body_makes_key(const struct store *store, const struct record_stack *record, const uint64_t *frames)
{
	struct stack_key key;

	if (record->nr_walked > record->nr_frames)
		return record->nr_leaf_frames < record->nr_frames && record->nr_walked <= USER_WALK_MAX;
	stack_key_start(&key, &store->seed);
	for (uint32_t i = 0; i < record->nr_frames; i++)
		stack_key_add(&key, frames[i]);
	if (record->end_frame)
		stack_key_add(&key, record->end_frame);
	stack_key_finish(&key, record->has_raw ? record->process : 0);
	return memcmp(&key, &record->key, sizeof(key)) == 0;
}

static void append_frame(struct store *store, uint64_t frame)
{
	*vector_push(&store->frames) = frame;
}

/* Undoes the ring of the root's part, and puts a frame that says how many are missing where they are missing. */
static void append_elided(struct store *store, const struct record_stack *record, const uint64_t *frames)
{
	uint32_t leaf = record->nr_leaf_frames, round = record->nr_frames - leaf;
	uint32_t oldest = (record->nr_walked - leaf) % round;

	for (uint32_t i = 0; i < leaf; i++)
		append_frame(store, frames[i]);
	/* A stack that was cut has no root, so the frames before the cut mean nothing. */
	if (record->end_frame == frame_make_stop(STOP_too_deep, NO_MODULE))
		return;
	append_frame(store, frame_make_stop(STOP_elided, record->nr_walked - record->nr_frames));
	for (uint32_t i = 0; i < round; i++)
		append_frame(store, frames[leaf + (oldest + i) % round]);
}

void store_add_body(struct store *store, const struct record_stack *record, size_t size_bytes)
{
	const uint64_t *frames = (const uint64_t *)(record + 1);
	bool added;

	if (size_bytes < sizeof(*record) || record->nr_frames > USER_FRAMES_MAX ||
	    size_bytes < sizeof(*record) + record->nr_frames * sizeof(uint64_t) ||
	    !body_makes_key(store, record, frames)) {
		store->nr_mismatches++;
		return;
	}
	/* A body comes again when the kernel's table of known keys was full or busy. */
	table_intern(&store->body_ids, &record->key, (uint32_t)store->bodies.nr, &added);
	if (!added)
		return;
	struct stack_body *body = vector_push(&store->bodies);

	body->first_frame = store->frames.nr;
	body->process = record->process;
	if (record->has_raw)
		table_put(&store->raw_slots, &record->process, 1);
	if (record->nr_walked > record->nr_frames)
		append_elided(store, record, frames);
	else
		for (uint32_t i = 0; i < record->nr_frames; i++)
			append_frame(store, frames[i]);
	if (record->end_frame)
		append_frame(store, record->end_frame);
	body->nr_frames = (uint32_t)(store->frames.nr - body->first_frame);
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

bool store_needs_process(const struct store *store, uint32_t slot)
{
	uint32_t one;

	return table_get(&store->raw_slots, &slot, &one);
}
