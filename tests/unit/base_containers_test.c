/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers that everything else stands on: allocation, vectors, sorted arrays, tables, string pools, whole texts.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include "input.h"
#include "memory.h"
#include "sorted.h"
#include "strings.h"
#include "table.h"
#include "vector.h"

enum { MANY = 100000 };

/* --- memory ---------------------------------------------------------------------------------------------------------
 */

/* True when run() ends its process other than by returning. */
static bool ends_the_program(void (*run)(void))
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		run();
		_exit(0);
	}
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static volatile size_t huge = SIZE_MAX / 2;

static void realloc_overflow(void)
{
	free(memory_realloc(NULL, huge, 4));
}

static void zalloc_overflow(void)
{
	free(memory_zalloc(huge, 4));
}

static void test_overflow_ends_the_program(void **state)
{
	(void)state;
	assert_true(ends_the_program(realloc_overflow));
	assert_true(ends_the_program(zalloc_overflow));
}

static void test_empty_allocations_are_usable(void **state)
{
	(void)state;
	void *nothing = memory_zalloc(0, 8);

	assert_non_null(nothing);
	nothing = memory_realloc(nothing, 0, 8);
	assert_non_null(nothing);
	free(nothing);
	free(memory_dup("", 0));
}

static void test_copies_and_formats(void **state)
{
	(void)state;
	_cleanup_free_ char *copy = memory_strdup("abc");
	_cleanup_free_ char *text = memory_format("%s-%d", "x", 7);

	assert_string_equal(copy, "abc");
	assert_string_equal(text, "x-7");
	char *stolen = steal_pointer(copy);

	assert_null(copy);
	assert_string_equal(stolen, "abc");
	free(stolen);
}

/* --- vector ---------------------------------------------------------------------------------------------------------
 */

static void test_vector_grows_and_keeps(void **state)
{
	(void)state;
	VECTOR(uint64_t) numbers = {0};

	for (uint64_t i = 0; i < MANY; i++) {
		uint64_t *fresh = vector_push(&numbers);

		assert_int_equal(*fresh, 0);
		*fresh = i * i;
		assert_true(numbers.nr <= numbers.capacity);
	}
	assert_int_equal(numbers.nr, MANY);
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(numbers.data[i], i * i);
	vector_free(&numbers);
	assert_null(numbers.data);
	assert_int_equal(numbers.nr + numbers.capacity, 0);
}

static void test_vector_push_clears_reused_room(void **state)
{
	(void)state;
	VECTOR(uint32_t) numbers = {0};

	*vector_push(&numbers) = 0xffffffff;
	numbers.nr = 0;
	assert_int_equal(*vector_push(&numbers), 0);
	vector_free(&numbers);
}

static void test_vector_reserve(void **state)
{
	(void)state;
	VECTOR(char) bytes = {0};

	vector_reserve(&bytes, 0);
	assert_int_equal(bytes.nr, 0);
	vector_reserve(&bytes, 1000);
	assert_true(bytes.capacity >= 1000);
	char *before = bytes.data;

	for (int i = 0; i < 1000; i++)
		*vector_push(&bytes) = 'x';
	assert_ptr_equal(bytes.data, before);
	vector_reserve(&bytes, 1);
	assert_true(bytes.capacity >= 1001);
	vector_free(&bytes);
}

/* --- table ----------------------------------------------------------------------------------------------------------
 */

static void test_table_empty(void **state)
{
	(void)state;
	struct table table;
	uint64_t key = 5;
	uint32_t found = 77;

	table_init(&table, sizeof(key));
	assert_false(table_get(&table, &key, &found));
	assert_int_equal(found, 77);
	table_deinit(&table);
	/* Usable again after deinit. */
	table_put(&table, &key, 3);
	assert_true(table_get(&table, &key, &found));
	assert_int_equal(found, 3);
	table_deinit(&table);
}

