/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output files: whole or not there, whatever goes wrong in between. Each test has a folder of its own and looks at
 * everything in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "output.h"
#include "test_folder.h"

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void assert_file(const char *name, const char *text)
{
	char buffer[256] = "";
	FILE *file = fopen(name, "r");

	assert_non_null(file);
	buffer[fread(buffer, 1, sizeof(buffer) - 1, file)] = 0;
	fclose(file);
	assert_string_equal(buffer, text);
}

static int not_hidden_self(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Everything in the current folder, sorted, separated by blanks. */
static void assert_folder(const char *expected)
{
	struct dirent **entries;
	char list[1024] = "";
	int nr = scandir(".", &entries, not_hidden_self, alphasort);

	assert_true(nr >= 0);
	for (int i = 0; i < nr; i++) {
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? " " : "", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	assert_string_equal(list, expected);
}

static struct output *create(const char *path)
{
	struct output *output;
	struct problem problem;

	if (output_create(path, &output, &problem))
		fail_msg("%s", problem.text);
	return output;
}

static void write_whole(const char *path, const char *text)
{
	struct output *output = create(path);
	struct problem problem;

	assert_int_equal(output_write(output, text, strlen(text)), 0);
	if (output_commit(output, &problem))
		fail_msg("%s", problem.text);
}

static void refuse(const char *path, int error, const char *says)
{
	struct output *output;
	struct problem problem;

	assert_int_equal(output_create(path, &output, &problem), error);
	assert_non_null(strstr(problem.text, says));
	assert_null(strchr(problem.text, '\n'));
}

static void test_new_file(void **state)
{
	(void)state;
	struct stat stat_buffer;
	struct output *output = create("a");

	assert_int_equal(access("a", F_OK), -1);
	output_destroy(output);
	assert_folder("");
	write_whole("a", "text");
	assert_file("a", "text");
	assert_int_equal(stat("a", &stat_buffer), 0);
	assert_int_equal(stat_buffer.st_mode, S_IFREG | 0600);
	_cleanup_free_ char *path = memory_format("%s/b", folder);

	write_whole(path, "");
	assert_folder("a b");
}

static void test_earlier_file_is_kept(void **state)
{
	(void)state;
	write_file("a", "first");
	write_whole("a", "second");
	assert_file("a.old", "first");
	write_whole("a", "third");
	assert_file("a", "third");
	assert_file("a.old", "second");
	assert_folder("a a.old");
	/* An abandoned one changes neither. */
	output_destroy(create("a"));
	assert_file("a", "third");
	assert_folder("a a.old");
}

static void test_old_name_is_taken(void **state)
{
	(void)state;
	struct problem problem;

	write_file("a", "first");
	assert_int_equal(mkdir("a.old", 0755), 0);
	struct output *output = create("a");

	assert_int_equal(output_commit(output, &problem), -EISDIR);
	assert_non_null(strstr(problem.text, "cannot keep the earlier 'a'"));
	assert_file("a", "first");
	assert_folder("a a.old");
}

static void test_links_are_not_followed(void **state)
{
	(void)state;
	write_file("precious", "precious");
	assert_int_equal(symlink("precious", "link"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	refuse("link", -ELOOP, "symbolic link");
	refuse("dangling", -ELOOP, "symbolic link");
	/* Planted after the look: replaced, not followed; and so is one under the name of the earlier file. */
	struct output *output = create("a");
	struct problem problem;

	assert_int_equal(symlink("precious", "a"), 0);
	assert_int_equal(output_write(output, "x", 1), 0);
	assert_int_equal(output_commit(output, &problem), 0);
	assert_int_equal(symlink("precious", "a.old"), 0);
	write_whole("a", "y");
	assert_file("a", "y");
	assert_file("a.old", "x");
	assert_file("precious", "precious");
	assert_folder("a a.old dangling link precious");
}

static void test_bad_paths(void **state)
{
	(void)state;
	char longest[300];

	assert_int_equal(mkdir("d", 0755), 0);
	write_file("f", "");
	refuse("d", -EISDIR, "it is a folder");
	refuse("d/", -EISDIR, "it is a folder");
	refuse("/", -EISDIR, "it is a folder");
	refuse("..", -EISDIR, "it is a folder");
	refuse("", -EISDIR, "it is a folder");
	refuse("nosuch/a", -ENOENT, "no such folder");
	refuse("f/a", -ENOTDIR, "not a folder");
	refuse("bad\nname\033/x", -ENOENT, "'bad?name?/x'");
	memset(longest, 'n', sizeof(longest));
	longest[252] = 0;
	refuse(longest, -ENAMETOOLONG, "too long");
	/* The longest that leaves room for ".old". */
	longest[251] = 0;
	write_whole(longest, "x");
	write_whole(longest, "y");
	assert_file(longest, "y");
	unlink(longest);
	strcat(longest, ".old");
	assert_file(longest, "x");
	unlink(longest);
	assert_folder("d f");
}

static void *read_fifo(void *text)
{
	FILE *file = fopen("fifo", "r");

	if (file) {
		fread(text, 1, 15, file);
		fclose(file);
	}
	return NULL;
}

static void test_pipes_and_devices(void **state)
{
	(void)state;
	char text[16] = "";
	pthread_t reader;
	struct stat before, after;

	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_fifo, text), 0);
	write_whole("fifo", "through");
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_string_equal(text, "through");
	assert_folder("fifo");

	assert_int_equal(stat("/dev/null", &before), 0);
	write_whole("/dev/null", "gone");
	assert_int_equal(stat("/dev/null", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(S_ISCHR(after.st_mode));

	struct output *full = create("/dev/full");
	struct problem problem;

	assert_int_equal(output_write(full, "x", 1), -ENOSPC);
	assert_int_equal(output_problem(full, -ENOSPC, &problem), -ENOSPC);
	assert_non_null(strstr(problem.text, "cannot write '/dev/full': the disk is full"));
	output_destroy(full);
}

static void test_reader_gone(void **state)
{
	(void)state;
	int ends[2];
	int saved = dup(STDOUT_FILENO);

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	dup2(ends[1], STDOUT_FILENO);
	struct output *output = create("-");

	close(ends[0]);
	int error = output_write(output, "x", 1);
	struct problem problem;

	output_problem(output, error, &problem);
	output_destroy(output);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(ends[1]);
	assert_int_equal(error, -EPIPE);
	assert_string_equal(problem.text, "cannot write to standard output: its reader has gone");
}

/* A limit on file sizes stands in for a disk that fills up: the write in the middle fails. */
static void test_write_fails_midway(void **state)
{
	(void)state;
	static char block[8192];
	struct rlimit before, small;
	struct problem problem;

	write_file("a", "first");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct output *output = create("a");

	small = (struct rlimit){.rlim_cur = 10000, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int first = output_write(output, block, sizeof(block)), second = output_write(output, block, sizeof(block));

	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(first, 0);
	assert_int_equal(second, -EFBIG);
	output_problem(output, second, &problem);
	assert_non_null(strstr(problem.text, "cannot write 'a'"));
	output_destroy(output);
	assert_file("a", "first");
	assert_folder("a");
}

/* Fills the file system of the current folder; it has some room afterwards only when bytes_left says so. */
static void fill_disk(size_t bytes_left)
{
	static const char block[1024];
	int fd = open("filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	off_t size = 0;

	while (write(fd, block, sizeof(block)) == sizeof(block))
		size += sizeof(block);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(ftruncate(fd, size - (off_t)bytes_left), 0);
	close(fd);
}

static void test_full_disk(void **state)
{
	(void)state;
	static char block[65536];

	assert_int_equal(mkdir("disk", 0755), 0);
	if (mount("tmpfs", "disk", "tmpfs", 0, "size=128k") < 0) {
		print_message("cannot mount a small file system: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(chdir("disk"), 0);
	write_file("a", "first");
	fill_disk(0);
	/* At once, before anything was done for it. */
	refuse("a", -ENOSPC, "the disk is full");
	assert_folder("a filler");

	fill_disk(16384);
	struct output *output = create("a");
	int error = output_write(output, block, sizeof(block));

	output_destroy(output);
	assert_int_equal(error, -ENOSPC);
	assert_file("a", "first");
	assert_folder("a filler");
	assert_int_equal(chdir(".."), 0);
	assert_int_equal(umount2("disk", MNT_DETACH), 0);
}

static void test_abandon_all(void **state)
{
	(void)state;
	struct output *outputs[8];
	struct problem problem;
	struct output *more;

	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
		char name[] = {(char)('a' + (char)i), 0};

		outputs[i] = create(name);
	}
	assert_int_equal(output_create("one-more", &more, &problem), -EMFILE);
	output_abandon_all();
	assert_folder("");
	/* Too late now: the file is gone, and nothing else takes its name. */
	assert_int_equal(output_commit(outputs[0], &problem), -ENOENT);
	for (size_t i = 1; i < ARRAY_SIZE(outputs); i++)
		output_destroy(outputs[i]);
	write_whole("again", "x");
	assert_folder("again");
}

static void test_owner_is_the_caller(void **state)
{
	(void)state;
	struct stat status;

	if (geteuid() != 0) {
		print_message("only root can give a file away\n");
		skip();
	}
	setenv("SUDO_UID", "65534", 1);
	setenv("SUDO_GID", "65533", 1);
	write_whole("a", "x");
	assert_int_equal(stat("a", &status), 0);
	assert_int_equal(status.st_uid, 65534);
	assert_int_equal(status.st_gid, 65533);
	/* Nonsense there is no reason to fail. */
	setenv("SUDO_UID", "-1", 1);
	write_whole("b", "x");
	assert_int_equal(stat("b", &status), 0);
	assert_int_equal(status.st_uid, 0);
}

static volatile int readers_stop;

/* Reads "a" again and again: it has to be there and whole each time. Returns what was wrong, NULL = nothing. */
static void *watch_file(void *unused)
{
	char text[4097];

	(void)unused;
	while (!readers_stop) {
		int fd = open("a", O_RDONLY);

		if (fd < 0)
			return "missing";
		ssize_t length = read(fd, text, sizeof(text));

		close(fd);
		if (length != 4096 || text[0] != text[4095])
			return "not whole";
	}
	return NULL;
}

static void test_whole_at_every_moment(void **state)
{
	(void)state;
	char text[4097];
	pthread_t reader;
	void *wrong;

	memset(text, 'a', 4096);
	text[4096] = 0;
	write_whole("a", text);
	readers_stop = 0;
	assert_int_equal(pthread_create(&reader, NULL, watch_file, NULL), 0);
	for (int i = 0; i < 300; i++) {
		memset(text, 'a' + i % 26, 4096);
		write_whole("a", text);
	}
	readers_stop = 1;
	pthread_join(reader, &wrong);
	assert_null(wrong);
	assert_folder("a a.old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new_file, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_earlier_file_is_kept, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_old_name_is_taken, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_links_are_not_followed, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_bad_paths, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_pipes_and_devices, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_reader_gone, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_write_fails_midway, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_full_disk, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_abandon_all, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_owner_is_the_caller, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_whole_at_every_moment, enter_folder, leave_folder),
	};

	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
