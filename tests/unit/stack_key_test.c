/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_key_test.c - frames as bits, and the key that is made of them.
 *
 * Of the key only what it is good for is tested: that it depends on everything, that each bit does so on each, and that
 * many stacks that look alike, as a program's do, have as many keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"
#include "sample.h"
#include "stacks.h"

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

static const struct stack_key some_seed = {.hash = {0x1111222233334444ull, 0x5555666677778888ull}};

static struct stack_key key_of(const struct stack_key *seed, const uint64_t *frames, size_t nr, uint32_t process)
{
	struct stack_key key;

	stack_key_start(&key, seed);
	for (size_t i = 0; i < nr; i++)
		stack_key_add(&key, frames[i]);
	stack_key_finish(&key, process);
	return key;
}

static void check_differ(struct stack_key a, struct stack_key b)
{
	assert_int_not_equal(a.hash[0], b.hash[0]);
	assert_int_not_equal(a.hash[1], b.hash[1]);
}

/* ---- frames ---- */

static void frames_hold_what_was_put_in(void **state)
{
	const uint64_t flags[] = {0, FRAME_EXACT, FRAME_BY_FP, FRAME_GUESSED, FRAME_EXACT | FRAME_BY_FP};
	const uint32_t modules[] = {0, 1, 0x8000, MODULES_MAX - 1};
	const uint64_t offsets[] = {0, 1, 0x12345678, FRAME_OFFSET_MASK};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		for (size_t j = 0; j < ARRAY_SIZE(modules); j++)
			for (size_t k = 0; k < ARRAY_SIZE(offsets); k++) {
				uint64_t frame = frame_make_file(modules[j], offsets[k], flags[i]);

				assert_int_equal(frame_kind(frame), FRAME_FILE);
				assert_int_equal(frame_module(frame), modules[j]);
				assert_int_equal(frame_offset(frame), offsets[k]);
				assert_int_equal(frame & (FRAME_EXACT | FRAME_BY_FP | FRAME_GUESSED), flags[i]);
			}
	uint64_t raw = frame_make(FRAME_RAW, FRAME_BY_FP, 0x7fffffffefff);

	assert_int_equal(frame_kind(raw), FRAME_RAW);
	assert_int_equal(frame_raw_pc(raw), 0x7fffffffefff);
	const uint64_t kernel_pcs[] = {0xffffffff81000000, 0xffff888000000001, 0xf800000000000000, ~0ull};

	for (size_t i = 0; i < ARRAY_SIZE(kernel_pcs); i++) {
		uint64_t frame = frame_make(FRAME_KERNEL, FRAME_EXACT, kernel_pcs[i]);

		assert_int_equal(frame_kind(frame), FRAME_KERNEL);
		assert_int_equal(frame_kernel_pc(frame), kernel_pcs[i]);
	}
	uint64_t stop = frame_make_stop(STOP_unreadable, NO_MODULE);

	assert_int_equal(frame_kind(stop), FRAME_PSEUDO);
	assert_int_equal(frame_module(stop), NO_MODULE);
	assert_int_equal(stop & 0xff, STOP_unreadable);
}

/* The texts of both lists, to see that they run in parallel. */
static void each_stop_has_its_counter(void **state)
{
	static const char *const stops[] = {
#define STOP(name, text, advice) "user_" #name,
		STOPS(STOP)
#undef STOP
	};
	static const char *const counters[NR_COUNTERS] = {
#define STOP(name, text, advice) [COUNTER_user_##name] = "user_" #name,
		STOPS(STOP)
#undef STOP
	};

	(void)state;
	for (uint32_t stop = 0; stop < NR_STOPS; stop++)
		assert_string_equal(counters[counter_of_stop((enum stop)stop)], stops[stop]);
}

/* ---- the key ---- */

static void depends_on_everything(void **state)
{
	const uint64_t frames[] = {1, 2, 3, 2, 1, 7};
	const uint64_t swapped[] = {1, 2, 2, 3, 1, 7};
	const uint64_t zeros[4] = {0};
	struct stack_key seed = some_seed;
	struct stack_key key = key_of(&seed, frames, 6, 0);

	(void)state;
	struct stack_key again = key_of(&seed, frames, 6, 0);

	assert_memory_equal(&key, &again, sizeof(key));
	check_differ(key, key_of(&seed, swapped, 6, 0));
	check_differ(key, key_of(&seed, frames, 5, 0));
	check_differ(key, key_of(&seed, frames + 1, 5, 0));
	check_differ(key, key_of(&seed, frames, 6, 1));
	check_differ(key_of(&seed, frames, 6, 2), key_of(&seed, frames, 6, 1));
	for (size_t nr = 0; nr < 4; nr++)
		check_differ(key_of(&seed, zeros, nr, 0), key_of(&seed, zeros, nr + 1, 0));
	for (int i = 0; i < 2; i++) {
		seed = some_seed;
		seed.hash[i] ^= 1;
		assert_int_not_equal(key_of(&seed, frames, 6, 0).hash[i], key.hash[i]);
	}
}

