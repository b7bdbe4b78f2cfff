/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_test.c - bodies that make their key are kept once, others are counted; the ring of a deep stack is undone.
 *
 * Deep stacks come from the walker's own walk_append(), as in the kernel, so both sides of the ring are under test.
 */
#include "walk_home.h"

#include <string.h>

#include "store.h"

static struct store store;
static struct walk walk;

static int start_store(void **state)
{
	(void)state;
	store_init(&store, &home_seed);
	return 0;
}

static int end_store(void **state)
{
	(void)state;
	store_deinit(&store);
	return 0;
}

static uint64_t some_frame(uint64_t number)
{
	return frame_make_file(5, 0x1000 + 8 * number, number ? 0 : FRAME_EXACT);
}

/* A record of nr frames walked, made as the clock program makes it. Returns its size. */
static size_t make_record(uint32_t nr, uint32_t max_frames, enum stop stop, uint32_t raw_process)
{
	struct record_stack *record = &walk.record;

	memset(&walk, 0, sizeof(walk));
	walk_start(&walk, &home_seed, max_frames);
	for (uint32_t i = 0; i < nr; i++)
		walk_append(&walk, some_frame(i));
	walk_stop(&walk, stop, NO_MODULE);
	walk.has_raw = raw_process != 0;
	walk_finish(&walk, raw_process ? raw_process : 44);
	return sizeof(*record) + record->nr_frames * sizeof(uint64_t);
}

static const uint64_t *find_frames(uint32_t *nr)
{
	const struct stack_body *body = store_find_body(&store, &walk.record.key);

	assert_non_null(body);
	assert_true(body->first_frame + body->nr_frames <= store.frames.nr);
	*nr = body->nr_frames;
	return &store.frames.data[body->first_frame];
}

static void check_kept(uint32_t nr_expected, enum stop stop)
{
	uint32_t nr;
	const uint64_t *frames = find_frames(&nr);
	bool has_end = stop > STOP_absent;

	assert_int_equal(store.nr_mismatches, 0);
	assert_int_equal(nr, nr_expected + has_end);
	for (uint32_t i = 0; i < nr_expected; i++)
		assert_int_equal(frames[i], some_frame(i));
	if (has_end)
		assert_int_equal(frames[nr_expected], frame_make_stop(stop, NO_MODULE));
}

static void whole_stacks(void **state)
{
	static const uint32_t nrs[] = {0, 1, 2, 100, USER_FRAMES_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nrs); i++)
		for (enum stop stop = STOP_complete; stop <= STOP_bad_frame; stop++) {
			store_add_body(&store, &walk.record, make_record(nrs[i], USER_FRAMES_MAX, stop, 0));
			check_kept(nrs[i], stop);
		}
}

static void a_body_that_comes_again(void **state)
{
	(void)state;
	size_t size = make_record(7, USER_FRAMES_MAX, STOP_complete, 0);

	for (int i = 0; i < 3; i++)
		store_add_body(&store, &walk.record, size);
	assert_int_equal(store.bodies.nr, 1);
	assert_int_equal(store.frames.nr, 7);
	check_kept(7, STOP_complete);
}

/* Raw pcs are one process's: the same ones of another are another stack. */
static void raw_stacks_belong_to_a_process(void **state)
{
	struct stack_key keys[2];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		size_t size = make_record(3, USER_FRAMES_MAX, STOP_complete, i + 10);

		store_add_body(&store, &walk.record, size);
		keys[i] = walk.record.key;
	}
	assert_int_equal(store.bodies.nr, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(store_find_body(&store, &keys[i])->process, i + 10);
	/* A slot that the key was not made with. */
	size_t size = make_record(3, USER_FRAMES_MAX, STOP_complete, 12);

	walk.record.process = 13;
	store_add_body(&store, &walk.record, size);
	assert_int_equal(store.nr_mismatches, 1);
	assert_int_equal(store.bodies.nr, 2);
}

