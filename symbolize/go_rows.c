/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_rows.c - from Go's function table to rows.
 *
 * For each function the table tells how far rsp is below the return address, instruction by instruction. That gives the
 * CFA everywhere but in the functions that change stacks (go_switches). It doesn't tell where the caller's rbp is,
 * which Go itself never asks, but the C code beyond a callback does, and so do the functions that change stacks.
 * Compilers store it right below the return address: by a push at the start of the frame, formerly by a mov behind the
 * subtraction from rsp, and that instruction is looked for where the frame begins.
 *
 * Go's DWARF has a .debug_frame with the same distances, from the same source. It is not used: programs are shipped
 * without, it doesn't know rbp either, nor stacks that end or change.
 *
 * Overruling spans are ranges of their own, nested in the function's.
 */
#include "go_rows.h"

#include <errno.h>
#include <string.h>

#include "go_switches.h"
#include "memory.h"
#include "object_private.h"

enum {
	CODE_MAX_BYTES = 4096, /* looked at, of one function */
	WINDOW_BYTES = 256 << 10,
	PROLOGUE_BYTES = 64, /* within which a frame's rbp is stored */
	RBP_SLOT = -16,
};

/* Code that was read last: functions come by ascending address. */
struct window {
	uint8_t *bytes;
	size_t size;
	uint64_t start;
};

struct builder {
	struct go_rows *out;
	struct go_pclntab *table;
	struct go_layout layout;
	struct window window;
	struct go_frame frame;
	struct go_spans spans;
	uint32_t nr_pieces; /* of all functions: what hostile tables repeat */
};

/* --- code -----------------------------------------------------------------------------------------------------------
 */

static const struct object_segment *find_segment(const struct object_info *info, const struct go_function *function)
{
	for (uint32_t i = 0; i < info->nr_segments; i++) {
		const struct object_segment *segment = &info->segments[i];

		if (function->start >= segment->file_addr && function->end - segment->file_addr <= segment->file_size)
			return segment;
	}
	return NULL;
}

static struct go_code read_code(struct window *window, const struct object *object, const struct go_function *function)
{
	const struct object_segment *segment = find_segment(object_info(object), function);
	uint64_t want = function->end - function->start;

	if (want > CODE_MAX_BYTES)
		want = CODE_MAX_BYTES;
	if (function->start < window->start || function->start + want > window->start + window->size) {
		uint64_t rest = segment->file_addr + segment->file_size - function->start;
		size_t size = rest < WINDOW_BYTES ? rest : WINDOW_BYTES;
		uint64_t offset = segment->file_offset + (function->start - segment->file_addr);

		window->size = 0;
		if (object_read(object, offset, window->bytes, size))
			return (struct go_code){.start = function->start};
		window->start = function->start;
		window->size = size;
	}
	return (struct go_code){
		.bytes = window->bytes + (function->start - window->start), .size = want, .start = function->start};
}

static int32_t delta_at(const struct go_frame *frame, uint64_t addr)
{
	for (size_t i = 0; i < frame->pieces.nr; i++)
		if (addr < frame->pieces.data[i].end)
			return frame->pieces.data[i].delta;
	return 0;
}

/* "mov %rbp,disp(%rsp); lea disp(%rsp),%rbp", by displacements of 1 or 4 bytes. */
static bool find_stored_rbp(const struct go_frame *frame, size_t from, struct go_saved_rbp *ret)
{
	const struct go_code *code = &frame->code;

	for (size_t i = from; i < from + PROLOGUE_BYTES && i + 5 <= code->size; i++) {
		const uint8_t *bytes = code->bytes + i;
		bool is_wide = bytes[2] == 0xac;
		size_t length = is_wide ? 8 : 5;
		int32_t place = (int8_t)bytes[4];

		if (bytes[0] != 0x48 || bytes[1] != 0x89 || (bytes[2] != 0x6c && !is_wide) || bytes[3] != 0x24 ||
		    i + length > code->size)
			continue;
		if (is_wide)
			memcpy(&place, bytes + 4, sizeof(place));
		int64_t offset = (int64_t)place - delta_at(frame, code->start + i) - 8;

		if (offset > RBP_SLOT || offset < INT16_MIN || offset % 8)
			continue;
		ret->offset = (int16_t)offset;
		ret->stored = code->start + i + length;
		if (i + 2 * length <= code->size && bytes[length] == 0x48 && bytes[length + 1] == 0x8d &&
		    memcmp(bytes + length + 2, bytes + 2, length - 2) == 0)
			ret->pointed = ret->stored + length;
		return true;
	}
	return false;
}

