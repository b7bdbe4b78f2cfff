/* SPDX-License-Identifier: Apache-2.0 */
#include "replaced_text.h"

#include <string.h>
#include <sys/uio.h>

#include "memory.h"
#include "sample.h"
#include "sorted.h"

static const uint64_t FILE_SPAN_MAX = 4ull << 30; /* files with more code have no unwind rows either */

enum {
	FIRST_PAGES_MAX = 65536,
	PAGE_BYTES = 4096,
	PLACES = 8,           /* that are compared */
	PLACES_DIFFERENT = 2, /* of them, at most */
	PLACES_TELLING = 2,   /* equal, and not just filled with one value, at least */
};

static bool is_file_code(const struct modules *modules, const struct mapping *mapping)
{
	return mapping->module != NO_MODULE && modules->list.data[mapping->module].is_elf;
}

static struct text_origin origin_of(const struct modules *modules, const struct mapping *mapping)
{
	if (is_file_code(modules, mapping))
		return (struct text_origin){
			.base = mapping->start - mapping->module_offset,
			.module = mapping->module,
			.is_known = true,
		};
	return mapping->origin;
}

/* The executable segment of the origin that a range overlaps, in whole pages; false = none. */
static bool overlap(const struct modules *modules, const struct text_origin *origin, uint64_t start, uint64_t end,
		    struct mapping *ret)
{
	if (!origin->is_known)
		return false;
	const struct object_info *info = &modules->list.data[origin->module].info;

	for (uint32_t i = 0; i < info->nr_segments; i++) {
		const struct object_segment *segment = &info->segments[i];
		uint64_t skipped = segment->file_addr % PAGE_BYTES;
		uint64_t first = origin->base + (segment->file_addr - info->base_addr) - skipped;
		uint64_t last = (first + skipped + segment->file_size + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
		uint64_t from = start > first ? start : first;

		if (last < first || from >= last || from >= end || segment->file_offset < skipped)
			continue;
		*ret = (struct mapping){
			.start = from,
			.end = end < last ? end : last,
			.module = origin->module,
			.module_offset = from - origin->base,
			.file_offset = segment->file_offset - skipped + (from - first),
		};
		return true;
	}
	return false;
}

/* The origin of a piece of memory, by the mappings that it covers and those right beside it. */
static struct text_origin origin_of_range(const struct modules *modules, const struct mappings *mappings,
					  uint64_t start, uint64_t end)
{
	size_t place = mappings_behind(mappings, start);
	size_t first = place ? place - 1 : 0;
	struct mapping part;

	/* From the one before it to the one behind what it covers. */
	for (size_t i = first; i < mappings->list.nr; i++) {
		const struct mapping *mapping = &mappings->list.data[i];
		struct text_origin origin = origin_of(modules, mapping);

		if (overlap(modules, &origin, start, end, &part))
			return origin;
		if (mapping->start >= end)
			break;
	}
	return (struct text_origin){0};
}

static bool is_uniform(const uint8_t *bytes, size_t size)
{
	return memcmp(bytes, bytes + 1, size - 1) == 0;
}

enum likeness { UNREADABLE, DIFFERENT, EQUAL, EQUAL_AND_TELLING };

static enum likeness compare_place(struct modules *modules, pid_t pid, const struct mapping *part, uint64_t distance)
{
	struct module *module = &modules->list.data[part->module];
	const struct reader_file file = {.fd = module->fd, .path = module->path};
	uint8_t here[READER_BYTES_MAX], there[READER_BYTES_MAX];
	struct iovec local = {.iov_base = here, .iov_len = sizeof(here)};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)(part->start + distance), .iov_len = sizeof(here)};

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof(here))
		return UNREADABLE;
	ssize_t got = reader_bytes(modules->reader, &file, part->file_offset + distance, there, sizeof(there));

	if (got < 0) {
		module->is_lost |= reader_lost((int)got);
		return UNREADABLE;
	}
	/* The file may end within the last page. */
	if (memcmp(here, there, (size_t)got) != 0)
		return DIFFERENT;
	return got < 2 || is_uniform(there, (size_t)got) ? EQUAL : EQUAL_AND_TELLING;
}

/*
 * Compares a mapping with its origin. True: *ret is the part of it that is the file's code. A file that can't be read
 * says false; one at which the reader is lost is marked as such.
 */
