/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <stdlib.h>
#include <string.h>

void events_deinit(struct events *events)
{
	vector_free(&events->list);
}

void events_add(struct events *events, const void *record, size_t size_bytes, uint32_t type)
{
	struct event *event = vector_push(&events->list);

	event->type = type;
	switch (type) {
	case RECORD_PROCESS:
		memcpy(&event->process, record,
		       size_bytes < sizeof(event->process) ? size_bytes : sizeof(event->process));
		event->time_ns = event->process.time_ns;
		break;
	case RECORD_EXIT:
		memcpy(&event->exit, record, size_bytes < sizeof(event->exit) ? size_bytes : sizeof(event->exit));
		event->time_ns = event->exit.time_ns;
		break;
	default:
		memcpy(&event->no_mapping, record,
		       size_bytes < sizeof(event->no_mapping) ? size_bytes : sizeof(event->no_mapping));
		event->time_ns = event->no_mapping.time_ns;
	}
}

static int compare(const void *a, const void *b)
{
	const struct event *left = a, *right = b;

	return left->time_ns < right->time_ns ? -1 : left->time_ns > right->time_ns;
}

void events_sort(struct events *events)
{
	if (events->list.nr)
		qsort(events->list.data, events->list.nr, sizeof(struct event), compare);
	events->next = 0;
}

const struct event *events_take(struct events *events, uint64_t until_ns)
{
	if (events->next >= events->list.nr || events->list.data[events->next].time_ns > until_ns)
		return NULL;
	return &events->list.data[events->next++];
}

size_t events_keep_rest(struct events *events)
{
	size_t left = events->list.nr - events->next;

	if (left)
		memmove(events->list.data, events->list.data + events->next, left * sizeof(struct event));
	events->list.nr = left;
	events->next = 0;
	return left;
}
