/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers.c - may what the reader process says be used?
 *
 * The reader may be in the hands of whoever wrote the file that it read last. It may lie: a wrong name is a wrong name
 * in the profile, wrong rows are wrong stacks of that file's own processes. But what it says must never be more than
 * that to the agent, nor to the walker in the kernel, to which rows are handed: so every count is compared with a
 * ceiling before room is made for it, every index with what it points into, every flag with 0 and 1, and a text's
 * length with its bytes.
 *
 * Names of one address:
 *   uint32_t index, uint32_t nr_frames; then per frame uint32_t line, uint32_t start_line and three texts (name, system
 *   name, file), each uint16_t length with its 0 (0 = unknown), bytes, 0.
 */
#include "answers.h"

#include <errno.h>
#include <string.h>

#include "memory.h"

/* ---- what a file is ---- */

void answer_put_info(const struct object_info *info, struct told_info *ret)
{
	ret->base_addr = info->base_addr;
	ret->entry_addr = info->entry_addr;
	ret->nr_segments = info->nr_segments;
	ret->build_id_size = info->build_id_size;
	ret->is_64bit_x86 = info->is_64bit_x86;
	ret->is_executable = info->is_executable;
	ret->stripped = info->stripped;
	memcpy(ret->segments, info->segments, sizeof(ret->segments));
	memcpy(ret->build_id, info->build_id, sizeof(ret->build_id));
	memcpy(ret->interpreter, info->interpreter, sizeof(ret->interpreter));
	ret->needed = info->needed;
}

static int check_segments(const struct told_info *told)
{
	uint64_t last = told->base_addr;

	for (uint32_t i = 0; i < told->nr_segments; i++) {
		const struct object_segment *segment = &told->segments[i];

		if (segment->file_addr < last || segment->file_addr + segment->size < segment->file_addr ||
		    segment->file_size > segment->size ||
		    segment->file_offset + segment->file_size < segment->file_offset)
			return -EPROTO;
		last = segment->file_addr;
	}
	return 0;
}

/* Names that end, with an empty one behind them. */
static bool needed_makes_sense(const struct needed_libraries *needed)
{
	return needed->size_bytes < sizeof(needed->names) && needed->names[needed->size_bytes] == '\0' &&
	       (!needed->size_bytes || needed->names[needed->size_bytes - 1] == '\0') &&
	       memchr(needed->path, 0, sizeof(needed->path));
}

int answer_take_info(const struct told_info *told, struct object_info *ret)
{
	if (told->nr_segments > OBJECT_SEGMENTS_MAX || told->build_id_size > BUILD_ID_MAX || told->is_64bit_x86 > 1 ||
	    told->is_executable > 1 || told->stripped > 1 || !memchr(told->interpreter, 0, sizeof(told->interpreter)) ||
	    !needed_makes_sense(&told->needed) || check_segments(told))
		return -EPROTO;
	*ret = (struct object_info){
		.base_addr = told->base_addr,
		.entry_addr = told->entry_addr,
		.nr_segments = told->nr_segments,
		.build_id_size = told->build_id_size,
		.is_64bit_x86 = told->is_64bit_x86,
		.is_executable = told->is_executable,
		.stripped = told->stripped,
	};
	memcpy(ret->segments, told->segments, sizeof(ret->segments));
	memcpy(ret->build_id, told->build_id, sizeof(ret->build_id));
	memcpy(ret->interpreter, told->interpreter, sizeof(ret->interpreter));
	ret->needed = told->needed;
	return 0;
}

int answer_take_status(const struct told_status *told, struct names_status *ret)
{
	if (told->has_symtab > 1 || told->has_debug_info > 1 || told->debug_file_used > 1)
		return -EPROTO;
	*ret = (struct names_status){told->has_symtab, told->has_debug_info, told->debug_file_used};
	return 0;
}

/* ---- unwind tables ---- */

