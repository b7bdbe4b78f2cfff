/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replaced_text_test.c - memory in the place of a file's code, compared with the file: this program's own code is
 * copied to memory elsewhere, which is said to be where it was loaded.
 */
#include "replaced_text.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "reader.h"
#include "sample.h"

enum { PAGE = 4096, NR_PAGES = 16 };

static struct modules modules;
static uint32_t own;  /* this program's module */
static uint8_t *copy; /* NR_PAGES pages from the start of its code segment, and some more memory on both sides */
static uint64_t text_offset, text_file_offset;
static uint32_t budget;

static int find_code(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X)
			*(const uint8_t **)context = (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	return 1; /* the program itself comes first */
}

static int start(void **state)
{
	const uint8_t *code = NULL;
	bool added;

	(void)state;
	modules_init(&modules, reader_create(NULL), 64);
	own = modules_add_path(&modules, "/proc/self/exe", &added);
	if (own == NO_MODULE || modules.list.data[own].info.nr_segments != 1)
		return -1;
	const struct object_info *info = &modules.list.data[own].info;

	if (info->segments[0].file_size < NR_PAGES * PAGE)
		return -1;
	text_offset = info->segments[0].file_addr - info->base_addr;
	text_file_offset = info->segments[0].file_offset;
	dl_iterate_phdr(find_code, &code);
	copy = mmap(NULL, (NR_PAGES + 2) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	copy += PAGE;
	memcpy(copy, code, NR_PAGES * PAGE);
	budget = 10;
	return 0;
}

static int end(void **state)
{
	(void)state;
	munmap(copy - PAGE, (NR_PAGES + 2) * PAGE);
	reader_destroy(modules.reader);
	modules_deinit(&modules);
	return 0;
}

static uint64_t at(int page)
{
	return (uint64_t)(uintptr_t)copy + (uint64_t)(page * PAGE);
}

static struct mapping code_mapping(int first, int last)
{
	return (struct mapping){
		.start = at(first),
		.end = at(last),
		.module = own,
		.module_offset = text_offset + (uint64_t)(first * PAGE),
		.file_offset = text_file_offset + (uint64_t)(first * PAGE),
	};
}

static struct mapping anonymous(int first, int last)
{
	return (struct mapping){.start = at(first), .end = at(last), .module = NO_MODULE};
}

static void expect(const struct mappings *mappings, const struct mapping *expected, size_t nr)
{
	assert_int_equal(mappings->list.nr, nr);
	for (size_t i = 0; i < nr; i++) {
		const struct mapping *mapping = &mappings->list.data[i];

		assert_true(mapping->start == expected[i].start && mapping->end == expected[i].end);
		assert_int_equal(mapping->module, expected[i].module);
		if (mapping->module == NO_MODULE)
			continue;
		assert_true(mapping->module_offset == expected[i].module_offset);
		assert_true(mapping->file_offset == expected[i].file_offset);
	}
}

#define EXPECT(mappings, ...)                                                                                          \
	do {                                                                                                           \
		const struct mapping expected[] = {__VA_ARGS__};                                                       \
		expect(mappings, expected, sizeof(expected) / sizeof(expected[0]));                                    \
	} while (0)

static void over_the_file(void **state)
{
	struct mappings mappings = {0};

	(void)state;
	mappings_add(&mappings, code_mapping(0, 16));
	replaced_text_add(&modules, getpid(), anonymous(4, 8), &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 4), code_mapping(4, 8), code_mapping(8, 16));
	assert_int_equal(budget, 9);
	mappings_deinit(&mappings);
}

/* First the memory appears, then the code in it; the second record covers the first. */
static void copied_after_the_first_record(void **state)
{
	struct mappings mappings = {0};
	uint8_t held[16 * PAGE];

	(void)state;
	mappings_add(&mappings, code_mapping(0, 16));
	memcpy(held, copy, sizeof(held));
	memset(copy, 0, sizeof(held));
	replaced_text_add(&modules, getpid(), anonymous(0, 16), &mappings, &budget);
	EXPECT(&mappings, anonymous(0, 16));
	memcpy(copy, held, sizeof(held));
	replaced_text_add(&modules, getpid(), anonymous(0, 16), &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 16));
	mappings_deinit(&mappings);
}

