/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replaced_text_test.c - memory in the place of a file's code, compared with the file.
 *
 * Mostly this program's own code is copied to memory elsewhere, which is said to be where it was loaded. In the end a
 * child process really does it: it lays memory over its code, here with the same bytes and there with others.
 */
#include "replaced_text.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
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
	own = modules_add_path(&modules, "/proc/self/exe", false, &added);
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

/* ---- a process that replaces its code ---- */

enum { PIECE = 4 * PAGE };

/* Where this program's code is, in the child as well, and what the child lays over it: neither is run after that. */
struct places {
	uint8_t *code, *same, *other;
	uint64_t code_size;
};

static struct places find_places(void)
{
	const struct object_info *info = &modules.list.data[own].info;
	struct places places = {.code_size = info->segments[0].file_size & ~(uint64_t)(PAGE - 1)};
	const uint8_t *code = NULL;

	dl_iterate_phdr(find_code, &code);
	assert_int_equal((uintptr_t)code % PAGE, 0);
	places.code = (uint8_t *)(uintptr_t)code;
	/* The linker put this file first and libraries last. */
	places.other = places.code + places.code_size - 2 * PIECE;
	places.same = places.other - 2 * PIECE;
	assert_true((uint8_t *)(uintptr_t)find_code < places.same);
	return places;
}

static void replace_code(uint8_t *place, bool same)
{
	uint8_t *fresh = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fresh == MAP_FAILED)
		_exit(1);
	if (same)
		memcpy(fresh, place, PIECE);
	else
		memset(fresh, 0x90, PIECE);
	if (mprotect(fresh, PIECE, PROT_READ | PROT_EXEC) ||
	    mremap(fresh, PIECE, PIECE, MREMAP_MAYMOVE | MREMAP_FIXED, place) != place)
		_exit(1);
}

/* The child, once it has replaced its code. */
static pid_t start_child(const struct places *places)
{
	int done[2];
	char byte;

	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		replace_code(places->same, true);
		replace_code(places->other, false);
		if (write(done[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	close(done[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct mapping own_mapping(const struct places *places, const uint8_t *from, uint64_t size)
{
	uint64_t distance = (uint64_t)(from - places->code);

	return (struct mapping){
		.start = (uint64_t)(uintptr_t)from,
		.end = (uint64_t)(uintptr_t)from + size,
		.module = own,
		.module_offset = text_offset + distance,
		.file_offset = text_file_offset + distance,
	};
}

static struct mapping piece_without_file(const uint8_t *place)
{
	return (struct mapping){
		.start = (uint64_t)(uintptr_t)place,
		.end = (uint64_t)(uintptr_t)place + PIECE,
		.module = NO_MODULE,
	};
}

/* What the child has mapped of this program, and what it laid over it. */
struct reading {
	struct mappings mappings;
	struct first_pages pages;
	const struct places *places;
	size_t nr_without_file;
	char path[4096];
};

static void keep_line(const struct map_line *line, void *context)
{
	struct reading *reading = context;
	uint64_t distance = line->start - (uint64_t)(uintptr_t)reading->places->code;
	bool is_own = strcmp(line->path, reading->path) == 0;

	if (!line->executable && is_own)
		first_pages_add(&reading->pages, line);
	if (!line->executable || distance >= reading->places->code_size)
		return;
	assert_true(is_own || !*line->path);
	reading->nr_without_file += !is_own;
	mappings_add(&reading->mappings,
		     is_own ? own_mapping(reading->places, reading->places->code + distance, line->end - line->start)
			    : (struct mapping){.start = line->start, .end = line->end, .module = NO_MODULE});
}

/* By its records: memory appeared over code that was known. */
static void child_is_watched(void **state)
{
	struct places places = find_places();
	struct mappings mappings = {0};
	pid_t pid = start_child(&places);
	uint64_t before = (uint64_t)(places.same - places.code);

	(void)state;
	mappings_add(&mappings, own_mapping(&places, places.code, places.code_size));
	replaced_text_add(&modules, pid, piece_without_file(places.same), &mappings, &budget);
	replaced_text_add(&modules, pid, piece_without_file(places.other), &mappings, &budget);
	end_child(pid);
	EXPECT(&mappings, own_mapping(&places, places.code, before), own_mapping(&places, places.same, PIECE),
	       own_mapping(&places, places.same + PIECE, PIECE), piece_without_file(places.other),
	       own_mapping(&places, places.other + PIECE, PIECE));
	mappings_deinit(&mappings);
}

/* By what it has mapped, when it is met later. */
static void child_is_met(void **state)
{
	struct places places = find_places();
	struct reading reading = {.places = &places};
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid = start_child(&places);
	const struct mapping *same, *other;

	(void)state;
	assert_true(readlink("/proc/self/exe", reading.path, sizeof(reading.path) - 1) > 0);
	assert_int_equal(maps_read(proc, pid, keep_line, &reading, NULL), 0);
	assert_int_equal(reading.nr_without_file, 2);
	assert_int_equal(reading.pages.list.nr, 1);
	replaced_text_search(&modules, pid, &reading.pages, &reading.mappings, &budget);
	end_child(pid);
	same = mappings_find(&reading.mappings, (uint64_t)(uintptr_t)places.same + 100);
	other = mappings_find(&reading.mappings, (uint64_t)(uintptr_t)places.other + 100);
	assert_int_equal(same->module, own);
	assert_int_equal(same->module_offset - same->start, text_offset - (uint64_t)(uintptr_t)places.code);
	assert_int_equal(other->module, NO_MODULE);
	close(proc);
	first_pages_deinit(&reading.pages);
	mappings_deinit(&reading.mappings);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(over_the_file),        SCENE(copied_after_the_first_record),
		SCENE(larger_than_the_code), SCENE(other_code),
		SCENE(patched_code),         SCENE(by_its_neighbours),
		SCENE(by_the_first_page),    SCENE(nothing_is_compared_without_budget),
		SCENE(memory_that_is_gone),  SCENE(child_is_watched),
		SCENE(child_is_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
