/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind.c - compiles a file's call-frame information into a table of rows.
 *
 * Go code is described by a table of Go's own (go_rows), all other by call-frame information.
 *
 * Section by section, function by function, the call-frame instructions are run (cfi_program) and every row's state
 * becomes a rule number (unwind_rule). Code that none of it is about gets rows deduced from its instructions
 * (inferred_rows). Functions are then merged into one sorted sequence, what is known better is put over it
 * (unwind_patches), and the result is cut into granules (unwind_rows).
 *
 * All addresses on the way are distances from an origin: the first executable byte, rounded down to a granule. A file
 * whose code spans 4 GiB or more is refused, so 32 bits hold them. A function outside of the file's code is malformed
 * by definition: it can't be walked through, and could make the table as large as it likes.
 */
#include "unwind.h"

#include <errno.h>

#include "cfi_sections.h"
#include "go_rows.h"
#include "inferred_rows.h"
#include "memory.h"
#include "sorted.h"
#include "unwind_patches.h"
#include "unwind_rows.h"

enum {
	ROWS_MAX = 64 << 20,
	FEW_FDES = 8, /* .eh_frame with fewer is that of the start-up code alone: look into .debug_frame as well */
};

struct unwind_builder {
	const struct object_info *info;
	uint64_t origin_addr; /* file_addr */
	struct unwind_rules rules;
	struct row_ranges ranges;
	struct rule_rows rows;
	uint32_t nr_fdes;
	uint32_t nr_fdes_broken;
	struct inferred_stats inferred;
	struct cfi_program program; /* too large for every stack */
};

static void builder_deinit(struct unwind_builder *builder)
{
	unwind_rules_deinit(&builder->rules);
	vector_free(&builder->ranges.list);
	vector_free(&builder->rows.list);
}

static int builder_init(struct unwind_builder *builder, const struct object_info *info)
{
	if (!info->is_64bit_x86 || !info->nr_segments)
		return -ENODATA;
	uint64_t start = info->segments[0].file_addr;
	uint64_t end = 0;
	uint64_t size = 0;

	for (uint32_t i = 0; i < info->nr_segments; i++) {
		uint64_t segment_end = info->segments[i].file_addr + info->segments[i].file_size;

		size += info->segments[i].file_size;
		if (segment_end > end)
			end = segment_end;
	}
	uint64_t origin = (start - info->base_addr) & ~(uint64_t)(GRANULE_SIZE - 1);

	builder->info = info;
	builder->origin_addr = info->base_addr + origin;
	unwind_rules_init(&builder->rules);
	/* Segments may lie over each other: together they are to be no more to read than one could be. */
	return end - builder->origin_addr > UINT32_MAX || size > UINT32_MAX ? -E2BIG : 0;
}

static bool is_in_code(const struct object_info *info, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < info->nr_segments; i++) {
		const struct object_segment *segment = &info->segments[i];

		if (start >= segment->file_addr && end - segment->file_addr <= segment->file_size)
			return true;
	}
	return false;
}

static int add_row(struct unwind_builder *builder, uint64_t file_addr, uint16_t rule)
{
	if (builder->rows.list.nr == ROWS_MAX)
		return -E2BIG;
	vector_reserve(&builder->rows.list, 1);
	builder->rows.list.data[builder->rows.list.nr++] = (struct rule_row){
		.start = (uint32_t)(file_addr - builder->origin_addr),
		.rule = rule,
	};
	return 0;
}

static int add_program_rows(struct unwind_builder *builder, const struct cfi_fde *fde)
{
	struct cfi_program *program = &builder->program;
	uint32_t last = UINT32_MAX; /* no rule */
	int more;

	cfi_program_init(program, fde);
	do {
		more = cfi_program_next_row(program);
		if (more < 0)
			return more;
		struct unwind_rule rule = unwind_rule_make(&program->state);
		uint16_t number = unwind_rules_intern(&builder->rules, &rule);
		/* Rows that only move a register nobody asks for change nothing. */
		int err = number == last ? 0 : add_row(builder, program->row_addr, number);

		if (err)
			return err;
		last = number;
	} while (more);
	return 0;
}

/* -EBADMSG: this function is malformed; others end it all. */
static int add_fde(struct unwind_builder *builder, const struct cfi_fde *fde)
{
	size_t first_row = builder->rows.list.nr;
	int err;

	if (fde->start >= fde->end || !is_in_code(builder->info, fde->start, fde->end))
		return -EBADMSG;
	if (fde->cie->is_signal)
		err = add_row(builder, fde->start, RULE_SIGNAL);
	else
		err = add_program_rows(builder, fde);
	if (err) {
		builder->rows.list.nr = first_row;
		return err;
	}
	*vector_push(&builder->ranges.list) = (struct row_range){
		.start = (uint32_t)(fde->start - builder->origin_addr),
		.end = (uint32_t)(fde->end - builder->origin_addr),
		.first_row = (uint32_t)first_row,
		.nr_rows = (uint32_t)(builder->rows.list.nr - first_row),
	};
	return 0;
}

static int add_section(struct unwind_builder *builder, const struct cfi_section *section)
{
	_cleanup_(cfi_entries_deinit) struct cfi_entries entries;
	struct cfi_fde fde;

	cfi_entries_init(&entries, section);
	while (cfi_entries_next(&entries, &fde)) {
		int err = add_fde(builder, &fde);

		if (err == -EBADMSG)
			builder->nr_fdes_broken++;
		else if (err)
			return err;
	}
	builder->nr_fdes_broken += entries.nr_broken;
	return 0;
}

