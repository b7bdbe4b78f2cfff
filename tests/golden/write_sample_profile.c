/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes profiles of known content for judges outside: the real pprof and the Python checker.
 *
 *     write_sample_profile SCENARIO PPROF_FILE FOLDED_FILE [SEED]
 *
 * prints the whole of report_top() as "FLAT CUM FILE LINE NAME" (fields separated by tabs), so that the judges can
 * compare it with what they find in the file. Scenarios: `cpu` has one of everything that a CPU profile can have;
 * `empty` has no sample; `numbers` has the largest and smallest of all; `random` is made of random stacks over few
 * names.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "file_sink.h"
#include "folded.h"
#include "memory.h"
#include "pprof.h"
#include "profile.h"
#include "top.h"

enum { PERIOD_NS = 10101010 };

static struct profile *cpu_profile(void)
{
	struct profile *profile = profile_create();

	profile_add_sample_type(profile, "samples", "count");
	profile_add_sample_type(profile, "cpu", "nanoseconds");
	profile_set_period(profile, "cpu", "nanoseconds", PERIOD_NS);
	profile->time_ns = 1700000000123456789;
	profile->duration_ns = 1500000000;
	profile_add_comment(profile, "written by a test");
	return profile;
}

static uint32_t add_mapping(struct profile *profile, const char *file, uint64_t start, uint64_t limit, bool named)
{
	struct profile_mapping mapping = {
		.start = start,
		.limit = limit,
		.filename = profile_string(profile, file),
		.build_id = profile_string(profile, file[0] == '/' ? "00112233445566778899aabbccddeeff00112233" : ""),
		.has_functions = named,
	};

	return profile_add_mapping(profile, &mapping);
}

static void add_sample(struct profile *profile, const uint32_t *stack, uint32_t nr, const char *comm, int64_t pid,
		       int64_t count)
{
	struct profile_label labels[] = {
		profile_label_number(profile, "pid", pid, "pid"),
		profile_label_number(profile, "cpu", 0, "cpu"),
		profile_label_text(profile, "comm", comm),
		profile_label_text(profile, "thread", "worker/0"),
	};

	profile_add_sample(profile, stack, nr, labels, ARRAY_SIZE(labels), (int64_t[]){count, count * PERIOD_NS});
}

static uint32_t add_location(struct profile *profile, uint32_t mapping, uint64_t address, const char *name,
			     const char *system_name, const char *file, uint32_t line)
{
	struct profile_line place = {
		.function = profile_add_function(profile, name, system_name, file, line ? line - 1 : 0),
		.line = line,
	};

	return profile_add_location(profile, mapping, address, &place, 1, false);
}

static void fill_cpu(struct profile *profile)
{
	uint32_t program = add_mapping(profile, "/usr/bin/program", 0x555555554000, 0x555555560000, true);
	uint32_t library = add_mapping(profile, "/usr/lib/libfoo.so.1", 0x7ffff7d00000, 0x7ffff7e00000, false);
	uint32_t kernel = add_mapping(profile, "[kernel.kallsyms]_text", 0xffffffff81000000, 0xffffffff82000000, true);

	profile->mappings.data[program].has_filenames = true;
	profile->mappings.data[program].has_line_numbers = true;
	profile->mappings.data[program].has_inline_frames = true;

	struct profile_line inlined[] = {
		{.function = profile_add_function(profile, "hash<int>(int)", "_Z4hashIiEvi", "/src/hash.h", 7),
		 .line = 9},
		{.function = profile_add_function(profile, "work", "work", "/src/main.c", 20), .line = 25},
	};
	uint32_t work = profile_add_location(profile, program, 0x555555555123, inlined, 2, true);
	uint32_t main_call = add_location(profile, program, 0x555555555200, "main", "main", "/src/main.c", 42);
	uint32_t fib = add_location(profile, program, 0x555555555300, "a::fib(int)", "a::fib(int)", "/src/fib.cc", 3);
	uint32_t odd = add_location(profile, program, 0x555555555400, "caf\xc3\xa9\xff[x]", NULL, "/src/\xe2\x82.c", 1);
	uint32_t unknown = add_location(profile, library, 0x7ffff7d01234, "libfoo.so.1+0x1234", NULL, NULL, 0);
	uint32_t read_call = add_location(profile, kernel, 0xffffffff81001000, "ksys_read", NULL, NULL, 0);
	uint32_t lost = add_location(profile, add_mapping(profile, "[unwind]", 0, 0, true), 0, "[truncated: no table]",
				     NULL, NULL, 0);

	add_sample(profile, (uint32_t[]){work, main_call}, 2, "program", 0, 30);
	add_sample(profile, (uint32_t[]){fib, fib, fib, main_call}, 4, "program", 0, 20);
	add_sample(profile, (uint32_t[]){read_call, unknown, main_call}, 3, "program", 12, 5);
	add_sample(profile, (uint32_t[]){unknown, lost}, 2, "program", 12, 3);
	add_sample(profile, (uint32_t[]){odd, main_call}, 2, "odd;\x1b name\xff", 4194304, 2);
	add_sample(profile, (uint32_t[]){main_call}, 1, "", 1, 0);
}

