/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_home.h - the host's home of the stack walker, for tests: its functions over arrays and a made-up memory.
 *
 * A program's code is described by a rule per byte of text. From that the home makes the index and the rows, packed as
 * densely as the format allows, and the same bytes serve as the reference of what a search has to find. Memory is a
 * few regions of whole pages; every read is counted and can be refused, and fails as a whole if a part of it is not
 * there.
 *
 * One home per test program, emptied by home_init(). Includes cmocka.
 */
#ifndef EBPROF_TESTS_WALK_HOME_H
#define EBPROF_TESTS_WALK_HOME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "facts.h"
#include "memory.h"
#include "vector.h"
#include "walk.h"

enum {
	HOME_SEGMENTS_MAX = 64,
	HOME_NEVER = -1,
};
#define HOME_ADDRESS_END 0x7ffffffff000ull /* as on x86-64: no user memory from here on */

struct home_region {
	uint64_t start, size; /* whole pages */
	uint8_t *bytes;
};

struct home {
	VECTOR(struct mapping_slot) mappings;
	VECTOR(struct module_table) modules;
	VECTOR(struct unwind_rule) rules;
	uint8_t *segments[HOME_SEGMENTS_MAX];
	uint64_t used; /* bytes of the pool */
	VECTOR(struct home_region) regions;
	uint64_t refused_page; /* its address; HOME_ADDRESS_END = none */
	int64_t refused_read;  /* number of the read, from 0; HOME_NEVER = none */
	int64_t nr_reads;
	uint64_t nr_searches; /* for rules */
	uint32_t largest_read;
	const uint8_t *code; /* what the 8 bytes before each possible return address are; a call rel32 unless set */
	uint64_t probed_pc, probed_rsp,
		real_pc; /* what is in a probe's page, of the frame with this rsp; 0 = nothing */
	uint64_t thread_base;
};

static struct home home;

/* ---- what the walker asks for ---- */

WALK_INLINE const struct mapping_slot *walk_get_mapping(__u32 index)
{
	return index < home.mappings.nr ? &home.mappings.data[index] : NULL;
}

WALK_INLINE const struct module_table *walk_get_module(__u32 module)
{
	return module < home.modules.nr ? &home.modules.data[module] : NULL;
}

WALK_INLINE const void *walk_get_segment(__u32 segment)
{
	home.nr_searches++;
	return segment < HOME_SEGMENTS_MAX ? home.segments[segment] : NULL;
}

WALK_INLINE const struct unwind_rule *walk_get_rule(__u32 rule)
{
	return rule < home.rules.nr ? &home.rules.data[rule] : NULL;
}

/* Whether these are the 8 bytes before a place in code, which is not kept byte by byte. */
static bool is_code_before(__u64 address, __u32 size_bytes)
{
	for (size_t i = 0; size_bytes == 8 && i < home.mappings.nr; i++)
		if (address + 7 >= home.mappings.data[i].start && address + 7 < home.mappings.data[i].end)
			return true;
	return false;
}

WALK_INLINE int walk_read_user(void *buffer, __u32 size_bytes, __u64 address)
{
	static const uint8_t call[8] = {0x90, 0x90, 0x90, 0xe8, 0x01, 0x02, 0x03, 0x04};

	if (is_code_before(address, size_bytes)) {
		memcpy(buffer, home.code ? home.code : call, sizeof(call));
		return 0;
	}
	int64_t number = home.nr_reads++;

	assert_in_range(size_bytes, 1, WALK_WINDOW);
	if (size_bytes > home.largest_read)
		home.largest_read = size_bytes;
	if (address >= HOME_ADDRESS_END || number == home.refused_read)
		return -14;
	if (home.refused_page - (address & ~(uint64_t)(WALK_PAGE - 1)) < size_bytes + address % WALK_PAGE)
		return -14;
	for (size_t i = 0; i < home.regions.nr; i++) {
		const struct home_region *region = &home.regions.data[i];

		if (address - region->start < region->size && size_bytes <= region->size - (address - region->start)) {
			memcpy(buffer, region->bytes + (address - region->start), size_bytes);
			return 0;
		}
	}
	return -14;
}

