/* SPDX-License-Identifier: Apache-2.0 */
/* maps_test.c - the maps parser on the kernel's lines, on broken and hostile ones, and on a process of many mappings.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "maps.h"
#include "vector.h"

struct kept {
	struct map_line line;
	char *path;
};

struct collected {
	VECTOR(struct kept) lines;
};

static void collect(const struct map_line *line, void *context)
{
	struct collected *collected = context;

	*vector_push(&collected->lines) = (struct kept){.line = *line, .path = memory_strdup(line->path)};
}

static void collected_free(struct collected *collected)
{
	for (size_t i = 0; i < collected->lines.nr; i++)
		free(collected->lines.data[i].path);
	vector_free(&collected->lines);
}

/* Parses from a heap copy of exactly this size, so that a sanitizer sees a read behind it. */
static size_t parse_bytes(const char *text, size_t size_bytes, struct collected *collected)
{
	_cleanup_free_ char *copy = memory_dup(text, size_bytes);
	size_t skipped = 77;

	maps_parse(copy, size_bytes, collect, collected, &skipped);
	return skipped;
}

static size_t parse(const char *text, struct collected *collected)
{
	return parse_bytes(text, strlen(text), collected);
}

/* Also where a file begins, as that is where it was loaded. Nothing else: not its other pages, no memory. */
static void test_executable_lines_and_first_pages(void **state)
{
	struct collected got = {0};
	const struct map_line *line;

	(void)state;
	assert_int_equal(
		parse("559c4d2a0000-559c4d2a2000 r--p 00000000 fe:00 1837                       /usr/bin/cat\n"
		      "559c4d2a2000-559c4d2a7000 r-xp 00002000 fe:00 1837                       /usr/bin/cat\n"
		      "559c4d2a7000-559c4d2a8000 r--p 00007000 fe:00 1837                       /usr/bin/cat\n"
		      "559c4d2ad000-559c4d2ce000 rw-p 00000000 00:00 0                          [heap]\n"
		      "7f0000000000-7f0000001000 rwxs 00000000 00:01 2051                       /dev/zero (deleted)\n"
		      "7f1000000000-7f1000001000 r-xp 00000000 00:00 0 \n"
		      "7ffd1b5f2000-7ffd1b5f4000 r-xp 00000000 00:00 0                          [vdso]\n"
		      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n",
		      &got),
		0);
	assert_int_equal(got.lines.nr, 6);
	line = &got.lines.data[0].line;
	assert_true(line->start == 0x559c4d2a0000 && line->inode == 1837 && !line->executable);
	line = &got.lines.data[1].line;
	assert_true(line->start == 0x559c4d2a2000 && line->end == 0x559c4d2a7000 && line->file_offset == 0x2000);
	assert_true(line->major == 0xfe && line->minor == 0 && line->inode == 1837);
	assert_true(line->executable && !line->deleted);
	assert_string_equal(got.lines.data[1].path, "/usr/bin/cat");
	assert_string_equal(got.lines.data[2].path, "/dev/zero");
	assert_true(got.lines.data[2].line.deleted);
	assert_true(got.lines.data[2].line.minor == 1 && got.lines.data[2].line.inode == 2051);
	assert_string_equal(got.lines.data[3].path, "");
	assert_string_equal(got.lines.data[4].path, "[vdso]");
	assert_string_equal(got.lines.data[5].path, "[vsyscall]");
	assert_true(got.lines.data[5].line.start == 0xffffffffff600000);
	collected_free(&got);
}

/* A path as the kernel writes it and as it has to come out. */
static void assert_path(const char *written, const char *expected, bool deleted)
{
	_cleanup_free_ char *text = memory_format("1000-2000 r-xp 00000000 08:01 5    %s\n", written);
	struct collected got = {0};

	assert_int_equal(parse(text, &got), 0);
	assert_int_equal(got.lines.nr, 1);
	assert_string_equal(got.lines.data[0].path, expected);
	assert_int_equal(got.lines.data[0].line.deleted, deleted);
	collected_free(&got);
}

static void test_odd_paths(void **state)
{
	(void)state;
	assert_path("/a b  c", "/a b  c", false);
	assert_path("/ends in a space ", "/ends in a space ", false);
	assert_path("/a\\012b\\012", "/a\nb\n", false);
	assert_path("/a\\01", "/a\\01", false);
	assert_path("/not\\040ours\\134", "/not\\040ours\\134", false);
	assert_path("/x (deleted)", "/x", true);
	assert_path("/x (deleted) (deleted)", "/x (deleted)", true);
	assert_path("/ (deleted)", "/", true);
	assert_path("/x(deleted)", "/x(deleted)", false);
	assert_path("/memfd:jit (deleted)", "/memfd:jit", true);
	assert_path("//anon", "//anon", false);
	assert_path("[anon:v8 (deleted)]", "[anon:v8 (deleted)]", false);
	assert_path("[anon:x] (deleted)", "[anon:x] (deleted)", false);
	assert_path("anon_inode:[perf_event]", "anon_inode:[perf_event]", false);
	assert_path("", "", false);
	assert_path("/\xff\xfe\x01", "/\xff\xfe\x01", false);
}

