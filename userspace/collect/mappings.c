/* SPDX-License-Identifier: Apache-2.0 */
#include "mappings.h"

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

void mappings_add(struct mappings *mappings, struct mapping fresh)
{
	/* /proc lists them in order. */
	if (!mappings->list.nr || mappings->list.data[mappings->list.nr - 1].end <= fresh.start) {
		*vector_push(&mappings->list) = fresh;
		return;
	}
	struct mappings old = *mappings;

	memset(mappings, 0, sizeof(*mappings));
	vector_reserve(&mappings->list, old.list.nr + 2);
	/* Three runs that are sorted already: what lies left of it, itself, what lies right of it. */
	for (size_t i = 0; i < old.list.nr && old.list.data[i].start < fresh.start; i++) {
		struct mapping left = old.list.data[i];

		if (left.end > fresh.start)
			left.end = fresh.start;
		mappings->list.data[mappings->list.nr++] = left;
	}
	mappings->list.data[mappings->list.nr++] = fresh;
	for (size_t i = 0; i < old.list.nr; i++)
		if (old.list.data[i].end > fresh.end)
			mappings->list.data[mappings->list.nr++] = cut_before(old.list.data[i], fresh.end);
	vector_free(&old.list);
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
	size_t low = 0, high = mappings->list.nr;

	/* Invariant: everything before low ends at or before pc, everything from high on ends behind it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (mappings->list.data[middle].end <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == mappings->list.nr || mappings->list.data[low].start > pc)
		return NULL;
	return &mappings->list.data[low];
}
