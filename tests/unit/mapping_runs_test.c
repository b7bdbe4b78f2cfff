/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping_runs_test.c - slots are never handed out while somebody may use them, and never lost.
 *
 * The reference is a note per slot of the run that has it, with its users and how many drains ago the last one left.
 */
#include "mapping_runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SLOTS = 200, RUNS_MAX = SLOTS, REST = 2 /* drains */ };

struct held {
	uint32_t run, first, count, users, drains;
	bool live; /* its slots may be walked */
};

static struct mapping_slot slots[SLOTS];
static struct held held[RUNS_MAX];
static uint64_t random_state;

static uint64_t below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state * 0x2545f4914f6cdd1dull >> 11) % limit;
}

/* Every slot is free or in one run that lives; free pieces are in order and as large as they can be. */
static void check_all(const struct mapping_runs *runs)
{
	uint32_t owners[SLOTS] = {0};
	uint64_t end = 0;

	for (uint32_t i = 0; i < RUNS_MAX; i++) {
		if (!held[i].live)
			continue;
		const struct mapping_run *run = &runs->list.data[held[i].run];

		assert_int_equal(run->first, held[i].first);
		assert_int_equal(run->count, held[i].count);
		assert_int_equal(run->users, held[i].users);
		for (uint32_t j = 0; j < held[i].count; j++)
			assert_int_equal(owners[held[i].first + j]++, 0);
	}
	for (size_t i = 0; i < runs->free.nr; i++) {
		const struct mapping_run *hole = &runs->free.data[i];

		assert_true(hole->count > 0);
		assert_true(i == 0 || hole->first > end);
		end = hole->first + hole->count;
		assert_true(end <= SLOTS);
		for (uint32_t j = 0; j < hole->count; j++)
			assert_int_equal(owners[hole->first + j]++, 0);
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_int_equal(owners[i], 1);
}

static uint32_t longest_hole(void)
{
	bool used[SLOTS] = {false};
	uint32_t longest = 0, length = 0;

	for (uint32_t i = 0; i < RUNS_MAX; i++)
		for (uint32_t j = 0; held[i].live && j < held[i].count; j++)
			used[held[i].first + j] = true;
	for (uint32_t i = 0; i < SLOTS; i++) {
		length = used[i] ? 0 : length + 1;
		longest = length > longest ? length : longest;
	}
	return longest;
}

/* -1 = there is none. */
static int random_held(bool with_users)
{
	uint32_t from = (uint32_t)below(RUNS_MAX);

	for (uint32_t i = 0; i < RUNS_MAX; i++) {
		uint32_t at = (from + i) % RUNS_MAX;

		if (held[at].live && (held[at].users || !with_users))
			return (int)at;
	}
	return -1;
}

static void take_both(struct mapping_runs *runs, uint32_t count)
{
	uint32_t longest = longest_hole(), place = 0;
	uint32_t run = mapping_runs_take(runs, count);

	assert_int_equal(run == NO_RUN, count > longest);
	if (run == NO_RUN)
		return;
	while (held[place].live)
		place++;
	held[place] = (struct held){
		.run = run, .first = runs->list.data[run].first, .count = count, .users = 1, .live = true};
}

static void rest_both(struct mapping_runs *runs)
{
	mapping_runs_rest(runs);
	for (uint32_t i = 0; i < RUNS_MAX; i++)
		if (held[i].live && !held[i].users && ++held[i].drains == REST)
			held[i].live = false;
}

/* A fork copied the kernel's entry: its run is found by its first slot, also if it rests already. */
static void share_both(struct mapping_runs *runs)
{
	int at = random_held(false);

	if (at < 0)
		return;
	assert_int_equal(mapping_runs_share(runs, held[at].first), held[at].run);
	held[at].users++;
	held[at].drains = 0;
}

static void leave_both(struct mapping_runs *runs)
{
	int at = random_held(true);

	if (at < 0)
		return;
	mapping_runs_leave(runs, held[at].run);
	held[at].users--;
	held[at].drains = 0;
}

/* A slot that begins no run, or one that is gone, can't be shared. */
static void check_no_run_at(struct mapping_runs *runs, uint32_t first)
{
	for (uint32_t i = 0; i < RUNS_MAX; i++)
		if (held[i].live && held[i].first == first)
			return;
	assert_int_equal(mapping_runs_share(runs, first), NO_RUN);
}

static void random_sequences(void **state)
{
	(void)state;
	random_state = 6;
	for (uint32_t round = 0; round < 40; round++) {
		struct mapping_runs runs;
		uint64_t largest = 1 + below(60);

		memset(held, 0, sizeof(held));
		mapping_runs_init(&runs, slots, SLOTS);
		for (uint32_t i = 0; i < 1000; i++) {
			switch (below(5)) {
			case 0:
			case 1:
				take_both(&runs, 1 + (uint32_t)below(largest));
				break;
			case 2:
				leave_both(&runs);
				break;
			case 3:
				rest_both(&runs);
				break;
			default:
				if (below(4))
					leave_both(&runs);
				else
					share_both(&runs);
			}
			check_no_run_at(&runs, (uint32_t)below(SLOTS));
			check_all(&runs);
		}
		mapping_runs_deinit(&runs);
	}
}

/* When all have left, all is one piece again. */
static void everything_comes_back(void **state)
{
	struct mapping_runs runs;
	uint32_t taken[SLOTS];

	(void)state;
	mapping_runs_init(&runs, slots, SLOTS);
	for (uint32_t i = 0; i < SLOTS; i++)
		taken[i] = mapping_runs_take(&runs, 1);
	assert_int_equal(mapping_runs_take(&runs, 1), NO_RUN);
	for (uint32_t i = 0; i < SLOTS; i++) /* in no order: 77 and 200 have no common divisor */
		mapping_runs_leave(&runs, taken[i * 77 % SLOTS]);
	mapping_runs_leave(&runs, NO_RUN);
	assert_int_equal(mapping_runs_take(&runs, 1), NO_RUN);
	mapping_runs_rest(&runs);
	assert_int_equal(mapping_runs_take(&runs, 1), NO_RUN);
	mapping_runs_rest(&runs);
	uint32_t run = mapping_runs_take(&runs, SLOTS);

	assert_int_not_equal(run, NO_RUN);
	assert_int_equal(runs.list.data[run].first, 0);
	mapping_runs_deinit(&runs);
}

/* A run that is shared while it rests begins to rest anew when that user leaves. */
static void shared_while_resting(void **state)
{
	struct mapping_runs runs;

	(void)state;
	mapping_runs_init(&runs, slots, SLOTS);
	uint32_t run = mapping_runs_take(&runs, SLOTS);

	mapping_runs_leave(&runs, run);
	mapping_runs_rest(&runs);
	assert_int_equal(mapping_runs_share(&runs, 0), run);
	for (int i = 0; i < 5; i++)
		mapping_runs_rest(&runs);
	assert_int_equal(mapping_runs_take(&runs, 1), NO_RUN);
	mapping_runs_leave(&runs, run);
	mapping_runs_rest(&runs);
	assert_int_equal(mapping_runs_take(&runs, 1), NO_RUN);
	mapping_runs_rest(&runs);
	assert_int_not_equal(mapping_runs_take(&runs, SLOTS), NO_RUN);
	mapping_runs_deinit(&runs);
}

static void more_than_there_is(void **state)
{
	struct mapping_runs runs;

	(void)state;
	mapping_runs_init(&runs, slots, SLOTS);
	assert_int_equal(mapping_runs_take(&runs, SLOTS + 1), NO_RUN);
	assert_int_equal(mapping_runs_take(&runs, UINT32_MAX), NO_RUN);
	assert_int_equal(mapping_runs_share(&runs, 0), NO_RUN);
	assert_int_equal(mapping_runs_share(&runs, UINT32_MAX), NO_RUN);
	assert_int_not_equal(mapping_runs_take(&runs, SLOTS), NO_RUN);
	mapping_runs_deinit(&runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_sequences),
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(shared_while_resting),
		cmocka_unit_test(more_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