/* What was mapped reaches beyond the file's code: only that part is the file's. */
static void larger_than_the_code(void **state)
{
	struct mappings mappings = {0};
	struct mapping whole = anonymous(-1, 16);

	(void)state;
	mappings_add(&mappings, code_mapping(0, 16));
	replaced_text_add(&modules, getpid(), whole, &mappings, &budget);
	EXPECT(&mappings, anonymous(-1, 0), code_mapping(0, 16));
	mappings_deinit(&mappings);
}

static void other_code(void **state)
{
	struct mappings mappings = {0};

	(void)state;
	mappings_add(&mappings, code_mapping(0, 16));
	memset(copy + 4 * PAGE, 0x90, 2 * PAGE);
	replaced_text_add(&modules, getpid(), anonymous(4, 8), &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 4), anonymous(4, 8), code_mapping(8, 16));
	mappings_deinit(&mappings);
}

/* Code that patches itself, here in one place, is still the file's. */
static void patched_code(void **state)
{
	struct mappings mappings = {0};

	(void)state;
	mappings_add(&mappings, code_mapping(0, 16));
	copy[4 * PAGE + 8] ^= 0x55;
	replaced_text_add(&modules, getpid(), anonymous(4, 8), &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 4), code_mapping(4, 8), code_mapping(8, 16));
	mappings_deinit(&mappings);
}

/* Attached later: only what lies beside it tells, or the page at which the file begins. */
static void by_its_neighbours(void **state)
{
	struct mappings mappings = {0};
	struct first_pages none = {0};

	(void)state;
	mappings_add(&mappings, code_mapping(0, 4));
	mappings_add(&mappings, anonymous(4, 8));
	mappings_add(&mappings, anonymous(8, 16));
	replaced_text_search(&modules, getpid(), &none, &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 4), code_mapping(4, 8), code_mapping(8, 16));
	mappings_deinit(&mappings);

	mappings_add(&mappings, anonymous(4, 8));
	mappings_add(&mappings, code_mapping(8, 16));
	replaced_text_search(&modules, getpid(), &none, &mappings, &budget);
	EXPECT(&mappings, code_mapping(4, 8), code_mapping(8, 16));
	mappings_deinit(&mappings);
}

static void by_the_first_page(void **state)
{
	struct mappings mappings = {0};
	struct first_pages pages = {0};
	char path[4096] = "";
	struct stat status;

	(void)state;
	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	assert_int_equal(stat(path, &status), 0);
	struct map_line line = {
		.start = at(0) - text_offset,
		.end = at(0) - text_offset + PAGE,
		.path = path,
		.inode = status.st_ino,
		.major = major(status.st_dev),
		.minor = minor(status.st_dev),
	};

	first_pages_add(&pages, &line);
	line.start = at(17);
	line.end = at(18);
	line.path = "/elsewhere";
	first_pages_add(&pages, &line);
	mappings_add(&mappings, anonymous(0, 16));
	replaced_text_search(&modules, getpid(), &pages, &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 16));
	mappings_deinit(&mappings);
	first_pages_deinit(&pages);
}

static void nothing_is_compared_without_budget(void **state)
{
	struct mappings mappings = {0};
	struct first_pages none = {0};

	(void)state;
	budget = 1;
	mappings_add(&mappings, code_mapping(0, 16));
	replaced_text_add(&modules, getpid(), anonymous(4, 8), &mappings, &budget);
	assert_int_equal(budget, 0);
	replaced_text_add(&modules, getpid(), anonymous(8, 12), &mappings, &budget);
	replaced_text_search(&modules, getpid(), &none, &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 4), code_mapping(4, 8), anonymous(8, 12), code_mapping(12, 16));
	mappings_deinit(&mappings);
}

static void memory_that_is_gone(void **state)
{
	struct mappings mappings = {0};

	(void)state;
	mappings_add(&mappings, code_mapping(0, 16));
	assert_int_equal(mprotect(copy + 4 * PAGE, 4 * PAGE, PROT_NONE), 0);
	replaced_text_add(&modules, getpid(), anonymous(4, 8), &mappings, &budget);
	EXPECT(&mappings, code_mapping(0, 4), anonymous(4, 8), code_mapping(8, 16));
	mappings_deinit(&mappings);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(over_the_file),        SCENE(copied_after_the_first_record),
		SCENE(larger_than_the_code), SCENE(other_code),
		SCENE(patched_code),         SCENE(by_its_neighbours),
		SCENE(by_the_first_page),    SCENE(nothing_is_compared_without_budget),
		SCENE(memory_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
