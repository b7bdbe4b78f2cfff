/* SPDX-License-Identifier: Apache-2.0 */
/* debug_paths_test.c - where debug files are looked for, and what is not opened although it is there. */
#include "debug_paths.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "memory.h"

static char top[] = "/tmp/ebprof-debug-paths-XXXXXX";
static char *root;   /* top/debug */
static char *object; /* top/bin/program */

static int set_up(void **state)
{
	static const char *const folders[] = {"bin", "bin/.debug", "debug", "debug/.dwz", "debug/.build-id"};
	_cleanup_free_ char *id_folder = NULL;

	(void)state;
	if (!mkdtemp(top))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *folder = memory_format("%s/%s", top, folders[i]);

		if (mkdir(folder, 0700) != 0)
			return -1;
	}
	id_folder = memory_format("%s/debug/.build-id/ab", top);
	root = memory_format("%s/debug", top);
	object = memory_format("%s/bin/program", top);
	return mkdir(id_folder, 0700);
}

static int tear_down(void **state)
{
	_cleanup_free_ char *command = memory_format("rm -r '%s'", top);

	(void)state;
	free(root);
	free(object);
	return system(command);
}

/* Writes a file below top whose content is its own path there. */
static void put(const char *path)
{
	_cleanup_free_ char *full = memory_format("%s/%s", top, path);
	_cleanup_fclose_ FILE *file = fopen(full, "w");

	assert_non_null(file);
	fputs(path, file);
}

static void drop(const char *path)
{
	_cleanup_free_ char *full = memory_format("%s/%s", top, path);

	assert_int_equal(unlink(full), 0);
}

/* Which file is opened; NULL: none. */
static void assert_opened(struct debug_paths *paths, const struct related_file *file, const char *expected)
{
	_cleanup_close_ int fd = debug_paths_open(file, paths);
	char content[100] = "";

	if (!expected) {
		assert_int_equal(fd, -ENOENT);
		return;
	}
	assert_true(fd >= 0);
	assert_true(read(fd, content, sizeof(content) - 1) > 0);
	assert_string_equal(content, expected);
}

static void test_build_id(void **state)
{
	static const uint8_t id[] = {0xab, 0xcd, 0x01};
	struct related_file file = {.kind = RELATED_BUILD_ID, .build_id = id, .build_id_size = 3};
	struct debug_paths paths;

	(void)state;
	debug_paths_init(&paths, root, "");
	assert_opened(&paths, &file, NULL);
	put("debug/.build-id/ab/cd01.debug");
	assert_opened(&paths, &file, "debug/.build-id/ab/cd01.debug");
	file.build_id_size = 1;
	assert_opened(&paths, &file, NULL);
	debug_paths_deinit(&paths);
}

static void test_debuglink(void **state)
{
	struct related_file file = {.kind = RELATED_DEBUGLINK, .name = "program.debug"};
	_cleanup_free_ char *mirrored = memory_format("%s/debug/%s/bin", top, top + 1);
	_cleanup_free_ char *command = memory_format("mkdir -p '%s'", mirrored);
	_cleanup_free_ char *below_root = memory_format("debug%s/bin/program.debug", top);
	struct debug_paths paths;

	(void)state;
	assert_int_equal(system(command), 0);
	debug_paths_init(&paths, root, object);
	assert_opened(&paths, &file, NULL);
	put(below_root);
	assert_opened(&paths, &file, below_root);
	put("bin/.debug/program.debug");
	assert_opened(&paths, &file, "bin/.debug/program.debug");
	put("bin/program.debug");
	assert_opened(&paths, &file, "bin/program.debug");
	/* The object is not its own debug file. */
	put("bin/program");
	file.name = "program";
	assert_opened(&paths, &file, NULL);
	debug_paths_deinit(&paths);
	drop("bin/program");
	drop("bin/program.debug");
	drop("bin/.debug/program.debug");
	drop(below_root);
}