WALK_INLINE __u64 walk_probed_pc(__u64 pc, __u64 *rsp)
{
	return pc == home.probed_pc && *rsp == home.probed_rsp ? home.real_pc : 0;
}

WALK_INLINE __u64 walk_thread_base(void)
{
	return home.thread_base;
}

/* ---- rules ---- */

static inline uint16_t home_add_rule(struct unwind_rule rule)
{
	*vector_push(&home.rules) = rule;
	return (uint16_t)(home.rules.nr - 1);
}

/* CFA = reg + offset, the return address below it. */
static inline struct unwind_rule rule_of_register(uint8_t reg, int32_t offset)
{
	return (struct unwind_rule){
		.cfa = CFA_REGISTER, .cfa_reg = reg, .cfa_offset = offset, .ra = VALUE_AT_CFA, .ra_offset = -8};
}

/* The same, and the caller's rbp below the return address. */
static inline struct unwind_rule rule_saving_rbp(uint8_t reg, int32_t offset)
{
	struct unwind_rule rule = rule_of_register(reg, offset);

	rule.rbp = VALUE_AT_CFA;
	rule.rbp_offset = -16;
	return rule;
}

/* ---- set-up ---- */

static inline void home_deinit(void)
{
	for (size_t i = 0; i < HOME_SEGMENTS_MAX; i++)
		free(home.segments[i]);
	for (size_t i = 0; i < home.regions.nr; i++)
		free(home.regions.data[i].bytes);
	vector_free(&home.mappings);
	vector_free(&home.modules);
	vector_free(&home.rules);
	vector_free(&home.regions);
	memset(&home, 0, sizeof(home));
}

/* Empties the home; the rules with fixed numbers are there. */
static inline void home_init(void)
{
	static const uint8_t fixed[RULE_FIRST_FREE] = {
		[RULE_NONE] = CFA_NONE,
		[RULE_ROOT] = CFA_ROOT,
		[RULE_SIGNAL] = CFA_SIGNAL,
		[RULE_UNSUPPORTED] = CFA_UNSUPPORTED,
	};

	home_deinit();
	home.refused_page = HOME_ADDRESS_END;
	home.refused_read = HOME_NEVER;
	for (size_t i = 0; i < RULE_FIRST_FREE; i++)
		home_add_rule((struct unwind_rule){.cfa = fixed[i]});
}

static inline uint8_t *home_pool_at(uint64_t place)
{
	uint64_t segment = place >> POOL_SEGMENT_SHIFT;

	assert_true(segment < HOME_SEGMENTS_MAX);
	if (!home.segments[segment])
		home.segments[segment] = memory_zalloc(1, POOL_SEGMENT_SIZE);
	return home.segments[segment] + (place & (POOL_SEGMENT_SIZE - 1));
}

/* Rows of one granule, whole within a segment; their place in units of a row. */
static inline uint32_t home_place_rows(const struct unwind_row *rows, uint32_t nr)
{
	uint64_t bytes = nr * sizeof(*rows);
	uint64_t left = POOL_SEGMENT_SIZE - (home.used & (POOL_SEGMENT_SIZE - 1));

	if (bytes > left)
		home.used += left;
	uint64_t place = home.used;

	memcpy(home_pool_at(place), rows, bytes);
	home.used += bytes;
	return (uint32_t)(place / sizeof(*rows));
}