/* Looks at the instructions where the frame begins. */
static void find_saved_rbp(struct go_frame *frame)
{
	static const uint8_t mov_rsp_rbp[] = {0x48, 0x89, 0xe5};
	const struct go_code *code = &frame->code;
	size_t i = 0;

	frame->rbp = (struct go_saved_rbp){0};
	while (i < frame->pieces.nr && frame->pieces.data[i].delta <= 0)
		i++;
	if (i == frame->pieces.nr)
		return;
	uint64_t place = frame->pieces.data[i].start - code->start;

	if (place >= code->size)
		return;
	if (place && code->bytes[place - 1] == 0x55 && frame->pieces.data[i].delta == 8) {
		frame->rbp.stored = code->start + place;
		frame->rbp.offset = RBP_SLOT;
		if (place + sizeof(mov_rsp_rbp) <= code->size &&
		    memcmp(code->bytes + place, mov_rsp_rbp, sizeof(mov_rsp_rbp)) == 0)
			frame->rbp.pointed = frame->rbp.stored + sizeof(mov_rsp_rbp);
		return;
	}
	find_stored_rbp(frame, place, &frame->rbp);
}

/* --- rows -----------------------------------------------------------------------------------------------------------
 */

static int add_row(struct builder *builder, uint64_t start, const struct unwind_rule *rule)
{
	struct rule_rows *rows = builder->out->rows;

	if (rows->list.nr >= builder->out->rows_max)
		return -E2BIG;
	*vector_push(&rows->list) = (struct rule_row){
		.start = (uint32_t)(start - builder->out->origin_addr),
		.rule = unwind_rules_intern(builder->out->rules, rule),
	};
	return 0;
}

static void add_range(struct builder *builder, uint64_t start, uint64_t end, size_t first_row)
{
	*vector_push(&builder->out->ranges->list) = (struct row_range){
		.start = (uint32_t)(start - builder->out->origin_addr),
		.end = (uint32_t)(end - builder->out->origin_addr),
		.first_row = (uint32_t)first_row,
		.nr_rows = (uint32_t)(builder->out->rows->list.nr - first_row),
	};
}

static int add_span(struct builder *builder, const struct go_span *span)
{
	size_t first_row = builder->out->rows->list.nr;
	int err = add_row(builder, span->start, &span->rule);

	if (!err)
		add_range(builder, span->start, span->end, first_row);
	return err;
}

/*
 * The rule for one piece. A function that takes its return address off the stack, into r12, puts it back before it
 * calls anything.
 */
static struct unwind_rule make_rule(const struct go_frame *frame, const struct go_piece *piece, bool has_saved_rbp)
{
	static const uint8_t pop_r12[] = {0x41, 0x5c};
	const struct go_code *code = &frame->code;
	uint64_t place = piece->start - code->start;
	struct unwind_rule rule = {
		.cfa = CFA_REGISTER,
		.cfa_reg = DWARF_RSP,
		.cfa_offset = piece->delta + 8,
		.ra = VALUE_AT_CFA,
		.ra_offset = -8,
		.rbp = has_saved_rbp ? VALUE_AT_CFA : VALUE_SAME,
		.rbp_offset = has_saved_rbp ? frame->rbp.offset : 0,
		.rbx_offset = RBX_LOST,
		.flags = go_function_is_injected(&frame->function) ? RULE_CALLER_EXACT : 0,
	};

	if (piece->delta >= 0 && piece->delta <= INT32_MAX - 8)
		return rule;
	if (piece->delta != -8 || place < sizeof(pop_r12) || place > code->size ||
	    memcmp(code->bytes + place - sizeof(pop_r12), pop_r12, sizeof(pop_r12)) != 0)
		return (struct unwind_rule){.cfa = CFA_UNSUPPORTED};
	rule.ra = VALUE_REGISTER;
	rule.ra_reg = DWARF_R12;
	rule.ra_offset = 0;
	return rule;
}

