/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_process_test.c - the reader process at work: its answers, its rights, and what it costs that it is killed or
 * stopped.
 *
 * The test program is its own reader process: started again with READER_PROCESS it is the real one.
 */
#include "reader_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "messages.h"
#include "process.h"
#include "vector.h"

static pid_t child_of(pid_t parent, const char *name)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while ((entry = readdir(folder))) {
		_cleanup_free_ char *path = memory_format("/proc/%s/stat", entry->d_name);
		_cleanup_fclose_ FILE *file = fopen(path, "r");
		char comm[32], status;
		int pid, its_parent;

		if (file && fscanf(file, "%d (%31[^)]) %c %d", &pid, comm, &status, &its_parent) == 4 &&
		    its_parent == parent && strcmp(comm, name) == 0 && status != 'Z')
			found = pid;
	}
	closedir(folder);
	return found;
}

static struct reader *real_reader(uint32_t patience_ms)
{
	const struct reader_config config = {.patience_ms = patience_ms};

	return reader_create(&config);
}

struct collected {
	VECTOR(char) text;
};

static void collect(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct collected *collected = context;
	_cleanup_free_ char *head = memory_format("%zu:", index);

	for (const char *c = head; *c; c++)
		*vector_push(&collected->text) = *c;
	for (size_t i = 0; i < nr_frames; i++) {
		_cleanup_free_ char *line =
			memory_format("%s|%s|%s|%u|%u\n", frames[i].name ? frames[i].name : "-",
				      frames[i].system_name ? frames[i].system_name : "-",
				      frames[i].file ? frames[i].file : "-", frames[i].line, frames[i].start_line);

		for (const char *c = line; *c; c++)
			*vector_push(&collected->text) = *c;
	}
}

/* Names of many addresses of this program; the order is the library's in both modes. */
static void names_of_own(struct reader *reader, struct collected *ret, struct names_status *status)
{
	const struct reader_file file = own();
	struct object_info info;
	VECTOR(uint64_t) addrs = {0};

	assert_int_equal(reader_describe(reader, &file, &info), 0);
	for (uint64_t at = 0; at < info.segments[0].file_size; at += 16)
		*vector_push(&addrs) = info.segments[0].file_addr + at;
	assert_int_equal(reader_names(reader, &file, addrs.data, addrs.nr, collect, ret, status), 0);
	vector_free(&addrs);
}

static void answers_are_those_of_the_library(void **state)
{
	struct reader *there = real_reader(0), *here = reader_create(NULL);
	const struct reader_file file = own();
	struct object_info infos[2];
	struct unwind_table *tables[2];
	struct collected names[2] = {0};
	struct names_status status[2] = {0};
	char bytes[4];

	(void)state;
	assert_int_equal(reader_describe(there, &file, &infos[0]), 0);
	assert_int_equal(reader_describe(here, &file, &infos[1]), 0);
	assert_memory_equal(infos[0].segments, infos[1].segments, sizeof(infos[0].segments));
	assert_memory_equal(infos[0].build_id, infos[1].build_id, BUILD_ID_MAX);
	assert_int_equal(reader_unwind_table(there, &file, TABLE_WHOLE, &tables[0]), 0);
	assert_int_equal(reader_unwind_table(here, &file, TABLE_WHOLE, &tables[1]), 0);
	assert_int_equal(tables[0]->nr_rows, tables[1]->nr_rows);
	assert_memory_equal(tables[0]->rows, tables[1]->rows, tables[0]->nr_rows * sizeof(struct unwind_row));
	names_of_own(there, &names[0], &status[0]);
	names_of_own(here, &names[1], &status[1]);
	assert_true(names[0].text.nr > 1000);
	assert_int_equal(names[0].text.nr, names[1].text.nr);
	assert_memory_equal(names[0].text.data, names[1].text.data, names[0].text.nr);
	assert_memory_equal(&status[0], &status[1], sizeof(status[0]));
	assert_int_equal(reader_bytes(there, &file, 0, bytes, 4), 4);
	assert_memory_equal(bytes, "\177ELF", 4);
	assert_int_equal(reader_bytes(there, &file, 1, bytes, 3), 3);
	assert_int_equal(reader_bytes(here, &file, 1, bytes + 3, 1), 1);
	assert_memory_equal(bytes, "ELFE", 4);
	assert_int_equal(reader_bytes(there, &file, 1ull << 40, bytes, 4), 0);
	assert_int_equal(nr_failures(there), 0);
	for (int i = 0; i < 2; i++) {
		reader_free_table(tables[i]);
		vector_free(&names[i].text);
	}
	reader_destroy(there);
	reader_destroy(here);
}

