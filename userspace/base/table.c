/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "memory.h"

/*
 * Keys come from files and processes that may belong to anybody: with a hash that is the same everywhere, a file could
 * be made whose keys all fall on one place, and each look-up would go through all of them.
 */
static uint64_t secret;

static void __attribute__((constructor)) choose_secret(void)
{
	if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret))
		secret = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15ull + (uint64_t)(uintptr_t)&secret;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(const void *data, size_t size_bytes, uint64_t seed)
{
	const uint8_t *bytes = data;
	uint64_t hash = seed ^ secret ^ size_bytes;
	uint64_t word;

	for (; size_bytes >= 8; size_bytes -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		hash = fold(hash ^ word, 0xd6e8feb86659fd93ull);
	}
	if (size_bytes) {
		word = 0;
		memcpy(&word, bytes, size_bytes);
		hash = fold(hash ^ word, 0xa0761d6478bd642full);
	}
	return fold(hash, 0xe7037ed1a0b428dbull);
}

void table_init(struct table *table, size_t key_size)
{
	memset(table, 0, sizeof(*table));
	table->key_size = key_size;
}

void table_deinit(struct table *table)
{
	free(table->keys);
	free(table->slots);
	table_init(table, table->key_size);
}

/* The slot that holds key, or the empty one where it would go. Needs capacity > 0. */
static size_t table_slot(const struct table *table, const void *key)
{
	size_t slot = hash_bytes(key, table->key_size, 0) & (table->capacity - 1);

	while (table->slots[slot] && memcmp(table->keys + slot * table->key_size, key, table->key_size) != 0)
		slot = (slot + 1) & (table->capacity - 1);
	return slot;
}

static void table_grow(struct table *table)
{
	struct table grown = {
		.key_size = table->key_size,
		.nr = table->nr,
		.capacity = table->capacity ? table->capacity * 2 : 16,
	};

	grown.keys = memory_zalloc(grown.capacity, grown.key_size);
	grown.slots = memory_new_array(uint32_t, grown.capacity);
	for (size_t i = 0; i < table->capacity; i++) {
		if (!table->slots[i])
			continue;
		const uint8_t *key = table->keys + i * table->key_size;
		size_t slot = table_slot(&grown, key);

		memcpy(grown.keys + slot * grown.key_size, key, grown.key_size);
		grown.slots[slot] = table->slots[i];
	}
	free(table->keys);
	free(table->slots);
	*table = grown;
}

bool table_get(const struct table *table, const void *key, uint32_t *ret)
{
	if (!table->capacity)
		return false;
	size_t slot = table_slot(table, key);

	if (!table->slots[slot])
		return false;
	*ret = table->slots[slot] - 1;
	return true;
}

uint32_t table_intern(struct table *table, const void *key, uint32_t fresh, bool *added)
{
	if ((table->nr + 1) * 4 > table->capacity * 3)
		table_grow(table);
	size_t slot = table_slot(table, key);

	*added = !table->slots[slot];
	if (*added) {
		memcpy(table->keys + slot * table->key_size, key, table->key_size);
		table->slots[slot] = fresh + 1;
		table->nr++;
	}
	return table->slots[slot] - 1;
}

void table_put(struct table *table, const void *key, uint32_t index)
{
	bool added;

	table_intern(table, key, index, &added);
	table->slots[table_slot(table, key)] = index + 1;
}