struct told_table answer_put_table(const struct unwind_table *table)
{
	return (struct told_table){
		.start = table->start,
		.coarser = table->coarser,
		.nr_granules = table->nr_granules,
		.nr_rows = table->nr_rows,
		.nr_rules = table->nr_rules,
		.nr_fdes = table->nr_fdes,
		.nr_fdes_broken = table->nr_fdes_broken,
		.nr_rows_unsupported = table->nr_rows_unsupported,
		.inferred = table->inferred,
	};
}

uint64_t answer_table_bytes(const struct told_table *told)
{
	return told->nr_granules * (uint64_t)sizeof(struct unwind_granule) +
	       told->nr_rows * (uint64_t)sizeof(struct unwind_row) +
	       told->nr_rules * (uint64_t)sizeof(struct unwind_rule);
}

int answer_new_table(const struct told_table *told, struct unwind_table **ret)
{
	if (told->nr_granules > GRANULES_MAX_TOLD || told->nr_rows > ROWS_MAX_TOLD || told->nr_rules > RULES_MAX ||
	    told->nr_rules < RULE_FIRST_FREE || told->start % GRANULE_SIZE || told->coarser > GRANULE_COARSER_MAX)
		return -EPROTO;
	struct unwind_table *table = memory_new(struct unwind_table);

	*table = (struct unwind_table){
		.start = told->start,
		.coarser = told->coarser,
		.nr_granules = told->nr_granules,
		.nr_rows = told->nr_rows,
		.nr_rules = told->nr_rules,
		.granules = memory_new_array(struct unwind_granule, told->nr_granules),
		.rows = memory_new_array(struct unwind_row, told->nr_rows),
		.rules = memory_new_array(struct unwind_rule, told->nr_rules),
		.nr_fdes = told->nr_fdes,
		.nr_fdes_broken = told->nr_fdes_broken,
		.nr_rows_unsupported = told->nr_rows_unsupported,
		.inferred = told->inferred,
	};
	*ret = table;
	return 0;
}

void answer_free_table(struct unwind_table *table)
{
	if (!table)
		return;
	free(table->granules);
	free(table->rows);
	free(table->rules);
	free(table);
}

static bool check_granule(const struct unwind_table *table, const struct unwind_granule *granule)
{
	const struct unwind_row *rows = table->rows + granule->first_row;

	if (granule->rule >= table->nr_rules)
		return false;
	for (uint32_t i = 0; i < granule->nr_rows; i++)
		if (rows[i].offset >= GRANULE_SIZE << table->coarser || rows[i].rule >= table->nr_rules ||
		    (i && rows[i].offset <= rows[i - 1].offset))
			return false;
	return true;
}

static bool check_rules(const struct unwind_table *table)
{
	/* The walker takes these for what they are by their number. */
	static const uint8_t fixed[RULE_FIRST_FREE] = {CFA_NONE, CFA_ROOT, CFA_SIGNAL, CFA_UNSUPPORTED};

	for (uint32_t i = 0; i < table->nr_rules; i++) {
		const struct unwind_rule *rule = &table->rules[i];

		if (rule->cfa >= NR_CFAS || rule->rbp >= NR_VALUES || rule->ra >= NR_VALUES ||
		    (i < RULE_FIRST_FREE && rule->cfa != fixed[i]))
			return false;
	}
	return true;
}

int answer_check_table(const struct unwind_table *table)
{
	uint64_t row = 0;

	for (uint32_t i = 0; i < table->nr_granules; i++) {
		const struct unwind_granule *granule = &table->granules[i];

		if (granule->first_row != row || granule->nr_rows > GRANULE_ROWS_MAX ||
		    row + granule->nr_rows > table->nr_rows || !check_granule(table, granule))
			return -EPROTO;
		row += granule->nr_rows;
	}
	return row == table->nr_rows && check_rules(table) ? 0 : -EPROTO;
}

/* ---- names ---- */