static void what_is_no_file_is_not_opened(void **state)
{
	struct reader *reader = real_reader(0);
	char fifo[] = "/tmp/ebprof-reader-XXXXXX";
	char longest[PATH_BYTES_MAX + 10];
	_cleanup_close_ int handle = reader_open(reader, "/proc/self/exe");

	(void)state;
	assert_true(handle >= 0);
	/* A handle names a file and reads nothing; its file is read all the same. */
	assert_int_equal(read(handle, fifo, 0), -1);
	const struct reader_file file = {.fd = handle, .path = "exe"};
	char bytes[4];

	assert_int_equal(reader_bytes(reader, &file, 0, bytes, 4), 4);
	assert_non_null(mkdtemp(fifo));
	_cleanup_free_ char *pipe_path = memory_format("%s/pipe", fifo);

	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(reader_open(reader, pipe_path), -EINVAL);
	assert_int_equal(reader_open(reader, "/dev/null"), -EINVAL);
	assert_int_equal(reader_open(reader, "/tmp"), -EINVAL);
	assert_int_equal(reader_open(reader, "/nonexistent"), -ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(reader_open(reader, longest), -ENAMETOOLONG);
	assert_int_equal(nr_failures(reader), 0);
	assert_int_equal(unlink(pipe_path) | rmdir(fifo), 0);
	reader_destroy(reader);
}

/* Killed while it has nothing to do: no file pays for it. */
static void a_process_lost_between_questions_costs_nothing(void **state)
{
	struct reader *reader = real_reader(0);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask_info(reader), 0);
		pid_t pid = child_of(getpid(), "ebprof-reader");

		assert_true(pid > 0);
		pid_t victim = i == 1 ? child_of(pid, "ebprof-opener") : pid;

		assert_int_equal(kill(victim, SIGKILL), 0);
		/* Until its sockets are closed. */
		while (kill(victim, 0) == 0 &&
		       child_of(i == 1 ? pid : getpid(), i == 1 ? "ebprof-opener" : "ebprof-reader") == victim)
			usleep(1000);
		usleep(20000);
	}
	assert_int_equal(ask_info(reader), 0);
	assert_int_equal(nr_failures(reader), 0);
	reader_destroy(reader);
}

/* Whether it ends soon: has gone, or is a zombie. */
static bool await_end(pid_t pid)
{
	for (int i = 0; i < 200; i++) {
		_cleanup_free_ char *path = memory_format("/proc/%d/stat", (int)pid);
		_cleanup_fclose_ FILE *file = fopen(path, "r");
		char status = 'Z';

		if (!file || fscanf(file, "%*d (%*[^)]) %c", &status) != 1 || status == 'Z')
			return true;
		usleep(10000);
	}
	return false;
}

static void a_stopped_process_is_replaced(void **state)
{
	struct reader *reader = real_reader(2000);

	(void)state;
	assert_int_equal(ask_info(reader), 0);
	pid_t pid = child_of(getpid(), "ebprof-reader"), opener = child_of(pid, "ebprof-opener");

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(ask_table(reader), -ETIMEDOUT);
	assert_failure(reader, 0, "its unwind rows", "took longer than 2 s");
	assert_int_equal(ask_info(reader), 0);
	/* Both halves have gone; of the opener its new parent may not have taken notice. */
	assert_int_equal(kill(pid, 0), -1);
	assert_true(await_end(opener));
	pid = child_of(getpid(), "ebprof-reader");
	assert_int_equal(kill(child_of(pid, "ebprof-opener"), SIGSTOP), 0);
	assert_int_equal(ask_info(reader), -ETIMEDOUT);
	assert_int_equal(ask_table(reader), 0);
	assert_int_equal(nr_failures(reader), 2);
	reader_destroy(reader);
}

static char *status_of(pid_t pid)
{
	_cleanup_free_ char *path = memory_format("/proc/%d/status", (int)pid);
	_cleanup_fclose_ FILE *file = fopen(path, "r");
	char *text = memory_zalloc(1, 8192);

	assert_non_null(file);
	assert_true(fread(text, 1, 8191, file) > 0);
	return text;
}

static void it_has_no_privileges(void **state)
{
	struct reader *reader = real_reader(0);

	(void)state;
	assert_int_equal(ask_info(reader), 0);
	_cleanup_free_ char *text = status_of(child_of(getpid(), "ebprof-reader"));

	assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "\nSeccomp:\t2\n"));
	assert_non_null(strstr(text, "\nCapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "\nCapPrm:\t0000000000000000\n"));
	if (geteuid() == 0)
		assert_non_null(strstr(text, "\nUid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\n"));
	reader_destroy(reader);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_those_of_the_library),
		cmocka_unit_test(what_is_no_file_is_not_opened),
		cmocka_unit_test(a_process_lost_between_questions_costs_nothing),
		cmocka_unit_test(a_stopped_process_is_replaced),
		cmocka_unit_test(it_has_no_privileges),
	};

	if (argc == 2)
		return strcmp(argv[1], READER_PROCESS) == 0 ? reader_process_main() : 1;
	return cmocka_run_group_tests(tests, open_own, close_own);
}