static void test_not_opened(void **state)
{
	static const char *const names[] = {"../secret", "/etc/passwd", "", ".", "..", "folder"};
	struct related_file file = {.kind = RELATED_DEBUGLINK};
	_cleanup_free_ char *folder = memory_format("%s/bin/folder", top);
	_cleanup_free_ char *fifo = memory_format("%s/bin/fifo", top);
	struct debug_paths paths;

	(void)state;
	put("secret");
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	debug_paths_init(&paths, root, object);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		file.name = names[i];
		assert_opened(&paths, &file, NULL);
	}
	/* Would wait for a writer for ever. */
	file.name = "fifo";
	assert_opened(&paths, &file, NULL);
	file.name = NULL;
	assert_opened(&paths, &file, NULL);
	debug_paths_deinit(&paths);

	/* An object without a known folder has nothing beside it. */
	put("bin/program.debug");
	file.name = "program.debug";
	debug_paths_init(&paths, root, "program");
	assert_opened(&paths, &file, NULL);
	debug_paths_deinit(&paths);
	drop("bin/program.debug");
}

static void test_alternate(void **state)
{
	static const uint8_t id[] = {0xab, 0x77, 0x88};
	static const uint8_t debug_id[] = {0xab, 0x55};
	struct related_file debug = {.kind = RELATED_BUILD_ID, .build_id = debug_id, .build_id_size = 2};
	_cleanup_free_ char *absolute = memory_format("%s/shared.debug", top);
	struct related_file file = {.kind = RELATED_ALT, .name = absolute, .build_id = id, .build_id_size = 3};
	struct debug_paths paths;

	(void)state;
	put("shared.debug");
	put("bin/shared.debug");
	debug_paths_init(&paths, root, object);
	assert_opened(&paths, &file, "shared.debug");
	debug_paths_deinit(&paths);

	/* Relative to the object, or to the debug file that was opened before. */
	debug_paths_init(&paths, root, object);
	file.name = "shared.debug";
	assert_opened(&paths, &file, "bin/shared.debug");
	put("debug/.build-id/ab/55.debug");
	put("debug/.dwz/other.debug");
	assert_opened(&paths, &debug, "debug/.build-id/ab/55.debug");
	file.name = "../../.dwz/other.debug";
	assert_opened(&paths, &file, "debug/.dwz/other.debug");
	debug_paths_deinit(&paths);

	/* Under the root by its last component, then by build-id. */
	debug_paths_init(&paths, root, object);
	file.name = "../../../elsewhere/other.debug";
	assert_opened(&paths, &file, "debug/.dwz/other.debug");
	file.name = "nowhere.debug";
	assert_opened(&paths, &file, NULL);
	put("debug/.build-id/ab/7788.debug");
	assert_opened(&paths, &file, "debug/.build-id/ab/7788.debug");
	debug_paths_deinit(&paths);
}

/* With other rights than the asker's: beside the object, no links, no other names. */
static void private_files_are_debug_files_beside_the_object(void **state)
{
	struct debug_paths paths;
	struct related_file file = {.kind = RELATED_DEBUGLINK, .name = "program.debug"};
	_cleanup_free_ char *link = memory_format("%s/bin/program.debug", top);
	_cleanup_free_ char *target = memory_format("%s/bin/secret", top);
	char content[100] = "";

	(void)state;
	debug_paths_init(&paths, root, object);
	assert_int_equal(debug_paths_open_private(&file, &paths), -ENOENT);
	put("bin/.debug/program.debug");
	put("bin/secret");
	put("debug/program.debug");
	_cleanup_close_ int fd = debug_paths_open_private(&file, &paths);

	assert_true(fd >= 0);
	assert_true(read(fd, content, sizeof(content) - 1) > 0);
	assert_string_equal(content, "bin/.debug/program.debug");
	assert_non_null(strstr(paths.last_path, "/bin/.debug/program.debug"));
	drop("bin/.debug/program.debug");
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(debug_paths_open_private(&file, &paths), -ENOENT);
	file.name = "secret";
	assert_int_equal(debug_paths_open_private(&file, &paths), -ENOENT);
	file.name = "../bin/program.debug";
	assert_int_equal(debug_paths_open_private(&file, &paths), -ENOENT);
	file.name = NULL;
	assert_int_equal(debug_paths_open_private(&file, &paths), -ENOENT);
	file = (struct related_file){.kind = RELATED_ALT, .name = target};
	assert_int_equal(debug_paths_open_private(&file, &paths), -ENOENT);
	drop("bin/program.debug");
	drop("bin/secret");
	drop("debug/program.debug");
	debug_paths_deinit(&paths);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_debuglink),
		cmocka_unit_test(test_not_opened),
		cmocka_unit_test(test_alternate),
		cmocka_unit_test(private_files_are_debug_files_beside_the_object),
	};

	return cmocka_run_group_tests_name("debug_paths", tests, set_up, tear_down);
}