static void put_bytes(struct answer_bytes *bytes, const void *data, size_t size_bytes)
{
	vector_reserve(bytes, size_bytes);
	if (size_bytes)
		memcpy(bytes->data + bytes->nr, data, size_bytes);
	bytes->nr += size_bytes;
}

static void put_number(struct answer_bytes *bytes, uint32_t number)
{
	put_bytes(bytes, &number, sizeof(number));
}

static void put_text(struct answer_bytes *bytes, const char *text)
{
	/* The library hands out none that are longer. */
	size_t length = text ? strnlen(text, NAME_MAX_BYTES) : 0;
	uint16_t size = text ? (uint16_t)(length + 1) : 0;

	put_bytes(bytes, &size, sizeof(size));
	if (!text)
		return;
	put_bytes(bytes, text, length);
	put_bytes(bytes, "", 1);
}

void answer_put_names(struct answer_bytes *bytes, size_t index, const struct name_frame *frames, size_t nr_frames)
{
	if (nr_frames > NAME_FRAMES_MAX)
		nr_frames = NAME_FRAMES_MAX;
	put_number(bytes, (uint32_t)index);
	put_number(bytes, (uint32_t)nr_frames);
	for (size_t i = 0; i < nr_frames; i++) {
		put_number(bytes, frames[i].line);
		put_number(bytes, frames[i].start_line);
		put_text(bytes, frames[i].name);
		put_text(bytes, frames[i].system_name);
		put_text(bytes, frames[i].file);
	}
}

/* What is left of a part. */
struct cursor {
	const uint8_t *at;
	size_t left;
};

static bool take_bytes(struct cursor *cursor, void *ret, size_t size_bytes)
{
	if (cursor->left < size_bytes)
		return false;
	memcpy(ret, cursor->at, size_bytes);
	cursor->at += size_bytes;
	cursor->left -= size_bytes;
	return true;
}

/* A text in place. */
static bool take_text(struct cursor *cursor, const char **ret)
{
	uint16_t size;

	*ret = NULL;
	if (!take_bytes(cursor, &size, sizeof(size)))
		return false;
	if (!size)
		return true;
	if (size > NAME_MAX_BYTES + 1 || size > cursor->left || memchr(cursor->at, 0, size) != cursor->at + size - 1)
		return false;
	*ret = (const char *)cursor->at;
	cursor->at += size;
	cursor->left -= size;
	return true;
}

static bool take_frame(struct cursor *cursor, struct name_frame *ret)
{
	return take_bytes(cursor, &ret->line, sizeof(ret->line)) &&
	       take_bytes(cursor, &ret->start_line, sizeof(ret->start_line)) && take_text(cursor, &ret->name) &&
	       take_text(cursor, &ret->system_name) && take_text(cursor, &ret->file);
}

static bool take_address(struct cursor *cursor, struct answer_names *names)
{
	struct name_frame frames[NAME_FRAMES_MAX];
	uint32_t index, nr_frames;

	if (!take_bytes(cursor, &index, sizeof(index)) || !take_bytes(cursor, &nr_frames, sizeof(nr_frames)) ||
	    index >= names->nr || names->seen[index] || nr_frames > NAME_FRAMES_MAX)
		return false;
	for (uint32_t i = 0; i < nr_frames; i++)
		if (!take_frame(cursor, &frames[i]))
			return false;
	names->seen[index] = true;
	names->found(index, frames, nr_frames, names->context);
	return true;
}

int answer_take_names(struct answer_names *names, const uint8_t *bytes, size_t size_bytes)
{
	struct cursor cursor = {.at = bytes, .left = size_bytes};

	while (cursor.left)
		if (!take_address(&cursor, names))
			return -EPROTO;
	return 0;
}

int answer_check_starts(const uint64_t *addrs, const uint64_t *starts, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (starts[i] > addrs[i])
			return -EPROTO;
	return 0;
}
