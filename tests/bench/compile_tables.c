/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_tables RUNS FILE... - what the unwind tables of files weigh and what compiling them takes.
 *
 * All files are compiled one after the other in this one process, as a recording does with a process's mappings, and
 * the whole batch RUNS times over, so that no file's best time comes from a processor that saw nothing else. A line per
 * file, fields between tabs: path, bytes of text (executable segments), FDEs, granules, rows, rows that are no rule of
 * ours, rules, bytes of the table as the kernel holds it (index and rows; rules are shared by all files), CPU ns of the
 * first and of the fastest run. Then "batch" with wall ns and CPU ns of the first and of the fastest batch, and
 * "peak_kib", the most memory that the process ever had.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "object.h"
#include "unwind.h"

struct times {
	uint64_t first_ns;
	uint64_t best_ns;
};

struct measured {
	int error;
	uint64_t text_bytes;
	struct unwind_table sizes; /* its counts; the arrays are gone */
	struct times cpu;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void add_time(struct times *times, uint64_t ns)
{
	if (!times->first_ns)
		times->first_ns = ns;
	if (!times->best_ns || ns < times->best_ns)
		times->best_ns = ns;
}

/* Opens, compiles and closes one file. */
static int compile(const char *path, struct measured *measured)
{
	struct object *object;
	struct unwind_table *table;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	uint64_t start_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	int error = object_create(fd, NULL, NULL, &object);

	if (error)
		return error;
	error = unwind_table_compile(object, TABLE_WHOLE, &table);
	if (!error) {
		const struct object_info *info = object_info(object);

		measured->text_bytes = 0;
		for (uint32_t i = 0; i < info->nr_segments; i++)
			measured->text_bytes += info->segments[i].size;
		measured->sizes = *table;
		unwind_table_destroy(table);
	}
	object_destroy(object);
	if (!error)
		add_time(&measured->cpu, now_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns);
	return error;
}

static void print_file(const char *path, const struct measured *measured)
{
	const struct unwind_table *sizes = &measured->sizes;
	uint64_t bytes = (uint64_t)sizes->nr_granules * sizeof(struct unwind_granule) +
			 (uint64_t)sizes->nr_rows * sizeof(struct unwind_row);

	printf("%s\t%llu\t%u\t%u\t%u\t%u\t%u\t%llu\t%llu\t%llu\n", path, (unsigned long long)measured->text_bytes,
	       sizes->nr_fdes, sizes->nr_granules, sizes->nr_rows, sizes->nr_rows_unsupported, sizes->nr_rules,
	       (unsigned long long)bytes, (unsigned long long)measured->cpu.first_ns,
	       (unsigned long long)measured->cpu.best_ns);
}

int main(int argc, char **argv)
{
	int nr_files = argc - 2, status = 0;

	if (nr_files < 1)
		return 2;
	_cleanup_free_ struct measured *files = memory_new_array(struct measured, (size_t)nr_files);
	struct times wall = {0}, cpu = {0};
	struct rusage usage;

	for (long run = 0; run < strtol(argv[1], NULL, 10); run++) {
		uint64_t wall_ns = now_ns(CLOCK_MONOTONIC), cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);

		for (int i = 0; i < nr_files; i++)
			files[i].error = compile(argv[2 + i], &files[i]);
		add_time(&wall, now_ns(CLOCK_MONOTONIC) - wall_ns);
		add_time(&cpu, now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns);
	}
	for (int i = 0; i < nr_files; i++) {
		if (files[i].error) {
			fprintf(stderr, "%s: %s\n", argv[2 + i], strerror(-files[i].error));
			status = 1;
		} else {
			print_file(argv[2 + i], &files[i]);
		}
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("batch\t%llu\t%llu\t%llu\t%llu\npeak_kib\t%ld\n", (unsigned long long)wall.first_ns,
	       (unsigned long long)wall.best_ns, (unsigned long long)cpu.first_ns, (unsigned long long)cpu.best_ns,
	       usage.ru_maxrss);
	return status;
}
