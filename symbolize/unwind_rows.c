/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_rows.c - sorts, merges and packs rows.
 *
 * Functions come in the order of the section, mostly but not always that of their addresses, and may overlap: a
 * linker keeps descriptions of code that it folded, hand-written assembly nests a stretch within a function. The
 * merge is a sweep over the sorted functions with a stack of those that are open: whatever is on top holds; when it
 * ends, the one below resumes with the row that it has reached meanwhile. Each row is looked at once, so a file of
 * nested functions costs no more than any other.
 *
 * An index entry per KiB of text is little beside the rows, unless a file describes next to nothing of text that is as
 * large as it likes: a sparse file of 4 GiB takes no room on its disk. Its granules are coarser.
 */
#include "unwind_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum {
	RADIX_BITS = 8,
	RADIX_SIZE = 1 << RADIX_BITS,
	INDEX_BYTES_ALLOWED = 512 << 10, /* of 64 MiB of text, or 4 GiB in the coarsest granules, whatever the rows */
};

/* A function to sort: its start above its place in the list. */
static uint64_t sort_key(const struct row_range *range, size_t place)
{
	return (uint64_t)range->start << 32 | place;
}

static bool is_sorted(const uint64_t *keys, size_t nr)
{
	for (size_t i = 1; i < nr; i++)
		if (keys[i - 1] >> 32 > keys[i] >> 32)
			return false;
	return true;
}

/* A stable sort by the upper 32 bits; comparing tens of thousands of functions would cost more than decoding them. */
static void sort_keys(uint64_t *keys, size_t nr)
{
	if (is_sorted(keys, nr))
		return;
	_cleanup_free_ uint64_t *spare = memory_new_array(uint64_t, nr);
	uint64_t *from = keys;
	uint64_t *to = spare;

	/* An even number of passes: the result ends up in keys. */
	for (unsigned int shift = 32; shift < 64; shift += RADIX_BITS) {
		size_t places[RADIX_SIZE + 1] = {0};

		for (size_t i = 0; i < nr; i++)
			places[(from[i] >> shift) % RADIX_SIZE + 1]++;
		for (size_t i = 1; i <= RADIX_SIZE; i++)
			places[i] += places[i - 1];
		for (size_t i = 0; i < nr; i++)
			to[places[(from[i] >> shift) % RADIX_SIZE]++] = from[i];
		uint64_t *other = from;

		from = to;
		to = other;
	}
}

/* Appends a row unless it says what holds already. Rows come by ascending start. */
static void append_row(struct rule_rows *rows, uint32_t start, uint32_t rule)
{
	if (rows->list.nr && rows->list.data[rows->list.nr - 1].start == start)
		rows->list.nr--;
	uint32_t current = rows->list.nr ? rows->list.data[rows->list.nr - 1].rule : RULE_NONE;

	if (rule == current)
		return;
	vector_reserve(&rows->list, 1);
	rows->list.data[rows->list.nr++] = (struct rule_row){.start = start, .rule = rule};
}

/* A function that has begun and not ended. */
struct open_range {
	uint32_t end;
	uint32_t row;      /* the one that was reached */
	uint32_t last_row; /* one behind the function's */
};

struct sweep {
	const struct rule_rows *rows;
	struct rule_rows *ret;
	VECTOR(struct open_range) stack;
	uint32_t at; /* everything below is done */
};

/* Appends what the function on top says about [sweep->at, to). */
static void sweep_range(struct sweep *sweep, struct open_range *top, uint32_t to)
{
	const struct rule_row *rows = sweep->rows->list.data;

	while (top->row + 1 < top->last_row && rows[top->row + 1].start <= sweep->at)
		top->row++;
	append_row(sweep->ret, sweep->at, rows[top->row].rule);
	while (top->row + 1 < top->last_row && rows[top->row + 1].start < to) {
		top->row++;
		append_row(sweep->ret, rows[top->row].start, rows[top->row].rule);
	}
	sweep->at = to;
}

static void sweep_to(struct sweep *sweep, uint32_t to)
{
	while (sweep->at < to) {
		if (!sweep->stack.nr) {
			append_row(sweep->ret, sweep->at, RULE_NONE);
			sweep->at = to;
			return;
		}
		struct open_range *top = &sweep->stack.data[sweep->stack.nr - 1];

		if (top->end <= sweep->at)
			sweep->stack.nr--;
		else
			sweep_range(sweep, top, top->end < to ? top->end : to);
	}
}

void rule_rows_merge(const struct row_ranges *ranges, const struct rule_rows *rows, struct rule_rows *ret)
{
	size_t nr = ranges->list.nr;
	_cleanup_free_ uint64_t *keys = memory_new_array(uint64_t, nr);
	struct sweep sweep = {.rows = rows, .ret = ret};

	/* Backwards, so that of equal starts the first comes last and ends up on top. */
	for (size_t i = 0; i < nr; i++)
		keys[i] = sort_key(&ranges->list.data[nr - 1 - i], nr - 1 - i);
	sort_keys(keys, nr);
	vector_reserve(&ret->list, rows->list.nr);
	for (size_t i = 0; i < nr; i++) {
		const struct row_range *range = &ranges->list.data[(uint32_t)keys[i]];

		sweep_to(&sweep, range->start);
		*vector_push(&sweep.stack) = (struct open_range){
			.end = range->end,
			.row = range->first_row,
			.last_row = range->first_row + range->nr_rows,
		};
	}
	while (sweep.stack.nr) {
		uint32_t end = sweep.stack.data[sweep.stack.nr - 1].end;

		sweep_to(&sweep, end);
		sweep.stack.nr--;
	}
	append_row(ret, sweep.at, RULE_NONE);
	vector_free(&sweep.stack);
}