static int add_sections(struct unwind_builder *builder, const struct cfi_sections *sections, size_t first)
{
	for (size_t i = first; i < sections->list.nr; i++) {
		int err = add_section(builder, &sections->list.data[i]);

		if (err)
			return err;
	}
	return 0;
}

/* -ENODATA: there are none. */
static int add_go_functions(struct unwind_builder *builder, const struct object *object)
{
	struct go_rows rows = {
		.object = object,
		.origin_addr = builder->origin_addr,
		.rows_max = ROWS_MAX,
		.rules = &builder->rules,
		.ranges = &builder->ranges,
		.rows = &builder->rows,
	};
	int err = go_rows_add(&rows);

	builder->nr_fdes_broken += rows.nr_broken;
	return err;
}

static int add_functions(struct unwind_builder *builder, const struct object *object)
{
	_cleanup_(cfi_sections_deinit) struct cfi_sections sections = {0};
	int go = add_go_functions(builder, object);

	if (go && go != -ENODATA)
		return go;
	int found = cfi_sections_add_eh_frame(&sections, object);

	if (found && found != -ENODATA && found != -EBADMSG)
		return found;
	int err = add_sections(builder, &sections, 0);

	if (err)
		return err;
	if (builder->ranges.list.nr < FEW_FDES) {
		size_t nr = sections.list.nr;

		err = cfi_sections_add_debug_frame(&sections, object);
		if (err && err != -ENODATA && !(err == -E2BIG && builder->ranges.list.nr))
			return err;
		err = add_sections(builder, &sections, nr);
		if (err)
			return err;
	}
	builder->nr_fdes = (uint32_t)builder->ranges.list.nr;
	return !builder->nr_fdes && (found == -EBADMSG || builder->nr_fdes_broken) ? -EBADMSG : 0;
}

/* After the patches are found: those are about functions, not about everything that has rows. */
static int add_inferred(struct unwind_builder *builder, const struct object *object, enum table_effort effort,
			struct rule_patches *patches)
{
	int err = inferred_rows_add(object, effort, builder->origin_addr, &builder->rules, &builder->ranges,
				    &builder->rows, patches, &builder->inferred);

	if (err)
		return err;
	/* Of what has been left for later there may be something yet. */
	bool is_empty = !builder->nr_fdes && !builder->inferred.bytes;

	return is_empty && (effort == TABLE_WHOLE || !builder->inferred.bytes_skipped) ? -ENODATA : 0;
}

static uint32_t count_unsupported(const struct rule_rows *rows)
{
	uint32_t nr = 0;

	for (size_t i = 0; i < rows->list.nr; i++)
		nr += rows->list.data[i].rule == RULE_UNSUPPORTED;
	return nr;
}

static int build_table(struct unwind_builder *builder, struct rule_patches *patches, struct unwind_table **ret)
{
	struct unwind_table *table = memory_new(struct unwind_table);
	struct rule_rows merged = {0};
	struct rule_rows patched = {0};

	table->nr_fdes = builder->nr_fdes;
	table->nr_fdes_broken = builder->nr_fdes_broken;
	table->inferred = builder->inferred;
	table->nr_rules = (uint32_t)builder->rules.list.nr;
	table->rules = memory_dup(builder->rules.list.data, table->nr_rules * sizeof(struct unwind_rule));
	rule_rows_merge(&builder->ranges, &builder->rows, &merged);
	/* Each step's input goes before the next output comes: there may be millions of rows. */
	vector_free(&builder->rows.list);
	rule_rows_patch(&merged, patches, &patched);
	vector_free(&merged.list);
	table->nr_rows_unsupported = count_unsupported(&patched);
	int err = unwind_table_fill(table, &patched, builder->origin_addr - builder->info->base_addr);

	vector_free(&patched.list);
	if (err) {
		unwind_table_destroy(table);
		return err;
	}
	*ret = table;
	return 0;
}

int unwind_table_compile(struct object *object, enum table_effort effort, struct unwind_table **ret)
{
	_cleanup_free_ struct unwind_builder *builder = memory_new(struct unwind_builder);
	struct rule_patches patches = {0};
	int err = builder_init(builder, object_info(object));

	if (!err)
		err = add_functions(builder, object);
	if (!err)
		err = unwind_patches_find(object, builder->origin_addr, &builder->ranges, &builder->rows, &patches);
	if (!err)
		err = add_inferred(builder, object, effort, &patches);
	if (!err)
		err = build_table(builder, &patches, ret);
	vector_free(&patches.list);
	builder_deinit(builder);
	return err;
}

void unwind_table_destroy(struct unwind_table *table)
{
	if (!table)
		return;
	free(table->granules);
	free(table->rows);
	free(table->rules);
	free(table);
}

const struct unwind_rule *unwind_table_find(const struct unwind_table *table, uint64_t offset)
{
	uint64_t granule_index = (offset - table->start) >> (GRANULE_SHIFT + table->coarser);

	if (offset < table->start || granule_index >= table->nr_granules)
		return &table->rules[RULE_NONE];
	const struct unwind_granule *granule = &table->granules[granule_index];
	const struct unwind_row *rows = table->rows + granule->first_row;
	uint16_t place = (uint16_t)((offset - table->start) % (GRANULE_SIZE << table->coarser));
	size_t nr = sorted_front(granule->nr_rows, i, rows[i].offset <= place);

	return &table->rules[nr ? rows[nr - 1].rule : granule->rule];
}
