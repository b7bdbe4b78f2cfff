/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_maps.c - the maps parser: the input is the text of /proc/PID/maps, as is and through a file.
 *
 * Both ways have to say the same. What is found goes on to the sorted list of mappings, in the order in which it
 * stands, which for hostile text is any order: it has to stay sorted, and the newest mapping has to be found in its
 * whole range.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entries.h"
#include "mappings.h"
#include "maps.h"
#include "table.h"
#include "table_check.h"

enum { FAKE_PID = 42 };

struct seen {
	size_t nr;
	size_t text_size;
	uint64_t hash;
	struct mappings mappings;
};

static void check_mappings(const struct mappings *mappings, const struct mapping *newest)
{
	for (size_t i = 0; i < mappings->list.nr; i++) {
		CHECK(mappings->list.data[i].start < mappings->list.data[i].end);
		CHECK(!i || mappings->list.data[i - 1].end <= mappings->list.data[i].start);
	}
	const struct mapping *first = mappings_find(mappings, newest->start);
	const struct mapping *last = mappings_find(mappings, newest->end - 1);

	CHECK(first && first == last && first->path == newest->path && first->start == newest->start);
}

static void check_copy(const struct mappings *mappings)
{
	struct mappings copy = {0};

	mappings_copy(&copy, mappings);
	CHECK(mappings_equal(&copy, mappings));
	mappings_deinit(&copy);
}

static void see_line(const struct map_line *line, void *context)
{
	struct seen *seen = context;
	size_t length = strlen(line->path);

	CHECK((line->executable || (!line->file_offset && line->inode)) && line->start < line->end);
	CHECK(length < seen->text_size);
	seen->hash = hash_bytes(line->path, length,
				seen->hash + line->start + 3 * line->end + 5 * line->file_offset + 7 * line->inode +
					11 * line->major + 13 * line->minor + 17 * line->deleted);
	struct mapping mapping = {
		.start = line->start,
		.end = line->end,
		.file_offset = line->file_offset,
		.path = (uint32_t)seen->nr++,
	};

	mappings_add(&seen->mappings, mapping);
	check_mappings(&seen->mappings, &mapping);
}

/* A folder that stands for /proc, whose process 42 has the file given; -1 where that can't be made. */
static int fake_proc(int file)
{
	char target[32];

	snprintf(target, sizeof(target), "/proc/self/fd/%d", file);
	CHECK(mkdir("42", 0700) == 0);
	CHECK(symlink(target, "42/maps") == 0);
	return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int read_through_file(const uint8_t *data, size_t size, struct seen *seen, size_t *skipped)
{
	static int file = -1, proc = -1;

	if (file < 0) {
		file = memfd_create("maps", MFD_CLOEXEC);
		proc = fake_proc(file);
	}
	CHECK(ftruncate(file, (off_t)size) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
	return maps_read(proc, FAKE_PID, see_line, seen, skipped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen direct = {.text_size = size}, read = {.text_size = size};
	size_t nr_lines = 0, skipped = 0, skipped_read = 0;

	for (size_t i = 0; i < size; i++)
		nr_lines += data[i] == '\n';
	maps_parse((const char *)data, size, see_line, &direct, &skipped);
	CHECK(direct.nr + skipped <= nr_lines + 1);
	int err = read_through_file(data, size, &read, &skipped_read);

	CHECK(size ? err == 0 : err < 0);
	CHECK(read.nr == direct.nr && read.hash == direct.hash && skipped_read == skipped);
	CHECK(mappings_equal(&direct.mappings, &read.mappings));
	check_copy(&direct.mappings);
	mappings_deinit(&direct.mappings);
	mappings_deinit(&read.mappings);
	return 0;
}
