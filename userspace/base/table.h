/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - a hash table from fixed-size keys to 32-bit indexes.
 *
 * The owner keeps its elements in a vector and the table finds the index of a key, so elements never move in
 * memory for the table's sake and the table never owns anything. Keys are compared as bytes: padding in a key
 * struct has to be zero. Open addressing, linear probing, at most 3/4 full; no removal, because nothing that is
 * interned within a run is ever taken back (a key can be pointed at another index with table_put).
 */
#ifndef EBPROF_BASE_TABLE_H
#define EBPROF_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	size_t key_size; /* bytes; set by table_init */
	size_t nr;       /* keys held */
	size_t capacity; /* slots, 0 or a power of two */
	uint8_t *keys;   /* capacity * key_size */
	uint32_t *slots; /* index + 1, 0 = empty */
};

void table_init(struct table *table, size_t key_size);
void table_deinit(struct table *table);

/* True and *ret when key is held; *ret is untouched otherwise. */
bool table_get(const struct table *table, const void *key, uint32_t *ret);

/* Sets the index of key, replacing an earlier one. index < UINT32_MAX. */
void table_put(struct table *table, const void *key, uint32_t index);

/* The index of key; when absent, holds it under index `fresh` and sets *added. */
uint32_t table_intern(struct table *table, const void *key, uint32_t fresh, bool *added);

/* A 64-bit hash of bytes (wyhash-like multiply and fold); equal within a run, not stable between versions. */
uint64_t hash_bytes(const void *data, size_t size_bytes, uint64_t seed);

#endif
