/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_patches.c - finds signal trampolines, the ends of contexts and the entry point.
 *
 * A signal handler returns to code of fixed bytes, "mov $15,%rax; syscall" (rt_sigreturn), at which rsp points at
 * what the kernel saved, whoever wrote the code and whatever was said about it. A return address is looked up one byte
 * lower, and the handler's return address is the trampoline's first byte, so the byte before belongs to it. So does the
 * byte behind it if nothing else begins there: that is where pc is while the kernel restores the registers.
 *
 * The entry point was called by nobody: it is where a stack ends. Where libc says so by an undefined return address
 * there is nothing to do; often it says nothing. But not every e_entry is one: linkers used to point that of a shared
 * library at the start of its code, whatever function that is. So it counts in files that can be executed, and in
 * the dynamic linker, which can be told by the first thing that it does: handing the initial stack pointer on.
 */
#include "unwind_patches.h"

#include <errno.h>
#include <string.h>

#include "memory.h"
#include "object_private.h"

enum {
	CHUNK_BYTES = 256 << 10,
	ENTRY_MAX_BYTES = 256, /* of an entry point that no function covers */
	ENTRY_PROLOGUE_BYTES = 16,
	TRAMPOLINES_MAX = 1 << 16, /* libc has one; a file full of them would take more memory than its rows */
	CONTEXT_END_BYTES = 26,    /* up to the end of its last call */
	CONTEXT_END_RARE = 2,      /* which of its bytes code has few of */
	SYSCALL_FIRST = 0x0f,
	SYSCALL_LAST = 0x05,
};

