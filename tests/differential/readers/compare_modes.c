/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare_modes.c - does the reader process say of real files exactly what the library says within this process?
 *
 * compare_modes FILE...: for each ELF file its headers, its unwind table byte by byte, the names and the function
 * starts of addresses all over its code, in the order in which they are given. Prints what differs, and how long either
 * took. Exit status 1 when anything differs or a process was lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "process.h"
#include "reader.h"
#include "table.h"
#include "time_now.h"
#include "vector.h"
#include "wire.h"

enum { ADDRS_PER_FILE = 2000, NR_MODES = 2 };

struct answers {
	int info_error, table_error, names_error, starts_error;
	struct object_info info;
	struct unwind_table *table;
	uint64_t names_hash, nr_named;
	struct names_status status;
	uint64_t *starts;
};

static struct totals {
	unsigned long long files, tables, rows, named, different;
	uint64_t tables_ns[NR_MODES], names_ns[NR_MODES];
} totals;

static void hash_text(struct answers *answers, const char *text)
{
	text = text ? text : "?";
	answers->names_hash = hash_bytes(text, strlen(text) + 1, answers->names_hash);
}

static void hash_names(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct answers *answers = context;
	const uint64_t head[] = {index, nr_frames};

	answers->names_hash = hash_bytes(head, sizeof(head), answers->names_hash);
	answers->nr_named += nr_frames > 0;
	for (size_t i = 0; i < nr_frames; i++) {
		const uint64_t lines[] = {frames[i].line, frames[i].start_line};

		answers->names_hash = hash_bytes(lines, sizeof(lines), answers->names_hash);
		hash_text(answers, frames[i].name);
		hash_text(answers, frames[i].system_name);
		hash_text(answers, frames[i].file);
	}
}

static void ask(struct reader *reader, int mode, const struct reader_file *file, struct answers *ret)
{
	VECTOR(uint64_t) addrs = {0};

	ret->info_error = reader_describe(reader, file, &ret->info);
	for (uint32_t i = 0; !ret->info_error && i < ret->info.nr_segments; i++) {
		const struct object_segment *segment = &ret->info.segments[i];
		uint64_t step = segment->size / ADDRS_PER_FILE + 1;

		for (uint64_t at = 0; at < segment->size; at += step)
			*vector_push(&addrs) = segment->file_addr + at;
	}
	uint64_t start = time_now_ns(CLOCK_MONOTONIC);

	ret->table_error = reader_unwind_table(reader, file, TABLE_WHOLE, &ret->table);
	totals.tables_ns[mode] += time_now_ns(CLOCK_MONOTONIC) - start;
	start = time_now_ns(CLOCK_MONOTONIC);
	ret->names_error = reader_names(reader, file, addrs.data, addrs.nr, hash_names, ret, &ret->status);
	totals.names_ns[mode] += time_now_ns(CLOCK_MONOTONIC) - start;
	ret->starts = memory_new_array(uint64_t, addrs.nr);
	ret->starts_error = reader_function_starts(reader, file, addrs.data, addrs.nr, ret->starts);
	ret->names_hash = hash_bytes(ret->starts, ret->starts_error ? 0 : addrs.nr * sizeof(uint64_t), ret->names_hash);
	vector_free(&addrs);
}

static bool same_tables(const struct unwind_table *a, const struct unwind_table *b)
{
	return a->start == b->start && a->coarser == b->coarser && a->nr_granules == b->nr_granules &&
	       a->nr_rows == b->nr_rows && a->nr_rules == b->nr_rules && a->nr_fdes == b->nr_fdes &&
	       a->nr_fdes_broken == b->nr_fdes_broken &&
	       memcmp(a->granules, b->granules, a->nr_granules * sizeof(*a->granules)) == 0 &&
	       memcmp(a->rows, b->rows, a->nr_rows * sizeof(*a->rows)) == 0 &&
	       memcmp(a->rules, b->rules, a->nr_rules * sizeof(*a->rules)) == 0;
}

static bool same_infos(const struct object_info *a, const struct object_info *b)
{
	return a->build_id_size == b->build_id_size && memcmp(a->build_id, b->build_id, a->build_id_size) == 0 &&
	       a->is_64bit_x86 == b->is_64bit_x86 && a->is_executable == b->is_executable &&
	       a->stripped == b->stripped && a->base_addr == b->base_addr && a->entry_addr == b->entry_addr &&
	       a->nr_segments == b->nr_segments &&
	       memcmp(a->segments, b->segments, a->nr_segments * sizeof(a->segments[0])) == 0 &&
	       strcmp(a->interpreter, b->interpreter) == 0 && memcmp(&a->needed, &b->needed, sizeof(a->needed)) == 0;
}

/* What differs, NULL = nothing. */
static const char *difference(const struct answers *a, const struct answers *b)
{
	if (a->info_error != b->info_error || (!a->info_error && !same_infos(&a->info, &b->info)))
		return "headers";
	if (a->table_error != b->table_error || (!a->table_error && !same_tables(a->table, b->table)))
		return "unwind tables";
	if (a->names_error != b->names_error || a->names_hash != b->names_hash || a->starts_error != b->starts_error ||
	    memcmp(&a->status, &b->status, sizeof(a->status)) != 0)
		return "names";
	return NULL;
}

static void compare(struct reader *const readers[NR_MODES], const char *path)
{
	struct answers answers[NR_MODES] = {0};
	struct reader_file file = {.fd = reader_open(readers[0], path), .path = path};

	if (file.fd < 0)
		return;
	for (int mode = 0; mode < NR_MODES; mode++)
		ask(readers[mode], mode, &file, &answers[mode]);
	const char *what = difference(&answers[0], &answers[1]);

	if (what)
		printf("%s: different %s\n", path, what);
	totals.different += what != NULL;
	totals.files += !answers[0].info_error;
	totals.named += answers[0].nr_named;
	totals.tables += !answers[0].table_error;
	totals.rows += answers[0].table_error ? 0 : answers[0].table->nr_rows;
	for (int mode = 0; mode < NR_MODES; mode++) {
		if (!answers[mode].table_error)
			reader_free_table(answers[mode].table);
		free(answers[mode].starts);
	}
	close(file.fd);
}

int main(int argc, char **argv)
{
	const struct reader_config config = {0};
	struct reader *readers[NR_MODES];
	size_t nr_failures;

	if (argc == 2 && strcmp(argv[1], READER_PROCESS) == 0)
		return reader_process_main();
	readers[0] = reader_create(&config);
	readers[1] = reader_create(NULL);
	for (int i = 1; i < argc; i++)
		compare(readers, argv[i]);
	const struct reader_failure *failures = reader_failures(readers[0], &nr_failures);

	for (size_t i = 0; i < nr_failures; i++)
		printf("%s: %s: %s\n", failures[i].path, failures[i].wanted, failures[i].reason);
	printf("readers: %llu files, %llu tables of %llu rows, %llu addresses named, %llu files different, %zu "
	       "failures; "
	       "tables %.0f ms by process, %.0f ms inline; names %.0f ms, %.0f ms\n",
	       totals.files, totals.tables, totals.rows, totals.named, totals.different, nr_failures,
	       (double)totals.tables_ns[0] / 1e6, (double)totals.tables_ns[1] / 1e6, (double)totals.names_ns[0] / 1e6,
	       (double)totals.names_ns[1] / 1e6);
	bool failed = totals.different || nr_failures || !totals.tables;

	for (int mode = 0; mode < NR_MODES; mode++)
		reader_destroy(readers[mode]);
	return failed;
}
