/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping_runs.h"

enum { REST_DRAINS = 2 };

void mapping_runs_init(struct mapping_runs *runs, struct mapping_slot *slots, uint32_t nr_slots)
{
	memset(runs, 0, sizeof(*runs));
	runs->slots = slots;
	runs->nr_slots = nr_slots;
	table_init(&runs->by_first, sizeof(uint32_t));
	*vector_push(&runs->free) = (struct mapping_run){.first = 0, .count = nr_slots};
}

void mapping_runs_deinit(struct mapping_runs *runs)
{
	vector_free(&runs->list);
	vector_free(&runs->free);
	table_deinit(&runs->by_first);
}

/* An unused index of the list. */
static uint32_t list_place(struct mapping_runs *runs)
{
	for (size_t i = 0; i < runs->list.nr; i++)
		if (!runs->list.data[i].count)
			return (uint32_t)i;
	vector_push(&runs->list);
	return (uint32_t)runs->list.nr - 1;
}

uint32_t mapping_runs_take(struct mapping_runs *runs, uint32_t count)
{
	for (size_t i = 0; i < runs->free.nr; i++) {
		struct mapping_run *hole = &runs->free.data[i];

		if (hole->count < count)
			continue;
		uint32_t place = list_place(runs);

		runs->list.data[place] = (struct mapping_run){.first = hole->first, .count = count, .users = 1};
		table_put(&runs->by_first, &hole->first, place);
		hole->first += count;
		hole->count -= count;
		if (!hole->count) {
			memmove(hole, hole + 1, (runs->free.nr - i - 1) * sizeof(*hole));
			runs->free.nr--;
		}
		return place;
	}
	return NO_RUN;
}

uint32_t mapping_runs_share(struct mapping_runs *runs, uint32_t first)
{
	uint32_t place;

	if (!table_get(&runs->by_first, &first, &place) || runs->list.data[place].first != first ||
	    !runs->list.data[place].count)
		return NO_RUN;
	runs->list.data[place].users++;
	runs->list.data[place].rested = 0;
	return place;
}

void mapping_runs_leave(struct mapping_runs *runs, uint32_t run)
{
	if (run != NO_RUN)
		runs->list.data[run].users--;
}

/* Gives slots back, joining neighbours. */
static void give_back(struct mapping_runs *runs, struct mapping_run run)
{
	size_t at = 0;

	while (at < runs->free.nr && runs->free.data[at].first < run.first)
		at++;
	vector_push(&runs->free);
	memmove(&runs->free.data[at + 1], &runs->free.data[at], (runs->free.nr - 1 - at) * sizeof(run));
	runs->free.data[at] = (struct mapping_run){.first = run.first, .count = run.count};
	for (size_t i = at ? at - 1 : 0; i + 1 < runs->free.nr && i <= at;) {
		struct mapping_run *left = &runs->free.data[i];

		if (left->first + left->count != left[1].first) {
			i++;
			continue;
		}
		left->count += left[1].count;
		memmove(left + 1, left + 2, (runs->free.nr - i - 2) * sizeof(*left));
		runs->free.nr--;
	}
}

void mapping_runs_rest(struct mapping_runs *runs)
{
	for (size_t i = 0; i < runs->list.nr; i++) {
		struct mapping_run *run = &runs->list.data[i];

		if (!run->count || run->users || ++run->rested < REST_DRAINS)
			continue;
		give_back(runs, *run);
		memset(run, 0, sizeof(*run));
	}
}
