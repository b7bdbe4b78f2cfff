/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_check.h - what must hold of a table of unwind rows, whatever the file said.
 *
 * A broken promise traps: the fuzzer shows the input and the line.
 */
#ifndef EBPROF_FUZZ_TABLE_CHECK_H
#define EBPROF_FUZZ_TABLE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "unwind.h"

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                      \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* Fields that the walker switches over or masks with. */
static inline void check_rule_valid(const struct unwind_rule *rule)
{
	CHECK(rule->cfa < NR_CFAS);
	CHECK(rule->cfa_reg < DWARF_RIP && rule->rbp_reg < DWARF_RIP && rule->ra_reg < DWARF_RIP);
	CHECK(rule->rbp <= VALUE_UNDEFINED && rule->ra <= VALUE_UNDEFINED);
	CHECK(rule->cfa < CFA_REGISTER || rule->cfa == CFA_GOROUTINE || rule->ra != VALUE_SAME);
}

static inline void check_granule(const struct unwind_table *table, const struct unwind_granule *granule,
				 uint64_t first_row, uint64_t granule_offset)
{
	uint16_t rule = granule->rule;
	uint32_t last = 0;

	CHECK(granule->first_row == first_row && first_row + granule->nr_rows <= table->nr_rows);
	CHECK(rule < table->nr_rules);
	CHECK(unwind_table_find(table, granule_offset) == &table->rules[rule]);
	for (uint32_t i = 0; i < granule->nr_rows; i++) {
		const struct unwind_row *row = &table->rows[first_row + i];

		CHECK(row->offset > last && row->offset < GRANULE_SIZE << table->coarser);
		CHECK(row->rule < table->nr_rules && row->rule != rule);
		CHECK(unwind_table_find(table, granule_offset + row->offset - 1) == &table->rules[rule]);
		CHECK(unwind_table_find(table, granule_offset + row->offset) == &table->rules[row->rule]);
		last = row->offset;
		rule = row->rule;
	}
}

/* code_size: bytes of the file that are code. */
static inline void check_table(const struct unwind_table *table, uint64_t code_size)
{
	uint64_t nr_rows = 0, granule_size = (uint64_t)GRANULE_SIZE << table->coarser;

	CHECK(table->start % GRANULE_SIZE == 0);
	CHECK(table->nr_rules >= RULE_FIRST_FREE && table->nr_rules <= RULES_MAX);
	for (uint32_t i = 0; i < table->nr_rules; i++)
		check_rule_valid(&table->rules[i]);
	for (uint32_t i = 0; i < table->nr_granules; i++) {
		check_granule(table, &table->granules[i], nr_rows, table->start + i * granule_size);
		nr_rows += table->granules[i].nr_rows;
	}
	CHECK(nr_rows == table->nr_rows);
	/* However many functions are said to be there, a table is at most as long as the code is. */
	CHECK(nr_rows <= code_size + 1);
	CHECK(unwind_table_find(table, table->start - 1) == &table->rules[RULE_NONE]);
	CHECK(unwind_table_find(table, table->start + table->nr_granules * granule_size) ==
	      &table->rules[RULE_NONE]);
}

/* Compiles a file and checks what comes of it; takes the descriptor. */
static inline void compile_and_check(int fd)
{
	struct object *object;
	struct unwind_table *table;

	if (object_create(fd, NULL, NULL, &object))
		return;
	const struct object_info *info = object_info(object);
	uint64_t code_size = 0;

	CHECK(info->nr_segments <= OBJECT_SEGMENTS_MAX && info->build_id_size <= BUILD_ID_MAX);
	CHECK(memchr(info->interpreter, '\0', sizeof(info->interpreter)));
	for (uint32_t i = 0; i < info->nr_segments; i++) {
		CHECK(!i || info->segments[i - 1].file_addr <= info->segments[i].file_addr);
		code_size += info->segments[i].file_size;
	}
	int err = unwind_table_compile(object, TABLE_WHOLE, &table);

	CHECK(err <= 0);
	if (!err) {
		check_table(table, code_size);
		unwind_table_destroy(table);
	}
	object_destroy(object);
}

#endif