/* Any one bit of the frames, the end or the key. */
static void damaged_bodies(void **state)
{
	uint64_t nr = 0;

	(void)state;
	for (uint32_t bit = 0; bit < (5 + 1 + 2) * 64; bit++) {
		size_t size = make_record(5, USER_FRAMES_MAX, STOP_bad_frame, 0);
		__u64 *word = bit / 64 < 5    ? &walk.frames[bit / 64]
			      : bit / 64 == 5 ? &walk.record.end_frame
					      : &walk.record.key.hash[bit / 64 - 6];

		*word ^= 1ull << bit % 64;
		store_add_body(&store, &walk.record, size);
		assert_int_equal(store.nr_mismatches, ++nr);
		assert_null(store_find_body(&store, &walk.record.key));
	}
	assert_int_equal(store.bodies.nr, 0);
	assert_int_equal(store.frames.nr, 0);
}

/* Lengths that contradict each other; a size that the record is exactly long shows a read behind it to a sanitizer. */
static void lengths_that_do_not_fit(void **state)
{
	size_t size = make_record(4, USER_FRAMES_MAX, STOP_complete, 0);

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		void *record = memory_dup(&walk.record, cut ? cut : 1);

		store_add_body(&store, record, cut);
		assert_int_equal(store.nr_mismatches, cut + 1);
		free(record);
	}
	static const uint32_t nrs[] = {3, 5, USER_FRAMES_MAX, USER_FRAMES_MAX + 1, UINT32_MAX, 1u << 29, 1u << 31};

	store.nr_mismatches = 0;
	for (size_t i = 0; i < ARRAY_SIZE(nrs); i++) {
		struct record_stack *record = memory_dup(&walk.record, size);

		record->nr_frames = nrs[i];
		record->nr_walked = nrs[i];
		store_add_body(&store, record, size);
		assert_int_equal(store.nr_mismatches, i + 1);
		free(record);
	}
	assert_int_equal(store.bodies.nr, 0);
	/* More bytes than needed are no contradiction: the ring rounds up. */
	store.nr_mismatches = 0;
	store_add_body(&store, &walk.record, size + 8);
	check_kept(4, STOP_complete);
}

/* One frame more than a stack may have: right in all else, and too long for those who read it. */
static void longer_than_allowed(void **state)
{
	enum { NR = USER_FRAMES_MAX + 1 };
	struct {
		struct record_stack record;
		uint64_t frames[NR];
	} *body = memory_zalloc(1, sizeof(*body));

	(void)state;
	body->record = (struct record_stack){.type = RECORD_STACK, .nr_frames = NR, .nr_walked = NR};
	stack_key_start(&body->record.key, &home_seed);
	for (uint32_t i = 0; i < NR; i++) {
		body->frames[i] = some_frame(i);
		stack_key_add(&body->record.key, body->frames[i]);
	}
	stack_key_finish(&body->record.key, 0);
	store_add_body(&store, &body->record, sizeof(*body));
	assert_int_equal(store.nr_mismatches, 1);
	assert_int_equal(store.bodies.nr, 0);
	free(body);
}

/* ---- deep stacks ---- */

static void check_elided(uint32_t nr_walked, uint32_t max_frames, enum stop stop)
{
	uint32_t round = max_frames / 3, leaf = max_frames - round, nr;
	const uint64_t *frames = find_frames(&nr);

	assert_int_equal(nr, leaf + 1 + round + (stop > STOP_absent));
	for (uint32_t i = 0; i < leaf; i++)
		assert_int_equal(frames[i], some_frame(i));
	assert_int_equal(frames[leaf], frame_make_stop(STOP_elided, nr_walked - max_frames));
	for (uint32_t i = 0; i < round; i++)
		assert_int_equal(frames[leaf + 1 + i], some_frame(nr_walked - round + i));
	if (stop > STOP_absent)
		assert_int_equal(frames[nr - 1], frame_make_stop(stop, NO_MODULE));
}

