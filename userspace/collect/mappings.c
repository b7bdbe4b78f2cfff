/* SPDX-License-Identifier: Apache-2.0 */
#include "mappings.h"

#include "sorted.h"

void mappings_deinit(struct mappings *mappings)
{
	vector_free(&mappings->list);
}

/* The part of a mapping from `start` on. */
static struct mapping cut_before(struct mapping mapping, uint64_t start)
{
	if (mapping.start < start) {
		mapping.file_offset += start - mapping.start;
		mapping.module_offset += start - mapping.start;
		mapping.start = start;
	}
	return mapping;
}

bool mappings_equal(const struct mappings *left, const struct mappings *right)
{
	return left->list.nr == right->list.nr &&
	       (!left->list.nr ||
		memcmp(left->list.data, right->list.data, left->list.nr * sizeof(*left->list.data)) == 0);
}

size_t mappings_behind(const struct mappings *mappings, uint64_t address)
{
	return sorted_front(mappings->list.nr, i, mappings->list.data[i].end <= address);
}

void mappings_add(struct mappings *mappings, struct mapping fresh)
{
	size_t first = mappings_behind(mappings, fresh.start);
	size_t last = first;
	struct mapping pieces[3]; /* what is left on its left, itself, what is left on its right */
	size_t nr = 0;

	while (last < mappings->list.nr && mappings->list.data[last].start < fresh.end)
		last++;
	if (first < last && mappings->list.data[first].start < fresh.start) {
		pieces[nr] = mappings->list.data[first];
		pieces[nr++].end = fresh.start;
	}
	pieces[nr++] = fresh;
	if (first < last && mappings->list.data[last - 1].end > fresh.end)
		pieces[nr++] = cut_before(mappings->list.data[last - 1], fresh.end);
	vector_reserve(&mappings->list, nr);
	memmove(&mappings->list.data[first + nr], &mappings->list.data[last],
		(mappings->list.nr - last) * sizeof(fresh));
	memcpy(&mappings->list.data[first], pieces, nr * sizeof(fresh));
	mappings->list.nr += nr - (last - first);
}

void mappings_copy(struct mappings *to, const struct mappings *from)
{
	to->list.nr = 0;
	vector_reserve(&to->list, from->list.nr);
	if (from->list.nr)
		memcpy(to->list.data, from->list.data, from->list.nr * sizeof(*from->list.data));
	to->list.nr = from->list.nr;
}

const struct mapping *mappings_find(const struct mappings *mappings, uint64_t pc)
{
	size_t place = mappings_behind(mappings, pc);

	if (place == mappings->list.nr || mappings->list.data[place].start > pc)
		return NULL;
	return &mappings->list.data[place];
}
