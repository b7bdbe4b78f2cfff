/* SPDX-License-Identifier: Apache-2.0 */
#include "rescan.h"

#include <string.h>

#include "message.h"
#include "time_now.h"

void rescans_init(struct rescans *rescans)
{
	memset(rescans, 0, sizeof(*rescans));
	table_init(&rescans->by_id, sizeof(struct process_id));
}

void rescans_deinit(struct rescans *rescans)
{
	for (size_t i = 0; i < rescans->list.nr; i++)
		mappings_deinit(&rescans->list.data[i].mappings);
	vector_free(&rescans->list);
	table_deinit(&rescans->by_id);
}

void rescans_read(struct rescans *rescans, struct mapped_files *files, const struct process_id *id, pid_t pid,
		  uint32_t image, uint32_t *budget)
{
	struct rescan rescan = {.image = image, .read_ns = time_now_ns(CLOCK_MONOTONIC)};

	if (mapped_files_read(files, pid, budget, &rescan.mappings)) {
		mappings_deinit(&rescan.mappings);
		return;
	}
	table_put(&rescans->by_id, id, (uint32_t)rescans->list.nr);
	*vector_push(&rescans->list) = rescan;
}

static void check_identity(const struct task_entry *task, void *context)
{
	struct rescans *rescans = context;
	uint32_t index;

	if (table_get(&rescans->by_id, &task->id, &index))
		rescans->list.data[index].is_same = true;
}

void rescans_check(struct rescans *rescans, struct programs *programs)
{
	if (!rescans->list.nr)
		return;
	int error = programs_each_task(programs, check_identity, rescans);

	/* Then none is believed, and their stacks say that there is no table. */
	if (error)
		message_warn("cannot list the running processes (%s)", strerror(-error));
}
