/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_gaps.c - what is left of the executable segments once every known function and all data are taken away.
 *
 * Nearly all gaps are the padding that aligns the next function. Short ones are not even looked at, longer ones that
 * hold nothing but padding are dropped once read. What remains is kept in memory as a whole, up to a ceiling, because
 * it will be looked at several times.
 */
#include "code_gaps.h"

#include <elf.h>
#include <stdlib.h>

#include "instruction.h"
#include "memory.h"
#include "object_private.h"

void code_gaps_deinit(struct code_gaps *gaps)
{
	vector_free(&gaps->list);
	vector_free(&gaps->covered);
	vector_free(&gaps->roots.list);
	free(gaps->code);
	free(gaps->marks);
	free(gaps->plain);
	*gaps = (struct code_gaps){0};
}

static int compare_keys(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static void sort_covered(struct code_gaps *gaps, const struct row_ranges *ranges)
{
	bool sorted = true;

	vector_reserve(&gaps->covered, ranges->list.nr);
	for (size_t i = 0; i < ranges->list.nr; i++) {
		const struct row_range *range = &ranges->list.data[i];

		gaps->covered.data[i] = (uint64_t)range->start << 32 | range->end;
		sorted = sorted && (!i || gaps->covered.data[i - 1] <= gaps->covered.data[i]);
	}
	gaps->covered.nr = ranges->list.nr;
	if (!sorted)
		qsort(gaps->covered.data, gaps->covered.nr, sizeof(gaps->covered.data[0]), compare_keys);
}

/* What is no gap: functions, and sections of data, which old linkers put into the same segment as the code. */
struct taken_stretches {
	VECTOR(uint64_t) list; /* like code_gaps.covered */
};

static bool is_in_segment(const struct object_info *info, const struct object_section *section)
{
	for (uint32_t i = 0; i < info->nr_segments; i++)
		if (section->file_addr - info->segments[i].file_addr < info->segments[i].file_size)
			return true;
	return false;
}

static void find_taken(const struct object *object, uint64_t origin_addr, const struct code_gaps *gaps,
		       struct taken_stretches *ret)
{
	const struct object_section *section = NULL;

	vector_reserve(&ret->list, gaps->covered.nr);
	for (size_t i = 0; i < gaps->covered.nr; i++)
		ret->list.data[ret->list.nr++] = gaps->covered.data[i];
	while ((section = object_next_section(object, section)) != NULL) {
		uint64_t start = section->file_addr - origin_addr;
		bool is_data = section->flags & SHF_ALLOC && !(section->flags & SHF_EXECINSTR) &&
			       section->type != SHT_NOBITS && is_in_segment(object_info(object), section);
		uint64_t end = start + section->size;

		if (is_data && start < end && end <= UINT32_MAX)
			*vector_push(&ret->list) = start << 32 | end;
	}
	if (ret->list.nr > gaps->covered.nr)
		qsort(ret->list.data, ret->list.nr, sizeof(ret->list.data[0]), compare_keys);
}

/* In pieces. */
static void add_gap(struct code_gaps *gaps, uint64_t start, uint64_t end)
{
	uint64_t size = end - start;

	if (size < GAP_BYTES_MIN)
		return;
	for (uint64_t at = 0; at < size; at += GAP_PIECE_BYTES) {
		uint64_t piece = size - at < GAP_PIECE_BYTES ? size - at : GAP_PIECE_BYTES;

		*vector_push(&gaps->list) = (struct code_gap){
			.start = (uint32_t)(start + at),
			.size = (uint32_t)piece,
			.is_continued = at > 0,
		};
		gaps->size += piece;
	}
}

static void add_gaps(struct code_gaps *gaps, const struct object_info *info, uint64_t origin_addr,
		     const struct taken_stretches *taken)
{
	uint64_t done = 0; /* everything below has been dealt with */
	size_t next = 0;

	for (uint32_t i = 0; i < info->nr_segments; i++) {
		uint64_t start = info->segments[i].file_addr - origin_addr;
		uint64_t end = start + info->segments[i].file_size;

		if (done < start)
			done = start;
		for (; next < taken->list.nr && taken->list.data[next] >> 32 < end; next++) {
			uint64_t taken_start = taken->list.data[next] >> 32;
			uint64_t taken_end = (uint32_t)taken->list.data[next];

			if (taken_start > done)
				add_gap(gaps, done, taken_start);
			if (taken_end > done)
				done = taken_end;
		}
		if (done < end) {
			add_gap(gaps, done, end);
			done = end;
		}
	}
}

static bool is_padding(const uint8_t *code, size_t size)
{
	struct instruction instruction;

	for (size_t at = 0; at < size;)
		if (code[at] == 0 || code[at] == 0x90 || code[at] == 0xcc) /* most are of one byte each */
			at++;
		else if (!instruction_decode(code + at, size - at, at, &instruction))
			return false;
		else if (instruction.kind == INSTRUCTION_FILLER)
			at += instruction.length;
		else if (instruction.kind == INSTRUCTION_JUMP && instruction.target > at && instruction.target <= size)
			at = instruction.target; /* assemblers jump over much of it */
		else
			return false;
	return true;
}

/* Reads the gaps into code, but for padding, which takes no room of the others. */
static int read_gaps(const struct object *object, uint64_t origin_addr, struct code_gaps *gaps)
{
	size_t kept = 0;
	size_t size = 0;

	for (size_t i = 0; i < gaps->list.nr; i++) {
		struct code_gap gap = gaps->list.data[i];
		size_t room = GAP_BYTES_MAX - size;

		if (gap.size > room) {
			gaps->bytes_skipped += gap.size - room;
			gap.size = (uint32_t)room;
		}
		if (!gap.size)
			continue;
		int err = object_read_addr(object, origin_addr + gap.start, gaps->code + size, gap.size);

		if (err)
			return err;
		if (is_padding(gaps->code + size, gap.size))
			continue;
		gap.place = size;
		size += gap.size;
		gaps->list.data[kept++] = gap;
	}
	gaps->list.nr = kept;
	gaps->size = size;
	return 0;
}

int code_gaps_find(const struct object *object, uint64_t origin_addr, const struct row_ranges *ranges,
		   struct code_gaps *ret)
{
	struct taken_stretches taken = {0};

	*ret = (struct code_gaps){0};
	sort_covered(ret, ranges);
	find_taken(object, origin_addr, ret, &taken);
	add_gaps(ret, object_info(object), origin_addr, &taken);
	vector_free(&taken.list);
	ret->code = memory_zalloc(ret->size < GAP_BYTES_MAX ? ret->size : GAP_BYTES_MAX, 1);
	int err = read_gaps(object, origin_addr, ret);

	if (err) {
		code_gaps_deinit(ret);
		return err;
	}
	ret->marks = memory_zalloc(ret->size, 1);
	ret->plain = memory_zalloc(ret->size, 1);
	return 0;
}

uint32_t code_gaps_largest(const struct code_gaps *gaps)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < gaps->list.nr; i++)
		if (gaps->list.data[i].size > largest)
			largest = gaps->list.data[i].size;
	return largest;
}

void code_gaps_mark(struct code_gaps *gaps, uint64_t address, enum code_mark mark)
{
	size_t low = 0;
	size_t high = gaps->list.nr;

	/* The number of gaps that begin at or below the address. */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (gaps->list.data[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return;
	const struct code_gap *gap = &gaps->list.data[low - 1];

	if (address - gap->start < gap->size)
		gaps->marks[gap->place + (address - gap->start)] |= mark;
}