static int add_piece(struct builder *builder, const struct go_piece *piece)
{
	const struct go_frame *frame = &builder->frame;
	uint64_t stored = frame->rbp.stored;
	bool has_frame = piece->delta > 0 && stored;
	/* The frame may be there some instructions before rbp is in it. */
	bool is_split = has_frame && stored > piece->start && stored < piece->end;
	struct unwind_rule rule = make_rule(frame, piece, has_frame && stored <= piece->start);
	int err = add_row(builder, piece->start, &rule);

	if (err || !is_split)
		return err;
	rule = make_rule(frame, piece, true);
	return add_row(builder, stored, &rule);
}

/* False: malformed. */
static bool read_pieces(struct builder *builder)
{
	struct go_frame *frame = &builder->frame;
	struct go_values deltas;

	frame->pieces.nr = 0;
	go_values_init(&deltas, builder->table, &frame->function, frame->function.deltas);
	while (go_values_next(&deltas))
		*vector_push(&frame->pieces) =
			(struct go_piece){.start = deltas.start, .end = deltas.end, .delta = (int32_t)deltas.value};
	return !deltas.reader.failed && frame->pieces.nr;
}

static int add_frame(struct builder *builder)
{
	struct go_frame *frame = &builder->frame;
	int err = 0;

	find_saved_rbp(frame);
	builder->spans.list.nr = 0;
	go_switches_add(frame, &builder->layout, &builder->spans);
	/* Of ranges that start together the first one holds. */
	for (size_t i = 0; !err && i < builder->spans.list.nr; i++)
		err = add_span(builder, &builder->spans.list.data[i]);
	size_t first_row = builder->out->rows->list.nr;

	for (size_t i = 0; !err && i < frame->pieces.nr; i++)
		err = add_piece(builder, &frame->pieces.data[i]);
	if (!err)
		add_range(builder, frame->function.start, frame->pieces.data[frame->pieces.nr - 1].end, first_row);
	return err;
}

/* -EBADMSG: this function is malformed; others end it all. */
static int add_function(struct builder *builder, uint32_t index)
{
	struct go_frame *frame = &builder->frame;
	struct go_function *function = &frame->function;

	if (!go_pclntab_function(builder->table, index, function) ||
	    !find_segment(object_info(builder->out->object), function))
		return -EBADMSG;
	if (go_function_is_root(function))
		return add_span(
			builder,
			&(struct go_span){.start = function->start, .end = function->end, .rule = {.cfa = CFA_ROOT}});
	if (go_function_is_trampoline(function))
		return add_span(
			builder,
			&(struct go_span){.start = function->start, .end = function->end, .rule = {.cfa = CFA_SIGNAL}});
	/* C functions that Go's own linker took in: .eh_frame describes them. */
	if (!function->deltas)
		return 0;
	if (!read_pieces(builder))
		return -EBADMSG;
	builder->nr_pieces += (uint32_t)frame->pieces.nr;
	if (builder->nr_pieces > builder->out->rows_max)
		return -E2BIG;
	frame->code = read_code(&builder->window, builder->out->object, function);
	return add_frame(builder);
}

static void learn_layout(struct builder *builder)
{
	const struct object *object = builder->out->object;
	struct go_function function;

	for (uint32_t i = 0; i < builder->table->nr_functions; i++) {
		if (!go_pclntab_function(builder->table, i, &function) || strncmp(function.name, "runtime.", 8) != 0 ||
		    !find_segment(object_info(object), &function))
			continue;
		if (strcmp(function.name, "runtime.systemstack") == 0 ||
		    strcmp(function.name, "runtime.morestack") == 0) {
			struct go_code code = read_code(&builder->window, object, &function);

			go_layout_learn(&builder->layout, &function, &code);
		}
	}
}

int go_rows_add(struct go_rows *rows)
{
	struct builder builder = {.out = rows};
	int err = go_pclntab_create(rows->object, &builder.table);

	if (err)
		return err;
	builder.window.bytes = memory_zalloc(WINDOW_BYTES, 1);
	learn_layout(&builder);
	for (uint32_t i = 0; !err && i < builder.table->nr_functions; i++) {
		err = add_function(&builder, i);
		if (err == -EBADMSG) {
			rows->nr_broken++;
			err = 0;
		}
	}
	free(builder.window.bytes);
	vector_free(&builder.frame.pieces);
	vector_free(&builder.spans.list);
	go_pclntab_destroy(builder.table);
	return err;
}