static void fill_numbers(struct profile *profile)
{
	uint32_t all = add_mapping(profile, "/all", 0, UINT64_MAX, true);
	uint32_t top = add_location(profile, all, UINT64_MAX - 1, "top", NULL, "t.c", UINT32_MAX);
	uint32_t zero = add_location(profile, all, 0, "zero", NULL, "z.c", 0);
	struct profile_label label = profile_label_number(profile, "smallest", INT64_MIN, "units");

	profile_add_sample(profile, &top, 1, &label, 1, (int64_t[]){INT64_MAX, INT64_MIN});
	profile_add_sample(profile, &zero, 1, NULL, 0, (int64_t[]){-1, 0});
}

static void fill_random(struct profile *profile, uint64_t seed)
{
	enum { NR_NAMES = 40, NR_SAMPLES = 2000, DEPTH_MAX = 12 };
	uint32_t program = add_mapping(profile, "/usr/bin/random", 0x1000, 0x100000, true);
	uint64_t random = seed;
	char name[16], file[16];

	profile->mappings.data[program].has_filenames = true;
	profile->mappings.data[program].has_line_numbers = true;
	for (uint32_t i = 0; i < NR_SAMPLES; i++) {
		uint32_t stack[DEPTH_MAX];
		uint32_t depth = 0;

		do {
			struct profile_line lines[3];
			uint32_t nr_lines = 0;

			do {
				random = random * 6364136223846793005u + 1442695040888963407u;
				/* Few names, and some of them in two files. */
				snprintf(name, sizeof(name), "f%02u", (uint32_t)(random >> 33) % NR_NAMES);
				snprintf(file, sizeof(file), "%c.c", 'a' + (int)(random >> 50 & 1));
				lines[nr_lines].function = profile_add_function(profile, name, NULL, file, 0);
				lines[nr_lines++].line = 1 + (uint32_t)(random >> 40) % 3;
			} while (nr_lines < 3 && (random >> 60) < 4);
			stack[depth++] = profile_add_location(profile, program, 0x1000 + (random >> 45) % 64, lines,
							      nr_lines, false);
		} while (depth < DEPTH_MAX && (random >> 60 & 7));
		add_sample(profile, stack, depth, "random", 1 + i % 3, 1 + i % 7);
	}
}

static int write_file(const struct profile *profile, const char *path,
		      int (*write)(const struct profile *, struct sink *))
{
	struct file_sink sink = {.sink = {.write = file_write}, .file = fopen(path, "wb")};

	if (!sink.file)
		return -errno;
	int error = write(profile, &sink.sink);

	return fclose(sink.file) != 0 && !error ? -EIO : error;
}

static void print_top(const struct profile *profile)
{
	size_t max = profile->functions.nr;
	_cleanup_free_ struct top_line *lines = memory_new_array(struct top_line, max);
	size_t nr = report_top(profile, 0, max, lines);

	for (size_t i = 0; i < nr; i++) {
		const struct profile_function *function = &profile->functions.data[lines[i].function];

		printf("%" PRId64 "\t%" PRId64 "\t%s\t%u\t%s\n", lines[i].flat, lines[i].cum,
		       profile_text(profile, function->filename), lines[i].line, profile_text(profile, function->name));
	}
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: %s cpu|empty|numbers|random PPROF_FILE FOLDED_FILE [SEED]\n", argv[0]);
		return 2;
	}
	struct profile *profile = cpu_profile();

	if (strcmp(argv[1], "cpu") == 0)
		fill_cpu(profile);
	else if (strcmp(argv[1], "numbers") == 0)
		fill_numbers(profile);
	else if (strcmp(argv[1], "random") == 0)
		fill_random(profile, argc > 4 ? strtoull(argv[4], NULL, 10) : 1);

	int error = write_file(profile, argv[2], pprof_write);

	if (!error)
		error = write_file(profile, argv[3], folded_write);
	if (error)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-error));
	else
		print_top(profile);
	profile_destroy(profile);
	return error ? 1 : 0;
}
