/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sideband_test.c - real records: a process that loads a library, moves to another CPU and execs; the order of two
 * rings; a ring that runs over; the wake-up. Skipped where perf_event_open is refused.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sideband.h"
#include "vector.h"

struct kept {
	struct sideband_record record;
	char *name;
};

struct kept_list {
	VECTOR(struct kept) list;
	uint64_t lost;
};

static void keep(const struct sideband_record *record, void *context)
{
	struct kept_list *kept = context;
	struct kept *one = vector_push(&kept->list);

	one->record = *record;
	if (record->type == SIDEBAND_MMAP)
		one->name = memory_strdup(record->mmap.path);
	if (record->type == SIDEBAND_COMM)
		one->name = memory_strdup(record->comm.name);
	if (record->type == SIDEBAND_LOST) {
		assert_true(record->lost > 0);
		kept->lost += record->lost;
	}
}

static void kept_free(struct kept_list *kept)
{
	for (size_t i = 0; i < kept->list.nr; i++)
		free(kept->list.data[i].name);
	vector_free(&kept->list);
}

/* The first record of a process from `first` on, of that type and name, or the number of records. */
static size_t find(const struct kept_list *kept, size_t first, enum sideband_type type, pid_t pid, const char *name)
{
	for (size_t i = first; i < kept->list.nr; i++) {
		const struct kept *one = &kept->list.data[i];

		if (one->record.type == type && one->record.pid == (uint32_t)pid && strcmp(one->name, name) == 0)
			return i;
	}
	return kept->list.nr;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Opens a sideband, or skips the test with the kernel's reason. */
static struct sideband *open_or_skip(size_t ring_bytes)
{
	struct sideband *sideband = NULL;
	struct problem problem = {""};
	int error = sideband_create(ring_bytes, false, &sideband, &problem);

	if (error == -EACCES || error == -EPERM || error == -ENOSYS) {
		print_message("skipped: %s\n", problem.text);
		skip();
	}
	assert_int_equal(error, 0);
	return sideband;
}

static void copy_file(const char *from, const char *to)
{
	_cleanup_close_ int source = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int copy = open(to, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0755);
	char buffer[65536];
	ssize_t size;

	assert_true(source >= 0 && copy >= 0);
	while ((size = read(source, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(copy, buffer, (size_t)size), size);
}

/* Where the dynamic linker finds a library that every machine which builds this has. */
static const char *library_path(void)
{
	struct link_map *map = NULL;
	void *handle = dlopen("libz.so.1", RTLD_NOW);

	assert_non_null(handle);
	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	return map->l_name;
}

/* The build-id in hex as readelf prints it, "" without one. */
static void readelf_build_id(const char *path, char *ret, size_t size)
{
	_cleanup_free_ char *command = memory_format("readelf -n '%s' | sed -n 's/.*Build ID: //p'", path);
	FILE *pipe = popen(command, "re");

	ret[0] = '\0';
	if (fgets(ret, (int)size, pipe))
		ret[strcspn(ret, "\n")] = '\0';
	pclose(pipe);
}

static void assert_build_id(const struct sideband_record *record, const char *path)
{
	char expected[64], got[64] = "";

	readelf_build_id(path, expected, sizeof(expected));
	for (int i = 0; i < record->mmap.build_id_size; i++)
		snprintf(got + 2 * i, 3, "%02x", record->mmap.build_id[i]);
	assert_true(strlen(expected) >= 16);
	assert_string_equal(got, expected);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The process of the next test: maps a library, then a deleted file, renames itself, moves, and execs. */
static void child_main(const char *library, const char *gone, const char *program, int other_cpu)
{
	int fd;

	run_on(0);
	if (!dlopen(library, RTLD_NOW))
		_exit(1);
	fd = open(gone, O_RDONLY | O_CLOEXEC);
	unlink(gone);
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		_exit(2);
	if (mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		_exit(3);
	if (mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		_exit(4);
	run_on(other_cpu);
	prctl(PR_SET_NAME, "renamed");
	execl(program, program, (char *)NULL);
	_exit(5);
}

static void test_real_process(void **state)
{
	struct sideband *sideband = open_or_skip(0);
	char folder[] = "/tmp/sideband_test.XXXXXX";
	_cleanup_free_ char *library = NULL, *gone = NULL, *program = NULL;
	struct kept_list kept = {0};
	size_t at[5], nr_before_finish;
	uint64_t begin_ns = now_ns(), end_ns;
	int status, other_cpu = sideband_fd(sideband, 1) >= 0 ? 1 : 0;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(folder));
	library = memory_format("%s/lib one.so", folder);
	gone = memory_format("%s/gone", folder);
	program = memory_format("%s/program", folder);
	copy_file(library_path(), library);
	copy_file(library_path(), gone);
	copy_file("/bin/true", program);
	pid = fork();
	if (pid == 0)
		child_main(library, gone, program, other_cpu);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	end_ns = now_ns();
	sideband_drain(sideband, now_ns(), keep, &kept);
	nr_before_finish = kept.list.nr;
	sideband_finish(sideband, keep, &kept);

	at[0] = find(&kept, 0, SIDEBAND_MMAP, pid, library);
	at[1] = find(&kept, at[0], SIDEBAND_MMAP, pid, gone);
	at[2] = find(&kept, at[1], SIDEBAND_COMM, pid, "renamed");
	at[3] = find(&kept, at[2], SIDEBAND_COMM, pid, "program");
	at[4] = find(&kept, at[3], SIDEBAND_MMAP, pid, program);
	assert_true(at[4] < nr_before_finish);
	for (size_t i = 1; i < kept.list.nr; i++)
		assert_true(kept.list.data[i - 1].record.time_ns <= kept.list.data[i].record.time_ns);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		const struct sideband_record *record = &kept.list.data[at[i]].record;

		assert_true(record->time_ns > begin_ns && record->time_ns < end_ns);
		assert_int_equal(record->tid, pid);
	}
	assert_build_id(&kept.list.data[at[0]].record, library);
	assert_build_id(&kept.list.data[at[4]].record, program);
	assert_false(kept.list.data[at[0]].record.mmap.deleted);
	assert_true(kept.list.data[at[1]].record.mmap.deleted);
	assert_false(kept.list.data[at[2]].record.comm.is_exec);
	assert_true(kept.list.data[at[3]].record.comm.is_exec);
	assert_true(find(&kept, at[1], SIDEBAND_MMAP, pid, "//anon") < at[2]);
	assert_int_equal(kept.lost, 0);
	kept_free(&kept);
	sideband_destroy(sideband);
	unlink(library);
	unlink(program);
	rmdir(folder);
}

/* Maps and unmaps executable memory, which gives one record. */
static void make_record(void)
{
	munmap(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
}

/* The own mapping records kept. */
static size_t nr_own(const struct kept_list *kept)
{
	size_t nr = 0;

	for (size_t i = 0; i < kept->list.nr; i++) {
		const struct sideband_record *record = &kept->list.data[i].record;

		nr += record->type == SIDEBAND_MMAP && record->pid == (uint32_t)getpid();
	}
	return nr;
}

/* A record on CPU 1 before a certain time, one on CPU 0 after it: each in its own drain, and both in order. */
static void test_real_until(void **state)
{
	struct sideband *sideband = open_or_skip(0);
	int first_cpu = sideband_fd(sideband, 1) >= 0 ? 1 : 0;
	struct kept_list first = {0}, second = {0};
	uint64_t begin_ns, between_ns, end_ns;
	cpu_set_t before;

	(void)state;
	sched_getaffinity(0, sizeof(before), &before);
	run_on(first_cpu);
	begin_ns = now_ns();
	make_record();
	run_on(0);
	between_ns = now_ns();
	make_record();
	end_ns = now_ns();
	sideband_drain(sideband, begin_ns, keep, &first);
	assert_int_equal(nr_own(&first), 0);
	sideband_drain(sideband, between_ns, keep, &first);
	assert_int_equal(nr_own(&first), 1);
	sideband_drain(sideband, between_ns, keep, &first);
	assert_int_equal(nr_own(&first), 1);
	sideband_drain(sideband, UINT64_MAX, keep, &second);
	assert_int_equal(nr_own(&second), 1);
	for (size_t i = 0; i < first.list.nr; i++)
		assert_true(first.list.data[i].record.time_ns <= between_ns);
	for (size_t i = 0; i < second.list.nr; i++) {
		const struct sideband_record *record = &second.list.data[i].record;

		if (record->pid == (uint32_t)getpid())
			assert_true(record->time_ns > between_ns && record->time_ns < end_ns);
	}
	kept_free(&first);
	kept_free(&second);
	sideband_destroy(sideband);
	sched_setaffinity(0, sizeof(before), &before);
}

/* A ring that runs over, on a CPU that is silent afterwards: the loss is told at once and once. */
static void test_real_loss(void **state)
{
	enum { NR = 200 };
	struct sideband *sideband = open_or_skip(4096);
	struct kept_list kept = {0};
	size_t nr_seen;
	cpu_set_t before;

	(void)state;
	sched_getaffinity(0, sizeof(before), &before);
	run_on(0);
	for (int i = 0; i < NR; i++)
		make_record();
	sideband_drain(sideband, now_ns(), keep, &kept);
	sideband_finish(sideband, keep, &kept);
	nr_seen = nr_own(&kept);
	print_message("%zu records seen, %llu lost\n", nr_seen, (unsigned long long)kept.lost);
	assert_true(nr_seen > 10 && nr_seen < 100); /* 4096 / 104 = 39 fit */
	/* Another process may have lost some too. */
	assert_true(nr_seen + kept.lost >= NR && nr_seen + kept.lost < NR + 50);
	/* The kernel's own record of the same loss comes with the next record, and adds nothing. */
	kept_free(&kept);
	kept.lost = 0;
	make_record();
	sideband_finish(sideband, keep, &kept);
	assert_true(find(&kept, 0, SIDEBAND_MMAP, getpid(), "//anon") < kept.list.nr);
	assert_true(kept.lost < 50);
	kept_free(&kept);
	sideband_destroy(sideband);
	sched_setaffinity(0, sizeof(before), &before);
}

/* A quarter of a ring wakes poll, less does not. */
static void test_real_wakeup(void **state)
{
	struct sideband *sideband = open_or_skip(16384);
	struct pollfd wait = {.fd = sideband_fd(sideband, 0), .events = POLLIN};
	struct kept_list kept = {0};
	const int *fds;
	cpu_set_t before;

	(void)state;
	assert_true(sideband_fds(sideband, &fds) >= 1 && fds[0] == wait.fd);
	assert_int_equal(sideband_fd(sideband, 100000), -1);
	sched_getaffinity(0, sizeof(before), &before);
	run_on(0);
	for (int i = 0; i < 16384 / 4 / 104 + 2; i++)
		make_record();
	assert_int_equal(poll(&wait, 1, 1000), 1);
	assert_true(wait.revents & POLLIN);
	sideband_finish(sideband, keep, &kept);
	kept_free(&kept);
	sideband_destroy(sideband);
	sched_setaffinity(0, sizeof(before), &before);
}

static void test_bad_size(void **state)
{
	struct sideband *sideband = NULL;
	struct problem problem = {""};

	(void)state;
	assert_int_equal(sideband_create(SIZE_MAX, false, &sideband, &problem), -EINVAL);
	assert_null(sideband);
	assert_true(strlen(problem.text) > 0);
	sideband_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_size),    cmocka_unit_test(test_real_process),
		cmocka_unit_test(test_real_until),  cmocka_unit_test(test_real_loss),
		cmocka_unit_test(test_real_wakeup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
