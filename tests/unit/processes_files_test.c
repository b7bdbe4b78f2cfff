/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes_files_test.c - which modules come of the files that processes map, or are going to map?
 *
 * The file is this program, the process this one; and a script whose interpreter is looked at before it runs.
 */
#include "prepare.h"
#include "processes_world.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maps.h"

static void keep_own_text(const struct map_line *line, void *context)
{
	struct sideband_record *record = context;
	struct stat own, st;

	if (!line->executable || record->type || stat("/proc/self/exe", &own) || stat(line->path, &st) ||
	    st.st_ino != own.st_ino)
		return;
	*record = (struct sideband_record){
		.type = SIDEBAND_MMAP,
		.pid = (uint32_t)getpid(),
		.mmap = {.start = line->start,
			 .end = line->end,
			 .file_offset = line->file_offset,
			 .path = memory_strdup(line->path),
			 .inode = line->inode,
			 .major = line->major,
			 .minor = line->minor},
	};
}

/* A file becomes a module once, whoever maps it; data that is mapped executable is no code of it. */
static void mapped_files(void **state)
{
	struct sideband_record record = {0};
	uint32_t pid = (uint32_t)getpid();

	(void)state;
	assert_int_equal(maps_read(world->processes.files.proc_folder, getpid(), keep_own_text, &record, NULL), 0);
	assert_int_equal(record.type, SIDEBAND_MMAP);
	meet(pid, 0);
	processes_handle_sideband(&world->processes, &record);
	const struct mapping *mapping = &image(pid, 0)->mappings.list.data[0];

	assert_int_equal(world->modules.list.nr, 1);
	assert_int_equal(mapping->module, 0);
	/* Module offsets begin at the file's lowest address, which is where the program's first page is. */
	extern const char __executable_start[];

	assert_int_equal(mapping->module_offset, mapping->start - (uint64_t)__executable_start);
	record.mmap.start += 0x10000000;
	record.mmap.end += 0x10000000;
	processes_handle_sideband(&world->processes, &record);
	assert_int_equal(image(pid, 0)->mappings.list.nr, 2);
	assert_int_equal(image(pid, 0)->mappings.list.data[1].module, 0);
	record.mmap.start += 0x10000000;
	record.mmap.end += 0x10000000;
	record.mmap.file_offset = 1ull << 40;
	processes_handle_sideband(&world->processes, &record);
	assert_int_equal(image(pid, 0)->mappings.list.data[2].module, NO_MODULE);
	assert_int_equal(world->modules.list.nr, 1);
	free((void *)record.mmap.path);
}

static bool has_module(const char *part)
{
	for (size_t i = 0; i < world->modules.list.nr; i++)
		if (strstr(world->modules.list.data[i].path, part))
			return true;
	return false;
}

/* What a script will map is what its interpreter maps. */
static void prepared_script(void **state)
{
	char path[] = "/tmp/processes_test_XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "#! /bin/sh -e\nexit 0\n"), 21);
	close(fd);
	prepare_executable(&world->modules, world->tables, path);
	unlink(path);
	assert_true(has_module(path));
	assert_true(has_module("sh"));
	assert_true(has_module("ld-linux"));
	assert_true(has_module("libc.so"));
	assert_int_equal(world->processes.list.nr, 0);
	assert_int_equal(world->modules.nr_unreadable, 0);
	/* A path that leads nowhere is somebody else's to complain about. */
	size_t nr = world->modules.list.nr;

	prepare_executable(&world->modules, world->tables, "/nonexistent/program");
	prepare_executable(&world->modules, world->tables, "/dev/null");
	assert_int_equal(world->modules.list.nr, nr);
}

/* This program's libraries, and what they need in turn. */
static void prepared_libraries(void **state)
{
	static const char *const libraries[] = {"libdw", "libelf", "libcmocka", "libbpf", "libz", "libbz2"};

	(void)state;
	prepare_executable(&world->modules, world->tables, "/proc/self/exe");
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		if (!has_module(libraries[i]))
			fail_msg("%s was not found", libraries[i]);
	assert_int_equal(world->modules.nr_unreadable, 0);
}

static void prepared_process(void **state)
{
	char own[4096] = "";

	(void)state;
	assert_true(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
	processes_prepare(&world->processes, (uint32_t)getpid());
	assert_true(has_module(own));
	assert_true(has_module("libc.so"));
	assert_true(has_module("[vdso]"));
	assert_int_equal(world->processes.list.nr, 0);
	processes_prepare(&world->processes, 0x7fffffff); /* nobody */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROCESS_TEST(mapped_files),
		PROCESS_TEST(prepared_script),
		PROCESS_TEST(prepared_libraries),
		PROCESS_TEST(prepared_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