static void deep_stacks(void **state)
{
	static const uint32_t maxima[] = {USER_FRAMES_MIN, 17, 18, USER_FRAMES_DEFAULT, USER_FRAMES_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(maxima); i++) {
		uint32_t max = maxima[i];

		/* The same stack has the same key however much of it is kept. */
		end_store(NULL);
		start_store(NULL);
		const uint32_t nrs[] = {max - 1,       max,     max + 1, max + 2,      max + max / 3 - 1,
					max + max / 3, 2 * max, 2000,    USER_WALK_MAX};

		for (size_t j = 0; j < ARRAY_SIZE(nrs); j++) {
			enum stop stop = j % 2 ? STOP_complete : STOP_unreadable;

			store_add_body(&store, &walk.record, make_record(nrs[j], max, stop, 0));
			if (nrs[j] > max)
				check_elided(nrs[j], max, stop);
			else
				check_kept(nrs[j], stop);
		}
		assert_int_equal(store.nr_mismatches, 0);
	}
}

/* Cut at the walker's limit: the frames before the cut are no root. */
static void too_deep(void **state)
{
	uint32_t nr, leaf = USER_FRAMES_DEFAULT - USER_FRAMES_DEFAULT / 3;
	size_t size = make_record(USER_WALK_MAX, USER_FRAMES_DEFAULT, STOP_too_deep, 0);

	(void)state;
	store_add_body(&store, &walk.record, size);
	const uint64_t *frames = find_frames(&nr);

	assert_int_equal(nr, leaf + 1);
	for (uint32_t i = 0; i < leaf; i++)
		assert_int_equal(frames[i], some_frame(i));
	assert_int_equal(frames[leaf], frame_make_stop(STOP_too_deep, NO_MODULE));
}

/* Its key can't be made again, but its lengths have to make sense. */
static void broken_deep_stacks(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t size = make_record(100, 30, STOP_complete, 0);

		if (i == 0)
			walk.record.nr_leaf_frames = 30; /* no room for a ring */
		else if (i == 1)
			walk.record.nr_leaf_frames = UINT16_MAX;
		else
			walk.record.nr_walked = USER_WALK_MAX + 1;
		store_add_body(&store, &walk.record, size);
		assert_int_equal(store.nr_mismatches, i + 1);
	}
	assert_int_equal(store.bodies.nr, 0);
	/* No leaf part at all is odd, not impossible. */
	size_t size = make_record(100, 30, STOP_complete, 0);

	walk.record.nr_leaf_frames = 0;
	store_add_body(&store, &walk.record, size);
	assert_int_equal(store.bodies.nr, 1);
	assert_int_equal(store.bodies.data[0].nr_frames, 31);
}

/* ---- counts ---- */

static void counts_add_up(void **state)
{
	struct count_key keys[4];

	(void)state;
	memset(keys, 0, sizeof(keys));
	keys[1].process = 1;
	keys[2].cpu = NO_CPU;
	keys[3].thread[COMM_SIZE - 1] = 1;
	for (uint64_t i = 0; i < 400; i++)
		store_add_count(&store, &keys[i % 4], i);
	assert_int_equal(store.counts.nr, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_memory_equal(&store.counts.data[i].key, &keys[i], sizeof(keys[i]));
		assert_int_equal(store.counts.data[i].count, 100 * i + 4 * (99 * 100 / 2));
	}
}

static void absent_bodies(void **state)
{
	const struct stack_key none = {{0, 0}}, other = {{0, 1}};

	(void)state;
	assert_null(store_find_body(&store, &none));
	assert_null(store_find_body(&store, &other));
	assert_true(stack_key_is_empty(&none));
	assert_false(stack_key_is_empty(&other));
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, start_store, end_store)
	const struct CMUnitTest tests[] = {
		STORE_TEST(whole_stacks),
		STORE_TEST(a_body_that_comes_again),
		STORE_TEST(raw_stacks_belong_to_a_process),
		STORE_TEST(damaged_bodies),
		STORE_TEST(lengths_that_do_not_fit),
		STORE_TEST(longer_than_allowed),
		STORE_TEST(deep_stacks),
		STORE_TEST(too_deep),
		STORE_TEST(broken_deep_stacks),
		STORE_TEST(counts_add_up),
		STORE_TEST(absent_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
