/* SPDX-License-Identifier: Apache-2.0 */
#include "strings.h"

#include "table.h"

void strings_init(struct strings *strings)
{
	memset(strings, 0, sizeof(*strings));
	strings_intern(strings, "");
}

void strings_deinit(struct strings *strings)
{
	for (size_t i = 0; i < strings->texts.nr; i++)
		free((void *)strings->texts.data[i]);
	vector_free(&strings->texts);
	free(strings->slots);
	memset(strings, 0, sizeof(*strings));
}

static size_t strings_slot(const struct strings *strings, const char *text)
{
	size_t slot = hash_bytes(text, strlen(text), 0) & (strings->capacity - 1);

	while (strings->slots[slot] && strcmp(strings->texts.data[strings->slots[slot] - 1], text) != 0)
		slot = (slot + 1) & (strings->capacity - 1);
	return slot;
}

static void strings_grow(struct strings *strings)
{
	free(strings->slots);
	strings->capacity = strings->capacity ? strings->capacity * 2 : 64;
	strings->slots = memory_new_array(uint32_t, strings->capacity);
	for (size_t id = 0; id < strings->texts.nr; id++)
		strings->slots[strings_slot(strings, strings->texts.data[id])] = (uint32_t)id + 1;
}

uint32_t strings_intern(struct strings *strings, const char *text)
{
	if (!text)
		text = "";
	if ((strings->texts.nr + 1) * 4 > strings->capacity * 3)
		strings_grow(strings);
	size_t slot = strings_slot(strings, text);

	if (!strings->slots[slot]) {
		*vector_push(&strings->texts) = memory_strdup(text);
		strings->slots[slot] = (uint32_t)strings->texts.nr;
	}
	return strings->slots[slot] - 1;
}