static int compare_patches(const void *left, const void *right)
{
	const struct rule_patch *a = left;
	const struct rule_patch *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

void rule_rows_patch(const struct rule_rows *rows, struct rule_patches *patches, struct rule_rows *ret)
{
	uint32_t current = RULE_NONE; /* what rows say at the place reached */
	uint32_t done = 0;            /* end of the last patch */
	size_t row = 0;

	if (patches->list.nr)
		qsort(patches->list.data, patches->list.nr, sizeof(patches->list.data[0]), compare_patches);
	vector_reserve(&ret->list, rows->list.nr + 2 * patches->list.nr);
	for (size_t i = 0; i < patches->list.nr; i++) {
		struct rule_patch *patch = &patches->list.data[i];

		if (patch->start < done)
			patch->start = done;
		if (patch->start >= patch->end)
			continue;
		for (; row < rows->list.nr && rows->list.data[row].start <= patch->start; row++) {
			current = rows->list.data[row].rule;
			append_row(ret, rows->list.data[row].start, current);
		}
		append_row(ret, patch->start, patch->rule);
		for (; row < rows->list.nr && rows->list.data[row].start <= patch->end; row++)
			current = rows->list.data[row].rule;
		append_row(ret, patch->end, current);
		done = patch->end;
	}
	for (; row < rows->list.nr; row++)
		append_row(ret, rows->list.data[row].start, rows->list.data[row].rule);
}

/* Granules of this size that lie between the first row and the last. */
static uint32_t count_granules(const struct rule_rows *rows, uint32_t shift)
{
	if (!rows->list.nr)
		return 0;
	return (rows->list.data[rows->list.nr - 1].start >> shift) - (rows->list.data[0].start >> shift) + 1;
}

static bool granules_hold_rows(const struct rule_rows *rows, uint32_t shift)
{
	const struct rule_row *row = rows->list.data;

	/* More than a granule can have begin in the same one as the row that many places before. */
	for (size_t i = GRANULE_ROWS_MAX; i < rows->list.nr; i++)
		if (row[i].start >> shift == row[i - GRANULE_ROWS_MAX].start >> shift)
			return false;
	return true;
}

/* How much coarser granules have to be for the index to take no more than the rows do, or little anyhow. */
static int choose_coarseness(const struct rule_rows *rows, uint32_t *ret)
{
	uint64_t enough = rows->list.nr * sizeof(struct unwind_row);
	uint32_t coarser = 0;

	if (enough < INDEX_BYTES_ALLOWED)
		enough = INDEX_BYTES_ALLOWED;
	while (count_granules(rows, GRANULE_SHIFT + coarser) * sizeof(struct unwind_granule) > enough) {
		if (coarser == GRANULE_COARSER_MAX || !granules_hold_rows(rows, GRANULE_SHIFT + coarser + 1))
			return -E2BIG;
		coarser++;
	}
	*ret = coarser;
	return 0;
}

int unwind_table_fill(struct unwind_table *table, const struct rule_rows *rows, uint64_t origin)
{
	size_t nr = rows->list.nr;
	uint32_t rule = RULE_NONE;
	size_t row = 0;
	int err = choose_coarseness(rows, &table->coarser);

	if (err)
		return err;
	uint32_t shift = GRANULE_SHIFT + table->coarser;
	uint32_t first = nr ? rows->list.data[0].start >> shift : 0;

	table->start = origin + ((uint64_t)first << shift);
	table->nr_granules = count_granules(rows, shift);
	table->granules = memory_new_array(struct unwind_granule, table->nr_granules);
	table->rows = memory_new_array(struct unwind_row, nr);
	for (uint32_t i = 0; i < table->nr_granules; i++) {
		struct unwind_granule *granule = &table->granules[i];

		/* A row at the granule's first byte needs no place of its own. */
		if (row < nr && rows->list.data[row].start == (first + i) << shift)
			rule = rows->list.data[row++].rule;
		*granule = (struct unwind_granule){.first_row = table->nr_rows, .rule = (uint16_t)rule};
		for (; row < nr && rows->list.data[row].start >> shift == first + i; row++) {
			rule = rows->list.data[row].rule;
			table->rows[table->nr_rows++] = (struct unwind_row){
				.offset = (uint16_t)(rows->list.data[row].start & ((1u << shift) - 1)),
				.rule = (uint16_t)rule,
			};
		}
		granule->nr_rows = (uint16_t)(table->nr_rows - granule->first_row);
	}
	return 0;
}