static void test_long_path(void **state)
{
	enum { LENGTH = 20000 };
	_cleanup_free_ char *path = memory_zalloc(LENGTH + 1, 1);

	(void)state;
	memset(path, 'x', LENGTH);
	path[0] = '/';
	assert_path(path, path, false);
}

static void test_broken_lines(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"-",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 r-x",
		"1000-2000 r-xp",
		"1000-2000 r-xp 0",
		"1000-2000 r-xp 0 08:01",
		"1000-2000 r-xp 0 08:01 ",
		"1000-2000 r-xp 0 0801 5 /x",
		"1000-2000 r-xp 0 08:01 5/x",
		"1000-2000 r-xp 0 08:01 0x5 /x",
		"1000-2000 r-xq 0 08:01 5 /x",
		"1000-2000 xrwp 0 08:01 5 /x",
		"1000-2000 r-xp -1 08:01 5 /x",
		"1000-2000 r-xp 0 100000000:01 5 /x",
		"1000-2000 r-xp 0 08:100000000 5 /x",
		"1000-2000 r-xp 0 08:01 18446744073709551616 /x",
		"1000-10000000000000000 r-xp 0 08:01 5 /x",
		"2000-1000 r-xp 0 08:01 5 /x",
		"1000-1000 r-xp 0 08:01 5 /x",
		"1000-2000  r-xp 0 08:01 5 /x",
		" 1000-2000 r-xp 0 08:01 5 /x",
		"1000-2000 r-xp 0 08:01 5 /x\r\n/y",
		"ABC0-BBC0 r-xp 0 08:01 5 /x",
		"\xff\xff\xff\xff",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_free_ char *text = memory_format("%s\n3000-4000 r-xp 0 08:01 5 /good\n", lines[i]);
		struct collected got = {0};
		bool has_good_part = strchr(lines[i], '\r') != NULL; /* two lines, of which the first is one */

		assert_int_equal(parse(text, &got), 1);
		assert_int_equal(got.lines.nr, has_good_part ? 2 : 1);
		assert_string_equal(got.lines.data[got.lines.nr - 1].path, "/good");
		collected_free(&got);
	}
}

static void test_largest_numbers(void **state)
{
	struct collected got = {0};

	(void)state;
	assert_int_equal(
		parse("0-ffffffffffffffff --xp ffffffffffffffff ffffffff:ffffffff 18446744073709551615 /x\n", &got), 0);
	assert_int_equal(got.lines.nr, 1);
	assert_true(got.lines.data[0].line.end == UINT64_MAX && got.lines.data[0].line.file_offset == UINT64_MAX);
	assert_true(got.lines.data[0].line.inode == UINT64_MAX && got.lines.data[0].line.major == UINT32_MAX);
	collected_free(&got);
}

/* Any prefix of a good text gives its whole lines and one skip for the rest. */
static void test_every_prefix(void **state)
{
	static const char text[] =
		"1000-2000 r-xp 00000000 08:01 5    /a\n3000-4000 r-xp 00000000 08:01 5    /b\\012\n";
	size_t first = (size_t)(strchr(text, '\n') - text) + 1;

	(void)state;
	for (size_t size = 0; size < sizeof(text); size++) {
		struct collected got = {0};
		size_t skipped = parse_bytes(text, size, &got);

		assert_int_equal(got.lines.nr, (size >= first) + (size == sizeof(text) - 1));
		assert_int_equal(skipped, size != 0 && size != first && size != sizeof(text) - 1);
		collected_free(&got);
	}
}

static void test_embedded_nul(void **state)
{
	static const char text[] = "1000-2000 r-xp 0 08:01 5 /a\0b\n1000-2000 r-xp 0 08:01 5 /c\n";
	struct collected got = {0};

	(void)state;
	assert_int_equal(parse_bytes(text, sizeof(text) - 1, &got), 1);
	assert_int_equal(got.lines.nr, 1);
	assert_string_equal(got.lines.data[0].path, "/c");
	collected_free(&got);
}

static void count_line(const struct map_line *line, void *context)
{
	(void)line;
	++*(size_t *)context;
}