static bool find_part(struct modules *modules, pid_t pid, const struct mapping *mapping, struct mapping *ret)
{
	struct mapping part;
	int nr_of[EQUAL_AND_TELLING + 1] = {0};

	if (!pid || !overlap(modules, &mapping->origin, mapping->start, mapping->end, &part) ||
	    modules->list.data[part.module].is_lost)
		return false;
	uint64_t stride = (part.end - part.start - READER_BYTES_MAX) / (PLACES - 1);

	for (uint64_t i = 0; i < PLACES; i++) {
		nr_of[compare_place(modules, pid, &part, stride * i)]++;
		if (nr_of[UNREADABLE] || nr_of[DIFFERENT] > PLACES_DIFFERENT)
			return false;
	}
	if (nr_of[EQUAL_AND_TELLING] < PLACES_TELLING)
		return false;
	part.path = mapping->path;
	*ret = part;
	return true;
}

void first_pages_add(struct first_pages *pages, const struct map_line *line)
{
	if (line->path[0] != '/' || pages->list.nr == FIRST_PAGES_MAX)
		return;
	*vector_push(&pages->list) = (struct first_page){
		.start = line->start,
		.end = line->end,
		.inode = line->inode,
		.major = line->major,
		.minor = line->minor,
		.path = memory_strdup(line->path),
	};
}

void first_pages_deinit(struct first_pages *pages)
{
	for (size_t i = 0; i < pages->list.nr; i++)
		free(pages->list.data[i].path);
	vector_free(&pages->list);
}

/* The last one at or below an address and not too far from it; NULL = none. */
static const struct first_page *find_first_page(const struct first_pages *pages, uint64_t address)
{
	size_t nr = sorted_front(pages->list.nr, i, pages->list.data[i].start <= address);
	const struct first_page *page = nr ? &pages->list.data[nr - 1] : NULL;

	return page && address - page->start < FILE_SPAN_MAX ? page : NULL;
}

/* The file that begins last before an address. One that was not known costs as much as a comparison. */
static struct text_origin origin_by_first_page(struct modules *modules, pid_t pid, const struct first_pages *pages,
					       uint64_t address, uint32_t *budget)
{
	const struct first_page *page = find_first_page(pages, address);
	size_t nr_known = modules->list.nr;
	bool added;

	if (!page)
		return (struct text_origin){0};
	struct module_source source = {
		.pid = pid,
		.start = page->start,
		.end = page->end,
		.path = page->path,
		.major = page->major,
		.minor = page->minor,
		.inode = page->inode,
	};
	uint32_t id = modules_find(modules, &source, &added);

	*budget -= modules->list.nr != nr_known || id == NO_MODULE;
	return (struct text_origin){
		.base = page->start,
		.module = id,
		.is_known = id != NO_MODULE && modules->list.data[id].is_elf,
	};
}

void replaced_text_add(struct modules *modules, pid_t pid, struct mapping fresh, struct mappings *mappings,
		       uint32_t *budget)
{
	struct mapping part;
	bool is_replaced = false;

	if (!is_file_code(modules, &fresh) && *budget) {
		fresh.origin = origin_of_range(modules, mappings, fresh.start, fresh.end);
		*budget -= fresh.origin.is_known;
		is_replaced = find_part(modules, pid, &fresh, &part);
	}
	mappings_add(mappings, fresh);
	if (is_replaced)
		mappings_add(mappings, part);
}

void replaced_text_search(struct modules *modules, pid_t pid, const struct first_pages *pages,
			  struct mappings *mappings, uint32_t *budget)
{
	for (size_t i = 0; i < mappings->list.nr && *budget; i++) {
		struct mapping mapping = mappings->list.data[i], part;

		if (is_file_code(modules, &mapping))
			continue;
		mapping.origin = origin_of_range(modules, mappings, mapping.start, mapping.end);
		if (!mapping.origin.is_known)
			mapping.origin = origin_by_first_page(modules, pid, pages, mapping.start, budget);
		if (!*budget || !overlap(modules, &mapping.origin, mapping.start, mapping.end, &part))
			continue;
		--*budget;
		if (find_part(modules, pid, &mapping, &part))
			mappings_add(mappings, part);
	}
}