static void check_many_keys(size_t key_size)
{
	struct table table;
	uint8_t key[32] = {0};
	uint32_t found;
	bool added;

	table_init(&table, key_size);
	for (uint32_t i = 0; i < MANY; i++) {
		/* Only the last bytes differ: a hash that forgot the tail would crawl, a comparison that did would
		 * merge. */
		memcpy(key + key_size - sizeof(i), &i, sizeof(i));
		assert_int_equal(table_intern(&table, key, i, &added), i);
		assert_true(added);
		assert_int_equal(table_intern(&table, key, UINT32_MAX - 1, &added), i);
		assert_false(added);
	}
	assert_int_equal(table.nr, MANY);
	assert_true(table.nr * 4 <= table.capacity * 3);
	assert_int_equal(table.capacity & (table.capacity - 1), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		memcpy(key + key_size - sizeof(i), &i, sizeof(i));
		assert_true(table_get(&table, key, &found));
		assert_int_equal(found, i);
	}
	for (uint32_t i = MANY; i < MANY + 1000; i++) {
		memcpy(key + key_size - sizeof(i), &i, sizeof(i));
		assert_false(table_get(&table, key, &found));
	}
	table_deinit(&table);
}

static void test_table_many_keys(void **state)
{
	(void)state;
	check_many_keys(4);
	check_many_keys(7);
	check_many_keys(8);
	check_many_keys(20);
	check_many_keys(32);
}

/* Keys that all want the same slot, whichever of the sizes the table has. */
static void test_table_collisions(void **state)
{
	(void)state;
	enum { NR = 300, MASK = 1023 };
	struct table table;
	uint64_t keys[NR];
	size_t nr = 0;
	uint32_t found;

	for (uint64_t candidate = 0; nr < NR; candidate++) {
		if ((hash_bytes(&candidate, sizeof(candidate), 0) & MASK) == MASK)
			keys[nr++] = candidate;
	}
	table_init(&table, sizeof(keys[0]));
	for (uint32_t i = 0; i < NR; i++)
		table_put(&table, &keys[i], i);
	assert_true(table.capacity <= MASK + 1);
	for (uint32_t i = 0; i < NR; i++) {
		assert_true(table_get(&table, &keys[i], &found));
		assert_int_equal(found, i);
	}
	table_put(&table, &keys[NR / 2], 4242);
	assert_int_equal(table.nr, NR);
	assert_true(table_get(&table, &keys[NR / 2], &found));
	assert_int_equal(found, 4242);
	assert_true(table_get(&table, &keys[NR / 2 + 1], &found));
	assert_int_equal(found, NR / 2 + 1);
	table_deinit(&table);
}

static void test_table_largest_index(void **state)
{
	(void)state;
	struct table table;
	uint32_t key = 0, found;

	table_init(&table, sizeof(key));
	table_put(&table, &key, UINT32_MAX - 1);
	assert_true(table_get(&table, &key, &found));
	assert_int_equal(found, UINT32_MAX - 1);
	table_deinit(&table);
}

static void test_hash_sees_every_byte_and_the_length(void **state)
{
	(void)state;
	uint8_t bytes[24] = {0};

	for (size_t size = 0; size <= sizeof(bytes); size++) {
		uint64_t plain = hash_bytes(bytes, size, 0);

		assert_int_equal(hash_bytes(bytes, size, 0), plain);
		assert_int_not_equal(hash_bytes(bytes, size, 1), plain);
		if (size)
			assert_int_not_equal(hash_bytes(bytes, size - 1, 0), plain);
		for (size_t i = 0; i < size; i++) {
			bytes[i] = 1;
			assert_int_not_equal(hash_bytes(bytes, size, 0), plain);
			bytes[i] = 0;
		}
	}
}

/* --- strings --------------------------------------------------------------------------------------------------------
 */

static void test_strings_empty_is_zero(void **state)
{
	(void)state;
	struct strings strings;

	strings_init(&strings);
	assert_int_equal(strings_intern(&strings, ""), 0);
	assert_int_equal(strings_intern(&strings, NULL), 0);
	assert_string_equal(strings_text(&strings, 0), "");
	assert_int_equal(strings_intern(&strings, "a"), 1);
	assert_int_equal(strings.texts.nr, 2);
	strings_deinit(&strings);
}

static void test_strings_many(void **state)
{
	(void)state;
	struct strings strings;
	char text[32];

	strings_init(&strings);
	uint32_t first = strings_intern(&strings, "first");
	const char *address = strings_text(&strings, first);

	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "name%u", i);
		assert_int_equal(strings_intern(&strings, text), first + 1 + i);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "name%u", i);
		assert_int_equal(strings_intern(&strings, text), first + 1 + i);
		assert_string_equal(strings_text(&strings, first + 1 + i), text);
	}
	assert_ptr_equal(strings_text(&strings, first), address);
	assert_int_equal(strings.texts.nr, MANY + 2);
	strings_deinit(&strings);
}

