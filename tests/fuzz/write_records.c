/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_records.c - writes the mapping records of a program that starts, as the kernel makes them: seeds for the
 * fuzzer.
 *
 *     write_records FOLDER COMMAND...
 *
 * Without the right to open the events it says why and writes nothing; that is no failure.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "message.h"
#include "perf_event.h"
#include "perf_ring.h"

enum { RING_BYTES = 64 << 10, RECORDS_PER_FILE = 6 };

struct writing {
	const char *folder;
	FILE *file;
	unsigned int nr_records;
};

static void write_record(void *record, size_t size_bytes, void *context)
{
	struct writing *writing = context;

	if (writing->nr_records++ % RECORDS_PER_FILE == 0) {
		char *path = memory_format("%s/records-%u", writing->folder, writing->nr_records);

		if (writing->file)
			fclose(writing->file);
		writing->file = fopen(path, "we");
		free(path);
		if (writing->file)
			fputc(0, writing->file);
	}
	if (writing->file)
		fwrite(record, size_bytes, 1, writing->file);
}

static int open_ring(unsigned int cpu, struct perf_ring *ring)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
		.sample_id_all = 1,
		.mmap = 1,
		.mmap2 = 1,
		.build_id = cpu % 2 == 0,
		.comm = 1,
		.comm_exec = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	int fd = perf_event_create(&attr, cpu);

	return fd < 0 ? fd : perf_ring_init(ring, fd, RING_BYTES);
}

static void run_command(char **command)
{
	pid_t child = fork();

	if (child == 0) {
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	struct perf_ring rings[64] = {0};
	struct cpu_list cpus = {0};
	uint8_t *scratch = memory_zalloc(PERF_RECORD_SIZE_MAX, 1);

	if (argc < 3 || cpu_list_online(&cpus, NULL))
		return 2;
	struct writing writing = {.folder = argv[1]};
	size_t nr = cpus.cpus.nr < ARRAY_SIZE(rings) ? cpus.cpus.nr : ARRAY_SIZE(rings);

	for (size_t i = 0; i < nr; i++) {
		int err = open_ring(cpus.cpus.data[i], &rings[i]);

		if (err) {
			printf("no records of the kernel: %s\n", strerror(-err));
			return 0;
		}
	}
	for (int i = 0; i < 4; i++)
		run_command(argv + 2);
	for (size_t i = 0; i < nr; i++)
		perf_ring_read(&rings[i], scratch, write_record, &writing);
	if (writing.file)
		fclose(writing.file);
	printf("%u records of the kernel\n", writing.nr_records);
	free(scratch);
	cpu_list_deinit(&cpus);
	return 0;
}
