/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kallsyms.c - which kernel function is at this address, by the text of /proc/kallsyms?
 *
 * A line is "ffffffff81000000 T _stext" or "ffffffffc0a01000 t nft_do_chain	[nf_tables]". The text is read whole and
 * cut in place, so names are limited by the line and by nothing else (they have had 512 bytes since 6.1). Kept are
 * text symbols in the upper half of the address space: per-CPU and absolute symbols are small numbers.
 *
 * There are no sizes: a symbol reaches to the next one that is kept, at most SYMBOL_MAX_BYTES, which ends the last of
 * an area (a module, a BPF program, the kernel itself). Aliases at one address: global before weak before local, then
 * fewest leading underscores, then the shortest, then the first of the alphabet.
 *
 * A reader without the privilege sees every address as 0 and no error: that is -EPERM here.
 */
#include "kallsyms.h"

#include <errno.h>
#include <string.h>

#include "input.h"
#include "sorted.h"
#include "vector.h"

enum {
	TEXT_MAX_BYTES = 64 << 20,
	SYMBOL_MAX_BYTES = 1 << 20,
};
static const uint64_t KERNEL_HALF = 1ull << 63;

struct kallsyms_symbol {
	uint64_t start;
	const char *name;
	const char *module;
	uint8_t rank; /* of its binding: smaller is better */
};

struct kallsyms {
	char *text; /* read whole; its lines are cut into NUL-terminated pieces */
	size_t text_size;
	VECTOR(struct kallsyms_symbol) symbols; /* by start, one per start */
	uint64_t text_start;
	uint64_t text_end;
};

/* --- reading --------------------------------------------------------------------------------------------------------
 */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Reads the address at the front of a line; NULL when there is none of 1 to 16 digits and a space. */
static char *line_address(char *line, uint64_t *ret)
{
	uint64_t value = 0;
	int digits = 0;

	for (; digits < 16 && hex_digit(*line) >= 0; digits++)
		value = value << 4 | (uint64_t)hex_digit(*line++);
	if (digits == 0 || *line != ' ')
		return NULL;
	*ret = value;
	return line + 1;
}

static uint8_t type_rank(char type)
{
	return type == 'T' ? 0 : type == 'W' || type == 'w' ? 1 : 2;
}

/* Cuts one NUL-terminated line; false when it is no text symbol. */
static bool line_parse(char *line, struct kallsyms_symbol *ret)
{
	char *rest = line_address(line, &ret->start);
	char *name;
	char *name_end;

	if (!rest || !strchr("tTwW", rest[0]) || !rest[0] || rest[1] != ' ')
		return false;
	ret->rank = type_rank(rest[0]);
	name = rest + 2;
	name_end = name + strcspn(name, " \t");
	if (name == name_end || name[0] == '$')
		return false;
	ret->module = NULL;
	rest = name_end + strspn(name_end, " \t");
	if (rest[0] == '[') {
		char *module_end = strchr(rest, ']');

		if (!module_end || module_end == rest + 1)
			return false;
		*module_end = '\0';
		ret->module = rest + 1;
	}
	*name_end = '\0';
	ret->name = name;
	return true;
}

static size_t leading_underscores(const char *name)
{
	return strspn(name, "_");
}

static int symbol_compare(const void *a, const void *b)
{
	const struct kallsyms_symbol *left = a;
	const struct kallsyms_symbol *right = b;
	size_t left_size;
	size_t right_size;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	if (left->rank != right->rank)
		return left->rank < right->rank ? -1 : 1;
	left_size = leading_underscores(left->name);
	right_size = leading_underscores(right->name);
	if (left_size == right_size) {
		left_size = strlen(left->name);
		right_size = strlen(right->name);
	}
	if (left_size != right_size)
		return left_size < right_size ? -1 : 1;
	return strcmp(left->name, right->name);
}