/* The pool owns its copies, and one text that starts another is a text of its own. */
static void test_strings_copies_and_prefixes(void **state)
{
	(void)state;
	struct strings strings;
	char text[] = "abcdefghij";

	strings_init(&strings);
	uint32_t ids[sizeof(text)];

	for (size_t length = sizeof(text); length-- > 0;) {
		text[length] = '\0';
		ids[length] = strings_intern(&strings, text);
	}
	assert_int_equal(ids[0], 0);
	for (size_t length = 0; length < sizeof(text); length++) {
		assert_int_equal(strlen(strings_text(&strings, ids[length])), length);
		assert_memory_equal(strings_text(&strings, ids[length]), "abcdefghij", length);
	}
	strings_deinit(&strings);
}

/* --- sorted arrays --------------------------------------------------------------------------------------------------
 */

static void test_sorted_front(void **state)
{
	static const int numbers[] = {1, 3, 3, 5, 9};

	(void)state;
	assert_int_equal(sorted_front(0, i, numbers[i] < 5), 0);
	assert_int_equal(sorted_front(ARRAY_SIZE(numbers), i, numbers[i] < 1), 0);
	assert_int_equal(sorted_front(ARRAY_SIZE(numbers), i, numbers[i] <= 1), 1);
	assert_int_equal(sorted_front(ARRAY_SIZE(numbers), i, numbers[i] < 3), 1);
	assert_int_equal(sorted_front(ARRAY_SIZE(numbers), i, numbers[i] <= 3), 3);
	assert_int_equal(sorted_front(ARRAY_SIZE(numbers), i, numbers[i] < 9), 4);
	assert_int_equal(sorted_front(ARRAY_SIZE(numbers), i, numbers[i] < 10), 5);
}

/* --- whole texts ----------------------------------------------------------------------------------------------------
 */

/* A pipe gives what is there, in pieces of any size; the writer is a process of its own. */
static int pipe_of(size_t size)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		for (size_t i = 0; i < size; i++)
			if (write(ends[1], &"abcdefg"[i % 7], 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

static void test_input_is_whole(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 131071, 131072, 150000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_close_ int fd = pipe_of(sizes[i]);
		_cleanup_free_ char *text = NULL;
		size_t size = 1;

		assert_int_equal(input_read(fd, 150000, &text, &size), 0);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(strlen(text), size);
		for (size_t at = 0; at < size; at++)
			assert_int_equal(text[at], "abcdefg"[at % 7]);
	}
	while (wait(NULL) > 0)
		;
}

static void test_input_has_limits(void **state)
{
	_cleanup_close_ int fd = pipe_of(1001);
	char *text = NULL;
	size_t size = 0;

	(void)state;
	assert_int_equal(input_read(fd, 1000, &text, &size), -E2BIG);
	assert_int_equal(input_read(-1, 1000, &text, &size), -EBADF);
	assert_null(text);
	wait(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overflow_ends_the_program),
		cmocka_unit_test(test_empty_allocations_are_usable),
		cmocka_unit_test(test_copies_and_formats),
		cmocka_unit_test(test_vector_grows_and_keeps),
		cmocka_unit_test(test_vector_push_clears_reused_room),
		cmocka_unit_test(test_vector_reserve),
		cmocka_unit_test(test_table_empty),
		cmocka_unit_test(test_table_many_keys),
		cmocka_unit_test(test_table_collisions),
		cmocka_unit_test(test_table_largest_index),
		cmocka_unit_test(test_hash_sees_every_byte_and_the_length),
		cmocka_unit_test(test_strings_empty_is_zero),
		cmocka_unit_test(test_strings_many),
		cmocka_unit_test(test_strings_copies_and_prefixes),
		cmocka_unit_test(test_sorted_front),
		cmocka_unit_test(test_input_is_whole),
		cmocka_unit_test(test_input_has_limits),
	};

	return cmocka_run_group_tests_name("base_containers", tests, NULL, NULL);
}