static void test_skipped_is_optional(void **state)
{
	size_t nr = 0;

	(void)state;
	maps_parse("bad\n1000-2000 r-xp 0 08:01 5 /a\n", 33, count_line, &nr, NULL);
	assert_int_equal(nr, 1);
}

static void test_own_process(void **state)
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char own_path[4096];
	ssize_t length = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);
	struct collected got = {0};
	struct stat status;
	size_t skipped = 77;
	bool own_code = false;

	(void)state;
	assert_true(length > 0);
	own_path[length] = '\0';
	assert_int_equal(stat(own_path, &status), 0);
	assert_int_equal(maps_read(proc, getpid(), collect, &got, &skipped), 0);
	assert_int_equal(skipped, 0);
	for (size_t i = 0; i < got.lines.nr; i++) {
		const struct map_line *line = &got.lines.data[i].line;
		uint64_t pc = (uint64_t)(uintptr_t)test_own_process;

		assert_true(line->executable || (line->file_offset == 0 && line->inode));
		if (pc < line->start || pc >= line->end)
			continue;
		own_code = true;
		assert_string_equal(got.lines.data[i].path, own_path);
		assert_true(line->inode == status.st_ino);
	}
	assert_true(own_code);
	collected_free(&got);
}

static void test_no_memory(void **state)
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t nr = 0;
	pid_t zombie = fork();

	(void)state;
	if (zombie == 0)
		_exit(0);
	assert_true(zombie > 0);
	assert_int_equal(waitid(P_PID, (id_t)zombie, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(maps_read(proc, zombie, count_line, &nr, NULL), -ESRCH);
	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
	assert_int_equal(maps_read(proc, zombie, count_line, &nr, NULL), -ESRCH);
	assert_int_equal(nr, 0);
}

/* A folder that stands for /proc, with one process 42. */
static void test_fake_proc(void **state)
{
	char folder[] = "/tmp/maps_test.XXXXXX";
	_cleanup_close_ int proc = -1, file = -1;
	size_t nr = 0, skipped = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	proc = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(proc, "42", 0700), 0);
	file = openat(proc, "42/maps", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(maps_read(proc, 42, count_line, &nr, &skipped), -ESRCH);
	assert_int_equal(dprintf(file, "1000-2000 r-xp 0 08:01 5 /a\ncut"), 31);
	assert_int_equal(maps_read(proc, 42, count_line, &nr, &skipped), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(skipped, 1);
	assert_int_equal(ftruncate(file, (64 << 20) + 1), 0);
	assert_int_equal(maps_read(proc, 42, count_line, &nr, &skipped), -E2BIG);
	assert_int_equal(nr, 1);
	assert_int_equal(unlinkat(proc, "42/maps", 0), 0);
	assert_int_equal(unlinkat(proc, "42", AT_REMOVEDIR), 0);
	assert_int_equal(rmdir(folder), 0);
}

/* Close to the default limit of mappings: every second page executable, so that none merges with its neighbour. */
static void test_many_mappings(void **state)
{
	enum { NR = 65000 };
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct collected got = {0};
	size_t nr_ours = 0, skipped = 77;
	char *memory = mmap(NULL, NR * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	for (size_t i = 0; i < NR; i += 2) {
		if (mprotect(memory + i * page, page, PROT_READ | PROT_EXEC) < 0) {
			munmap(memory, NR * page);
			print_message("skipped: vm.max_map_count is too low\n");
			skip();
		}
	}
	assert_int_equal(maps_read(proc, getpid(), collect, &got, &skipped), 0);
	munmap(memory, NR * page);
	assert_int_equal(skipped, 0);
	for (size_t i = 0; i < got.lines.nr; i++) {
		uint64_t expected = (uint64_t)(uintptr_t)memory + 2 * nr_ours * page;

		if (got.lines.data[i].line.start < (uintptr_t)memory ||
		    got.lines.data[i].line.start >= (uintptr_t)memory + NR * page)
			continue;
		assert_true(got.lines.data[i].line.start == expected && got.lines.data[i].line.end == expected + page);
		nr_ours++;
	}
	assert_int_equal(nr_ours, NR / 2);
	collected_free(&got);
}

int main(void)
{
	const struct CMUnitTest parser[] = {
		cmocka_unit_test(test_executable_lines_and_first_pages),
		cmocka_unit_test(test_odd_paths),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_broken_lines),
		cmocka_unit_test(test_largest_numbers),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_embedded_nul),
		cmocka_unit_test(test_skipped_is_optional),
	};
	const struct CMUnitTest files[] = {
		cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_fake_proc),
		cmocka_unit_test(test_many_mappings),
	};
	int failed = cmocka_run_group_tests(parser, NULL, NULL);

	return failed + cmocka_run_group_tests(files, NULL, NULL);
}