/* Puts a table into the pool as the loader does; rules[] translates its rule numbers, NULL = they stay. */
static inline struct module_table home_place_table(const struct unwind_table *table, const uint16_t *rules)
{
	home.used = (home.used + 7) & ~7ull;
	uint64_t index = home.used;

	home.used += table->nr_granules * sizeof(struct unwind_granule);
	for (uint32_t i = 0; i < table->nr_granules; i++) {
		struct unwind_granule granule = table->granules[i];
		struct unwind_row rows[GRANULE_ROWS_MAX];

		assert_true(granule.nr_rows <= GRANULE_ROWS_MAX);
		for (uint32_t j = 0; j < granule.nr_rows; j++) {
			rows[j] = table->rows[granule.first_row + j];
			rows[j].rule = rules ? rules[rows[j].rule] : rows[j].rule;
		}
		granule.first_row = home_place_rows(rows, granule.nr_rows);
		granule.rule = rules ? rules[granule.rule] : granule.rule;
		memcpy(home_pool_at(index + i * sizeof(granule)), &granule, sizeof(granule));
	}
	return (struct module_table){
		.start = table->start,
		.nr_granules = table->nr_granules,
		.index = (uint32_t)(index / sizeof(struct unwind_granule)),
		.state = MODULE_READY,
		.coarser = table->coarser,
	};
}

/*
 * A module whose bytes from module offset `start` (a multiple of the granule) on have the rules map[0..size); its
 * number. row_at_start: a granule's first rule is also its first row, and its index entry says something wrong.
 */
static inline uint32_t home_add_module(uint64_t start, const uint16_t *map, uint32_t size, bool row_at_start)
{
	uint32_t nr_granules = (size + GRANULE_SIZE - 1) / GRANULE_SIZE;
	struct unwind_table table = {
		.start = start,
		.nr_granules = nr_granules,
		.granules = memory_new_array(struct unwind_granule, nr_granules),
		.rows = memory_new_array(struct unwind_row, size + 1),
	};

	for (uint32_t at = 0; at < size; at++) {
		struct unwind_granule *granule = &table.granules[at / GRANULE_SIZE];
		uint16_t offset = at % GRANULE_SIZE;

		if (!offset) {
			granule->first_row = table.nr_rows;
			granule->rule = row_at_start ? RULE_UNSUPPORTED : map[at];
		}
		if (offset ? map[at] != map[at - 1] : row_at_start) {
			table.rows[table.nr_rows++] = (struct unwind_row){.offset = offset, .rule = map[at]};
			granule->nr_rows++;
		}
	}
	*vector_push(&home.modules) = home_place_table(&table, NULL);
	free(table.granules);
	free(table.rows);
	return (uint32_t)home.modules.nr - 1;
}

/* Slots have to be added in the order of their addresses. */
static inline void home_add_mapping(uint64_t start, uint64_t size, uint32_t module, uint64_t offset)
{
	*vector_push(&home.mappings) =
		(struct mapping_slot){.start = start, .end = start + size, .module = module, .offset = offset};
}

/* Zeroed memory; pages. */
static inline void home_add_memory(uint64_t start, uint64_t size)
{
	assert_int_equal((start | size) % WALK_PAGE, 0);
	*vector_push(&home.regions) =
		(struct home_region){.start = start, .size = size, .bytes = memory_zalloc(1, size)};
}

static inline void home_put(uint64_t address, uint64_t value)
{
	for (size_t i = 0; i < home.regions.nr; i++) {
		const struct home_region *region = &home.regions.data[i];

		if (address - region->start >= region->size)
			continue;
		assert_true(address - region->start + 8 <= region->size);
		memcpy(region->bytes + (address - region->start), &value, sizeof(value));
		return;
	}
	fail_msg("no memory at %#llx", (unsigned long long)address);
}

/* ---- walking ---- */

static const struct stack_key home_seed = {.hash = {0x0123456789abcdefull, 0xfedcba9876543210ull}};

/* All mappings are the process's; the caller has set pc and regs. The loop is the kernel program's. */
static inline void home_walk(struct walk *w, uint32_t max_frames)
{
	w->nr_mappings = (uint32_t)home.mappings.nr - w->first_mapping;
	walk_start(w, &home_seed, max_frames);
	for (int i = 0; i < USER_WALK_MAX + 1; i++)
		if (walk_step(w))
			return;
	fail_msg("the walk does not end");
}

/* A xorshift generator: the same numbers in every run. */
static inline uint64_t home_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull;
}

/* 0 .. limit-1 */
static inline uint64_t home_random_below(uint64_t *state, uint64_t limit)
{
	return (home_random(state) >> 11) % limit;
}

#endif
