/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entries.h - how to change an input that is a sequence of entries with their lengths in front, so that it still is
 * one.
 *
 * Bytes changed at random rarely survive such a format: one that goes missing shifts all that follows, and the first
 * wrong length ends it. So half of the time one entry is picked, its body changed with a new length written, or it is
 * doubled, dropped or moved. The other half the input is changed as any other: lengths have to be wrong, too.
 */
#ifndef EBPROF_FUZZ_ENTRIES_H
#define EBPROF_FUZZ_ENTRIES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct entry_format {
	size_t preamble;    /* bytes before the first entry */
	size_t head;        /* bytes of an entry that every one has, its length among them */
	size_t length_at;   /* where in the head the length is */
	size_t length_size; /* of the length, little-endian */
	size_t uncounted;   /* bytes of the entry that the length doesn't count */
};

enum { ENTRIES_MAX = 64, ENTRY_ROOM = 512 };

struct entry_place {
	size_t start, size;
};

static inline size_t entries_find(const struct entry_format *format, const uint8_t *data, size_t size,
				  struct entry_place *places)
{
	size_t nr = 0;

	for (size_t at = format->preamble; nr < ENTRIES_MAX && at < size && size - at >= format->head;) {
		uint64_t length = 0;

		memcpy(&length, data + at + format->length_at, format->length_size);
		length += format->uncounted;
		if (length < format->head || length > size - at)
			break;
		places[nr++] = (struct entry_place){.start = at, .size = length};
		at += length;
	}
	return nr;
}

/* Puts bytes in the place of an entry; 0 = no room. */
static inline size_t entry_replace(uint8_t *data, size_t size, size_t max_size, struct entry_place place,
				   const uint8_t *bytes, size_t nr)
{
	if (size - place.size + nr > max_size)
		return 0;
	memmove(data + place.start + nr, data + place.start + place.size, size - place.start - place.size);
	memcpy(data + place.start, bytes, nr);
	return size - place.size + nr;
}

/* Changes the body of an entry and says its new length. */
static inline size_t entry_change(const struct entry_format *format, uint8_t *data, size_t size, size_t max_size,
				  struct entry_place place)
{
	uint8_t bytes[2 * ENTRY_ROOM];
	size_t nr = place.size < ENTRY_ROOM ? place.size : ENTRY_ROOM;

	memcpy(bytes, data + place.start, nr);
	nr = format->head + LLVMFuzzerMutate(bytes + format->head, nr - format->head, ENTRY_ROOM);
	uint64_t length = nr - format->uncounted;

	memcpy(bytes + format->length_at, &length, format->length_size);
	return entry_replace(data, size, max_size, place, bytes, nr);
}

/* Puts a copy of one entry before another. */
static inline size_t entry_copy(uint8_t *data, size_t size, size_t max_size, struct entry_place from, size_t to)
{
	uint8_t bytes[ENTRY_ROOM];

	if (from.size > sizeof(bytes))
		return 0;
	memcpy(bytes, data + from.start, from.size);
	return entry_replace(data, size, max_size, (struct entry_place){.start = to}, bytes, from.size);
}

static inline size_t entries_mutate(const struct entry_format *format, uint8_t *data, size_t size, size_t max_size,
				    unsigned int seed)
{
	struct entry_place places[ENTRIES_MAX];
	size_t nr = entries_find(format, data, size, places);
	size_t changed = 0;

	if (nr && seed % 2) {
		struct entry_place place = places[seed / 2 % nr];
		struct entry_place other = places[seed / 256 % nr];

		switch (seed / 128 % 8) {
		case 0:
			changed = entry_copy(data, size, max_size, place, other.start);
			break;
		case 1:
			changed = entry_replace(data, size, max_size, place, data, 0);
			break;
		default:
			changed = entry_change(format, data, size, max_size, place);
		}
	}
	return changed ? changed : LLVMFuzzerMutate(data, size, max_size);
}

#endif