static int count_flips(uint64_t *frames, size_t nr, size_t frame, int bit, uint32_t counts[2][64])
{
	struct stack_key before = key_of(&some_seed, frames, nr, 0);

	frames[frame] ^= 1ull << bit;
	struct stack_key after = key_of(&some_seed, frames, nr, 0);
	int total = 0;

	for (int half = 0; half < 2; half++)
		for (int i = 0; i < 64; i++) {
			int flipped = (before.hash[half] ^ after.hash[half]) >> i & 1;

			counts[half][i] += (uint32_t)flipped;
			total += flipped;
		}
	return total;
}

/*
 * One bit of one frame, the leaf's or the root's, changes half of the key's bits. No bit of the key is deaf to it; the
 * uppermost bits of the last frame, which has the fewest steps behind it, change some of them in one of 16 cases only.
 */
static void each_bit_matters(void **state)
{
	enum { NR_FRAMES = 6, TRIALS = 2000 };

	(void)state;
	for (size_t frame = 0; frame < NR_FRAMES; frame += NR_FRAMES - 1)
		for (int bit = 0; bit < 64; bit++) {
			uint32_t counts[2][64] = {{0}};
			int total = 0;

			for (int i = 0; i < TRIALS; i++) {
				uint64_t frames[NR_FRAMES];

				for (int j = 0; j < NR_FRAMES; j++)
					frames[j] = random_next();
				total += count_flips(frames, NR_FRAMES, frame, bit, counts);
			}
			assert_in_range(total / TRIALS, 62, 66);
			uint32_t least = frame ? TRIALS / 40 : TRIALS * 2 / 5;

			for (int i = 0; i < 128; i++)
				if (counts[i / 64][i % 64] < least || counts[i / 64][i % 64] > TRIALS - least)
					fail_msg("bit %d of frame %zu changes bit %d %u times in %d", bit, frame, i,
						 counts[i / 64][i % 64], TRIALS);
		}
}

static int compare_words(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void check_distinct(uint64_t *hashes, size_t nr)
{
	qsort(hashes, nr, sizeof(*hashes), compare_words);
	for (size_t i = 1; i < nr; i++)
		assert_int_not_equal(hashes[i - 1], hashes[i]);
}

/*
 * A million different stacks that look alike: the same outer frames, then the digits of a number as frames that lie a
 * few bytes apart. Not even halves of their keys meet (by chance: 3 in 100 million).
 */
static void no_collisions(void **state)
{
	enum { STACKS = 1000000, BASE = 10, DIGITS = 6 };
	uint64_t *halves[2] = {memory_new_array(uint64_t, STACKS), memory_new_array(uint64_t, STACKS)};

	(void)state;
	for (uint32_t i = 0; i < STACKS; i++) {
		uint64_t frames[DIGITS + 3];
		uint32_t rest = i;

		for (int digit = 0; digit < DIGITS; digit++, rest /= BASE)
			frames[digit] = frame_make_file(3, 0x1000 + rest % BASE * 4, 0);
		for (int outer = 0; outer < 3; outer++)
			frames[DIGITS + outer] = frame_make_file(1, 0x20000 + (uint64_t)outer, 0);
		struct stack_key key = key_of(&some_seed, frames, DIGITS + 3, 0);

		halves[0][i] = key.hash[0];
		halves[1][i] = key.hash[1];
	}
	check_distinct(halves[0], STACKS);
	check_distinct(halves[1], STACKS);
	free(halves[0]);
	free(halves[1]);
}

/* Recursion: the same frame up to thousands of times, for many frames. */
static void no_collisions_of_recursions(void **state)
{
	enum { FUNCTIONS = 100, DEPTH = 4000 };
	uint64_t *halves[2] = {memory_new_array(uint64_t, FUNCTIONS * DEPTH),
			       memory_new_array(uint64_t, FUNCTIONS * DEPTH)};
	size_t nr = 0;

	(void)state;
	for (uint64_t function = 0; function < FUNCTIONS; function++) {
		struct stack_key running;

		stack_key_start(&running, &some_seed);
		for (int depth = 0; depth < DEPTH; depth++, nr++) {
			stack_key_add(&running, frame_make_file(0, 0x400 * function, 0));
			struct stack_key key = running;

			stack_key_finish(&key, 0);
			halves[0][nr] = key.hash[0];
			halves[1][nr] = key.hash[1];
		}
	}
	check_distinct(halves[0], nr);
	check_distinct(halves[1], nr);
	free(halves[0]);
	free(halves[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_hold_what_was_put_in),
		cmocka_unit_test(each_stop_has_its_counter),
		cmocka_unit_test(depends_on_everything),
		cmocka_unit_test(each_bit_matters),
		cmocka_unit_test(no_collisions),
		cmocka_unit_test(no_collisions_of_recursions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