static void text_edge(struct kallsyms *kallsyms, const struct kallsyms_symbol *symbol)
{
	if (symbol->module)
		return;
	if (strcmp(symbol->name, "_text") == 0 || (strcmp(symbol->name, "_stext") == 0 && kallsyms->text_start == 0))
		kallsyms->text_start = symbol->start;
	else if (strcmp(symbol->name, "_etext") == 0)
		kallsyms->text_end = symbol->start;
}

/* Keeps the symbols of the text. *nr_hidden_ret: text symbols at address 0. */
static void text_parse(struct kallsyms *kallsyms, size_t *nr_hidden_ret)
{
	char *line = kallsyms->text;
	char *end = line + kallsyms->text_size;

	*nr_hidden_ret = 0;
	while (line < end) {
		char *line_end = memchr(line, '\n', (size_t)(end - line));
		struct kallsyms_symbol symbol;

		if (!line_end)
			line_end = end;
		*line_end = '\0';
		if (line_parse(line, &symbol)) {
			if (symbol.start == 0)
				(*nr_hidden_ret)++;
			if (symbol.start >= KERNEL_HALF) {
				text_edge(kallsyms, &symbol);
				*vector_push(&kallsyms->symbols) = symbol;
			}
		}
		line = line_end + 1;
	}
}

static void symbols_sort(struct kallsyms *kallsyms)
{
	struct kallsyms_symbol *symbols = kallsyms->symbols.data;
	size_t kept = 0;

	qsort(symbols, kallsyms->symbols.nr, sizeof(symbols[0]), symbol_compare);
	for (size_t i = 0; i < kallsyms->symbols.nr; i++)
		if (kept == 0 || symbols[kept - 1].start != symbols[i].start)
			symbols[kept++] = symbols[i];
	kallsyms->symbols.nr = kept;
}

int kallsyms_create(int fd, struct kallsyms **ret)
{
	struct kallsyms *kallsyms = memory_new(struct kallsyms);
	size_t nr_hidden = 0;
	int err = input_read(fd, TEXT_MAX_BYTES, &kallsyms->text, &kallsyms->text_size);

	close(fd);
	if (err == 0) {
		text_parse(kallsyms, &nr_hidden);
		if (kallsyms->symbols.nr == 0)
			err = nr_hidden > 0 ? -EPERM : -ENODATA;
	}
	if (err < 0) {
		kallsyms_destroy(kallsyms);
		return err;
	}
	symbols_sort(kallsyms);
	*ret = kallsyms;
	return 0;
}

void kallsyms_destroy(struct kallsyms *kallsyms)
{
	if (!kallsyms)
		return;
	free(kallsyms->text);
	vector_free(&kallsyms->symbols);
	free(kallsyms);
}

/* --- search ---------------------------------------------------------------------------------------------------------
 */

bool kallsyms_find(const struct kallsyms *kallsyms, uint64_t pc, struct kernel_symbol *ret)
{
	const struct kallsyms_symbol *symbols = kallsyms->symbols.data;
	size_t nr = sorted_front(kallsyms->symbols.nr, i, symbols[i].start <= pc);
	uint64_t end;

	if (nr == 0)
		return false;
	end = symbols[nr - 1].start + SYMBOL_MAX_BYTES;
	if (nr < kallsyms->symbols.nr && symbols[nr].start - symbols[nr - 1].start < SYMBOL_MAX_BYTES)
		end = symbols[nr].start;
	else if (end < symbols[nr - 1].start)
		end = UINT64_MAX;
	if (pc >= end)
		return false;
	*ret = (struct kernel_symbol){
		.name = symbols[nr - 1].name,
		.module = symbols[nr - 1].module,
		.start = symbols[nr - 1].start,
		.end = end,
	};
	return true;
}

uint64_t kallsyms_text_start(const struct kallsyms *kallsyms)
{
	return kallsyms->text_start;
}

uint64_t kallsyms_text_end(const struct kallsyms *kallsyms)
{
	return kallsyms->text_end;
}
