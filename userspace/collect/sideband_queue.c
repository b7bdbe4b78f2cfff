/* SPDX-License-Identifier: Apache-2.0 */
#include "sideband_queue.h"

#define NO_TEXT SIZE_MAX

void sideband_queue_init(struct sideband_queue *queue, size_t limit_bytes)
{
	memset(queue, 0, sizeof(*queue));
	queue->limit_bytes = limit_bytes;
}

void sideband_queue_deinit(struct sideband_queue *queue)
{
	vector_free(&queue->records);
	vector_free(&queue->texts);
}

/* Where a record keeps its name; NULL for types without one. */
static const char **name_of(struct sideband_record *record)
{
	switch (record->type) {
	case SIDEBAND_MMAP:
		return &record->mmap.path;
	case SIDEBAND_COMM:
		return &record->comm.name;
	case SIDEBAND_CGROUP:
		return &record->cgroup.path;
	case SIDEBAND_FORK:
	case SIDEBAND_EXIT:
	case SIDEBAND_LOST:
	case SIDEBAND_THROTTLE:
		return NULL;
	}
	return NULL;
}

static size_t add_text(struct sideband_queue *queue, const char *text, size_t size_bytes)
{
	size_t place = queue->texts.nr;

	vector_reserve(&queue->texts, size_bytes);
	memcpy(queue->texts.data + place, text, size_bytes);
	queue->texts.nr += size_bytes;
	return place;
}

bool sideband_queue_push(struct sideband_queue *queue, const struct sideband_record *record)
{
	struct sideband_record copy = *record;
	const char **name = name_of(&copy);
	size_t text_bytes = name ? strlen(*name) + 1 : 0;
	size_t used = queue->records.nr * sizeof(queue->records.data[0]) + queue->texts.nr;
	size_t need = sizeof(queue->records.data[0]) + text_bytes;

	if (used > queue->limit_bytes || need > queue->limit_bytes - used)
		return false;
	*vector_push(&queue->records) = (struct queued_record){
		.record = copy,
		.sequence = queue->sequence++,
		.text = name ? add_text(queue, *name, text_bytes) : NO_TEXT,
	};
	return true;
}

static int compare_records(const void *left, const void *right)
{
	const struct queued_record *a = left, *b = right;

	if (a->record.time_ns != b->record.time_ns)
		return a->record.time_ns < b->record.time_ns ? -1 : 1;
	return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

/* Keeps the records from `first` on, and only their texts. */
static void keep_rest(struct sideband_queue *queue, size_t first)
{
	struct sideband_queue rest = {0};

	for (size_t i = first; i < queue->records.nr; i++) {
		struct queued_record *kept = vector_push(&rest.records);
		const char *text;

		*kept = queue->records.data[i];
		if (kept->text == NO_TEXT)
			continue;
		text = queue->texts.data + kept->text;
		kept->text = add_text(&rest, text, strlen(text) + 1);
	}
	rest.sequence = queue->sequence;
	rest.limit_bytes = queue->limit_bytes;
	sideband_queue_deinit(queue);
	*queue = rest;
}

size_t sideband_queue_flush(struct sideband_queue *queue, uint64_t until_ns, sideband_fn found, void *context)
{
	size_t i;

	if (queue->records.nr > 1)
		qsort(queue->records.data, queue->records.nr, sizeof(queue->records.data[0]), compare_records);
	for (i = 0; i < queue->records.nr; i++) {
		struct queued_record *queued = &queue->records.data[i];
		const char **name = name_of(&queued->record);

		if (queued->record.time_ns > until_ns)
			break;
		if (name)
			*name = queue->texts.data + queued->text;
		found(&queued->record, context);
	}
	if (i > 0)
		keep_rest(queue, i);
	return i;
}
