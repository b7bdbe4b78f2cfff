/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mappings_test.c - the newest mapping at an address is the true one, compared with a note per page of what was mapped
 * there last.
 */
#include "mappings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

enum { PAGES = 64, PAGE = 0x1000, BASE = 0x10000 };

struct page {
	bool mapped;
	uint64_t file_offset, module_offset;
	uint32_t module, path;
};

static uint64_t random_state = 362436069362436069ull;

static uint64_t below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state * 0x2545f4914f6cdd1dull >> 11) % limit;
}

static void add_both(struct mappings *mappings, struct page *pages, uint32_t first, uint32_t nr, uint32_t name)
{
	struct mapping fresh = {
		.start = BASE + first * PAGE,
		.end = BASE + (first + nr) * PAGE,
		.file_offset = name * 0x1000000ull,
		.module_offset = name * 0x3000000ull + 0x777000,
		.module = name,
		.path = name + 1000,
	};

	mappings_add(mappings, fresh);
	for (uint32_t i = 0; i < nr; i++)
		pages[first + i] = (struct page){
			.mapped = true,
			.file_offset = fresh.file_offset + i * PAGE,
			.module_offset = fresh.module_offset + i * PAGE,
			.module = fresh.module,
			.path = fresh.path,
		};
}

static void check_order(const struct mappings *mappings)
{
	for (size_t i = 0; i < mappings->list.nr; i++) {
		assert_true(mappings->list.data[i].start < mappings->list.data[i].end);
		if (i)
			assert_true(mappings->list.data[i - 1].end <= mappings->list.data[i].start);
	}
}

static void check_pages(const struct mappings *mappings, const struct page *pages)
{
	check_order(mappings);
	for (uint32_t i = 0; i < PAGES; i++) {
		for (uint64_t byte = 0; byte < PAGE; byte += PAGE - 1) {
			const struct mapping *found = mappings_find(mappings, BASE + i * PAGE + byte);

			assert_int_equal(found != NULL, pages[i].mapped);
			if (!found)
				continue;
			uint64_t into = BASE + i * PAGE - found->start;

			assert_int_equal(found->file_offset + into, pages[i].file_offset);
			assert_int_equal(found->module_offset + into, pages[i].module_offset);
			assert_int_equal(found->module, pages[i].module);
			assert_int_equal(found->path, pages[i].path);
		}
	}
	assert_null(mappings_find(mappings, 0));
	assert_null(mappings_find(mappings, BASE - 1));
	assert_null(mappings_find(mappings, BASE + PAGES * PAGE));
	assert_null(mappings_find(mappings, UINT64_MAX));
}

static void random_sequences(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 500; round++) {
		struct mappings mappings = {0};
		struct page pages[PAGES] = {{0}};
		uint64_t longest = 1 + below(PAGES / 2);

		for (uint32_t name = 1; name <= 40; name++) {
			uint32_t nr = 1 + (uint32_t)below(longest);

			add_both(&mappings, pages, (uint32_t)below(PAGES - nr + 1), nr, name);
			check_pages(&mappings, pages);
		}
		mappings_deinit(&mappings);
	}
}

/* Each way in which a new mapping can lie against one that is there. */
static void each_overlap(void **state)
{
	(void)state;
	for (uint32_t first = 0; first < 12; first++)
		for (uint32_t nr = 1; first + nr <= 12; nr++) {
			struct mappings mappings = {0};
			struct page pages[PAGES] = {{0}};

			add_both(&mappings, pages, 2, 3, 1);
			add_both(&mappings, pages, 7, 3, 2);
			add_both(&mappings, pages, first, nr, 3);
			check_pages(&mappings, pages);
			mappings_deinit(&mappings);
		}
}

static void empty(void **state)
{
	struct mappings none = {0}, copy = {0};

	(void)state;
	assert_null(mappings_find(&none, 0));
	mappings_copy(&copy, &none);
	assert_int_equal(copy.list.nr, 0);
	mappings_deinit(&copy);
	mappings_deinit(&none);
}

/* A copy is whole, replaces what was there, and goes its own way. */
static void copies(void **state)
{
	struct mappings from = {0}, to = {0};
	struct page pages[PAGES] = {{0}}, others[PAGES] = {{0}};

	(void)state;
	add_both(&to, others, 0, PAGES, 9);
	for (uint32_t i = 0; i < 20; i++)
		add_both(&from, pages, i * 3, 2, i + 1);
	mappings_copy(&to, &from);
	check_pages(&to, pages);
	mappings_add(&from, (struct mapping){.start = BASE, .end = BASE + PAGES * PAGE, .module = 77});
	check_pages(&to, pages);
	/* Onto itself from fewer. */
	mappings_copy(&to, &from);
	assert_int_equal(to.list.nr, 1);
	assert_int_equal(mappings_find(&to, BASE)->module, 77);
	mappings_deinit(&from);
	mappings_deinit(&to);
}

/* Many, from high to low, as the kernel hands addresses out; then one that covers all of them but half a page. */
static void many_from_above(void **state)
{
	enum { MANY = 16384 };
	struct mappings mappings = {0};

	(void)state;
	for (uint64_t i = MANY; i--;)
		mappings_add(&mappings,
			     (struct mapping){.start = 2 * i * PAGE, .end = (2 * i + 1) * PAGE, .module = (uint32_t)i});
	assert_int_equal(mappings.list.nr, MANY);
	check_order(&mappings);
	for (uint64_t i = 0; i < MANY; i += 1000)
		assert_int_equal(mappings_find(&mappings, 2 * i * PAGE)->module, i);
	mappings_add(&mappings, (struct mapping){.start = PAGE / 2, .end = 2ull * MANY * PAGE, .module = MANY});
	assert_int_equal(mappings.list.nr, 2);
	mappings_deinit(&mappings);
}

/* The last page of the address space, and the first. */
static void at_the_ends_of_the_address_space(void **state)
{
	struct mappings mappings = {0};

	(void)state;
	mappings_add(&mappings, (struct mapping){.start = 0, .end = PAGE, .module = 1});
	mappings_add(&mappings, (struct mapping){.start = -2ull * PAGE, .end = UINT64_MAX, .module = 2});
	assert_int_equal(mappings_find(&mappings, 0)->module, 1);
	assert_int_equal(mappings_find(&mappings, UINT64_MAX - 1)->module, 2);
	assert_null(mappings_find(&mappings, UINT64_MAX));
	assert_null(mappings_find(&mappings, PAGE));
	mappings_deinit(&mappings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_sequences),
		cmocka_unit_test(each_overlap),
		cmocka_unit_test(empty),
		cmocka_unit_test(copies),
		cmocka_unit_test(many_from_above),
		cmocka_unit_test(at_the_ends_of_the_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