/* mov $15,%rax or mov $15,%eax; syscall. libcs have the first, others what their assembler chose. */
static const uint8_t TRAMPOLINE[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
static const uint8_t TRAMPOLINE_SHORT[] = {0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
/* mov %rbx,%rsp; mov (%rsp),%rdi; test %rdi,%rdi; je: where glibc's makecontext lets a context return to. */
static const uint8_t CONTEXT_END[] = {0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24, 0x48, 0x85, 0xff, 0x74};
static const uint8_t ENDBR[] = {0xf3, 0x0f, 0x1e, 0xfa};
static const uint8_t MOV_RSP_RDI[] = {0x48, 0x89, 0xe7};

static void add_patch(struct rule_patches *patches, uint64_t start, uint64_t end, uint32_t rule)
{
	*vector_push(&patches->list) = (struct rule_patch){
		.start = (uint32_t)start,
		.end = (uint32_t)end,
		.rule = rule,
	};
}

/*
 * Whether code goes on with padding. In the system call itself pc is behind it already, which is still the trampoline's
 * unless another function begins right there.
 */
static bool is_padding(const uint8_t *code, size_t size)
{
	static const char *const paddings[] = {"\x90", "\xcc", "\x0f\x1f", "\x66\x90", "\x66\x0f\x1f", "\x66\x2e"};

	for (size_t i = 0; i < ARRAY_SIZE(paddings); i++) {
		size_t length = strlen(paddings[i]);

		if (size >= length && memcmp(code, paddings[i], length) == 0)
			return true;
	}
	return false;
}

/* The length of the trampoline that ends with the last of these bytes, 0 = none does. */
static size_t trampoline_size(const uint8_t *code, size_t size)
{
	if (size >= sizeof(TRAMPOLINE) && memcmp(code + size - sizeof(TRAMPOLINE), TRAMPOLINE, sizeof(TRAMPOLINE)) == 0)
		return sizeof(TRAMPOLINE);
	if (size >= sizeof(TRAMPOLINE_SHORT) &&
	    memcmp(code + size - sizeof(TRAMPOLINE_SHORT), TRAMPOLINE_SHORT, sizeof(TRAMPOLINE_SHORT)) == 0)
		return sizeof(TRAMPOLINE_SHORT);
	return 0;
}

/*
 * Adds the trampolines in a piece of code; base is the piece's distance from the origin. Looking for one byte that code
 * has few of takes a tenth of the time of memmem, which took nearly half of a table's.
 */
static void scan_piece(const uint8_t *code, size_t size, uint64_t base, struct rule_patches *patches)
{
	const uint8_t *end = code + size;
	const uint8_t *at = code;

	while (patches->list.nr < TRAMPOLINES_MAX && (at = memchr(at, SYSCALL_LAST, (size_t)(end - at)))) {
		size_t form_size;

		at++;
		form_size = at - code > 1 && at[-2] == SYSCALL_FIRST ? trampoline_size(code, (size_t)(at - code)) : 0;
		if (!form_size)
			continue;
		uint64_t start = base + (uint64_t)(at - code) - form_size;

		add_patch(patches, start ? start - 1 : 0, start + form_size + is_padding(at, (size_t)(end - at)),
			  RULE_SIGNAL);
	}
}

/*
 * Adds the places at which glibc's contexts end. Nobody called a context's function: its return address is the first
 * byte of code that goes on with another context or exits, and what stands above it is no stack frame, whatever the
 * call-frame information says.
 */
static void scan_context_ends(const uint8_t *code, size_t size, uint64_t base, struct rule_patches *patches)
{
	const uint8_t *end = code + size;
	const uint8_t *at = code;

	while (patches->list.nr < TRAMPOLINES_MAX &&
	       (at = memchr(at, CONTEXT_END[CONTEXT_END_RARE], (size_t)(end - at)))) {
		const uint8_t *found = at++ - CONTEXT_END_RARE;

		if (at - code <= CONTEXT_END_RARE || (size_t)(end - found) < sizeof(CONTEXT_END) ||
		    memcmp(found, CONTEXT_END, sizeof(CONTEXT_END)) != 0)
			continue;
		size_t place = (size_t)(found - code);
		uint64_t start = base + place;
		uint64_t first = start;

		if (place >= sizeof(ENDBR) && memcmp(found - sizeof(ENDBR), ENDBR, sizeof(ENDBR)) == 0)
			first -= sizeof(ENDBR);
		add_patch(patches, first ? first - 1 : 0, start + CONTEXT_END_BYTES, RULE_ROOT);
	}
}

static int find_trampolines(const struct object *object, const struct object_segment *segment, uint64_t base,
			    struct rule_patches *patches)
{
	const size_t overlap = sizeof(ENDBR) + sizeof(CONTEXT_END);
	_cleanup_free_ uint8_t *chunk = NULL;

	if (!segment->file_size)
		return 0;
	chunk = memory_zalloc(segment->file_size < CHUNK_BYTES ? segment->file_size : CHUNK_BYTES, 1);
	for (uint64_t at = 0; at < segment->file_size; at += CHUNK_BYTES - overlap) {
		/* A hole of gigabytes costs its writer nothing; it is to cost us no time and no room in the page cache.
		 */
		at = object_next_data(object, segment->file_offset + at) - segment->file_offset;
		if (at >= segment->file_size)
			break;
		uint64_t rest = segment->file_size - at;
		size_t size = rest < CHUNK_BYTES ? rest : CHUNK_BYTES;
		int err = object_read(object, segment->file_offset + at, chunk, size);

		if (err)
			return err;
		scan_piece(chunk, size, base + at, patches);
		scan_context_ends(chunk, size, base + at, patches);
		if (size == rest)
			break;
	}
	return 0;
}

static const struct object_segment *find_segment(const struct object_info *info, uint64_t file_addr)
{
	for (uint32_t i = 0; i < info->nr_segments; i++) {
		const struct object_segment *segment = &info->segments[i];

		if (file_addr >= segment->file_addr && file_addr - segment->file_addr < segment->file_size)
			return segment;
	}
	return NULL;
}

static bool is_entry_real(const struct object *object)
{
	const struct object_info *info = object_info(object);
	uint8_t code[ENTRY_PROLOGUE_BYTES];

	if (info->is_executable)
		return true;
	return object_read_addr(object, info->entry_addr, code, sizeof(code)) == 0 &&
	       memmem(code, sizeof(code), MOV_RSP_RDI, sizeof(MOV_RSP_RDI));
}

/* The rule that a function has at a place inside of it. */
static uint32_t rule_at(const struct row_range *range, const struct rule_rows *rows, uint32_t place)
{
	const struct rule_row *row = &rows->list.data[range->first_row];
	const struct rule_row *end = row + range->nr_rows;

	while (row + 1 < end && row[1].start <= place)
		row++;
	return row->rule;
}

static void add_entry(const struct row_ranges *ranges, const struct rule_rows *rows, uint32_t entry, uint64_t limit,
		      struct rule_patches *patches)
{
	const struct row_range *covering = NULL;

	if (limit > (uint64_t)entry + ENTRY_MAX_BYTES)
		limit = (uint64_t)entry + ENTRY_MAX_BYTES;
	for (size_t i = 0; i < ranges->list.nr; i++) {
		const struct row_range *range = &ranges->list.data[i];

		if (range->start > entry) {
			if (range->start < limit)
				limit = range->start;
		} else if (range->end > entry && (!covering || range->start > covering->start)) {
			covering = range;
		}
	}
	if (!covering)
		add_patch(patches, entry, limit, RULE_ROOT);
	else if (rule_at(covering, rows, entry) != RULE_ROOT)
		add_patch(patches, covering->start, covering->end, RULE_ROOT);
}

int unwind_patches_find(const struct object *object, uint64_t origin_addr, const struct row_ranges *ranges,
			const struct rule_rows *rows, struct rule_patches *patches)
{
	const struct object_info *info = object_info(object);

	for (uint32_t i = 0; i < info->nr_segments; i++) {
		const struct object_segment *segment = &info->segments[i];
		int err = find_trampolines(object, segment, segment->file_addr - origin_addr, patches);

		if (err)
			return err;
	}
	const struct object_segment *segment = find_segment(info, info->entry_addr);

	if (info->entry_addr && segment && is_entry_real(object))
		add_entry(ranges, rows, (uint32_t)(info->entry_addr - origin_addr),
			  segment->file_addr + segment->file_size - origin_addr, patches);
	return 0;
}
