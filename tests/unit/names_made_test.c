/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_made_test.c - DWARF written here byte by byte: strings that don't end, and every byte wrong in turn.
 *
 * The file has one unit with one function and two lines, and a symbol for the same code, which is what has to be left
 * when DWARF isn't believed. libdw measures strings without regard to the end of their section; under the address
 * sanitizer that ends the test, and what the tests demand of the answers shows it without.
 */
#include "names_fixture.h"

#include <dwarf.h>
#include <errno.h>

enum { FUNCTION_ADDR = TEXT_ADDR + 0x100, FUNCTION_SIZE = 0x20, PIECE_MAX = 256 };

struct piece {
	uint8_t bytes[PIECE_MAX];
	size_t nr;
};

static void put(struct piece *piece, const void *bytes, size_t nr)
{
	assert_true(nr <= PIECE_MAX - piece->nr);
	memcpy(piece->bytes + piece->nr, bytes, nr);
	piece->nr += nr;
}

static void put_number(struct piece *piece, uint64_t number, size_t size)
{
	put(piece, &number, size);
}

static void put_string(struct piece *piece, const char *text)
{
	put(piece, text, strlen(text) + 1);
}

/* Writes how many bytes follow the field. */
static void put_length(struct piece *piece, size_t at)
{
	uint32_t length = (uint32_t)(piece->nr - at - sizeof(length));

	memcpy(piece->bytes + at, &length, sizeof(length));
}

/* All that the file is made of; strings are behind one another where the forms below want them. */
struct made {
	struct piece abbrev, info, line, str, line_str;
};

#define PUT(piece, ...) put(piece, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void make_abbrev(struct piece *abbrev, uint8_t name_form, bool folder_is_last)
{
	PUT(abbrev, 1, DW_TAG_compile_unit, folder_is_last ? DW_CHILDREN_no : DW_CHILDREN_yes);
	PUT(abbrev, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data4, DW_AT_stmt_list, DW_FORM_sec_offset);
	PUT(abbrev, DW_AT_comp_dir, DW_FORM_string, 0, 0);
	PUT(abbrev, 2, DW_TAG_subprogram, DW_CHILDREN_no);
	PUT(abbrev, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data4, DW_AT_name, name_form, 0, 0, 0);
}

static void make_info(struct piece *info, uint8_t name_form, bool folder_is_last)
{
	put_number(info, 0, 4);
	PUT(info, 5, 0, DW_UT_compile, 8, 0, 0, 0, 0);
	PUT(info, 1);
	put_number(info, TEXT_ADDR, 8);
	put_number(info, TEXT_SIZE, 4);
	put_number(info, 0, 4);
	put_string(info, "/folder");
	if (!folder_is_last) {
		PUT(info, 2);
		put_number(info, FUNCTION_ADDR, 8);
		put_number(info, FUNCTION_SIZE, 4);
		if (name_form == DW_FORM_string)
			put_string(info, "by_dwarf");
		else
			put_number(info, 0, 4);
	}
	put_length(info, 0);
}

static void make_line(struct piece *line)
{
	put_number(line, 0, 4);
	PUT(line, 5, 0, 8, 0);
	size_t header_at = line->nr;

	put_number(line, 0, 4);
	PUT(line, 1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1);
	PUT(line, 1, DW_LNCT_path, DW_FORM_line_strp, 1, 0, 0, 0, 0);
	PUT(line, 2, DW_LNCT_path, DW_FORM_line_strp, DW_LNCT_directory_index, DW_FORM_udata, 2);
	PUT(line, 8, 0, 0, 0, 0, 8, 0, 0, 0, 0);
	put_length(line, header_at);
	PUT(line, 0, 9, DW_LNE_set_address);
	put_number(line, FUNCTION_ADDR, 8);
	PUT(line, DW_LNS_advance_line, 41, DW_LNS_copy, DW_LNS_advance_pc, FUNCTION_SIZE, 0, 1, DW_LNE_end_sequence);
	put_length(line, 0);
}

static struct made make_all(uint8_t name_form, bool folder_is_last)
{
	struct made made = {0};

	make_abbrev(&made.abbrev, name_form, folder_is_last);
	make_info(&made.info, name_form, folder_is_last);
	make_line(&made.line);
	put_string(&made.str, "by_dwarf");
	put_string(&made.line_str, "/folder");
	put_string(&made.line_str, "a.c");
	return made;
}

/* The answer for an address of the function. */
static struct kept ask(const struct made *made, struct names_status *status)
{
	const struct {
		const char *name;
		const struct piece *piece;
	} sections[] = {{".debug_abbrev", &made->abbrev},
			{".debug_info", &made->info},
			{".debug_line", &made->line},
			{".debug_str", &made->str},
			{".debug_line_str", &made->line_str}};
	uint64_t addr = FUNCTION_ADDR + 4;
	struct image image;
	struct kept kept;

	image_init(&image);
	image_function(&image, "by_symbol", FUNCTION_ADDR, FUNCTION_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		image_section(&image, sections[i].name, SHT_PROGBITS, sections[i].piece->bytes, sections[i].piece->nr);
	*status = image_names(&image, NULL, NULL, &addr, 1, &kept);
	image_deinit(&image);
	return kept;
}

static void assert_answer(const struct made *made, bool has_debug_info, const char *name, const char *file,
			  uint32_t line)
{
	struct names_status status;
	struct kept kept = ask(made, &status);

	assert_int_equal(status.has_debug_info, has_debug_info);
	assert_int_equal(kept.nr_frames, 1);
	assert_string_equal(kept.frames[0].name, name);
	assert_string_equal(kept.frames[0].file, file);
	assert_int_equal(kept.frames[0].line, line);
}

static void test_whole(void **state)
{
	struct made in_entry = make_all(DW_FORM_string, false), in_table = make_all(DW_FORM_strp, false);
	struct made folder_is_last = make_all(DW_FORM_string, true);

	(void)state;
	assert_answer(&in_entry, true, "by_dwarf", "/folder/a.c", 42);
	assert_answer(&in_table, true, "by_dwarf", "/folder/a.c", 42);
	assert_answer(&folder_is_last, true, "by_symbol", "/folder/a.c", 42);
}

/* A table of strings whose last one doesn't end is no reason to read on, but one not to believe the DWARF. */
static void test_table_of_strings_does_not_end(void **state)
{
	struct made in_names = make_all(DW_FORM_strp, false), in_files = make_all(DW_FORM_strp, false);

	(void)state;
	in_names.str.nr--;
	assert_answer(&in_names, false, "by_symbol", "?", 0);
	in_files.line_str.nr--;
	assert_answer(&in_files, false, "by_symbol", "?", 0);
}

static void test_name_does_not_end(void **state)
{
	struct made made = make_all(DW_FORM_string, false);

	(void)state;
	made.info.nr--;
	put_length(&made.info, 0);
	assert_answer(&made, true, "by_symbol", "/folder/a.c", 42);
}

/* libdw would measure it for the lines. */
static void test_folder_does_not_end(void **state)
{
	struct made made = make_all(DW_FORM_string, true);

	(void)state;
	made.info.nr--;
	put_length(&made.info, 0);
	assert_answer(&made, true, "by_symbol", "?", 0);
}

/* Asks with the section as it is but for one byte, and cut at that byte: an answer, whatever it is. */
static void ask_damaged(struct made *made, struct piece *piece, size_t at)
{
	static const uint8_t changes[] = {0x01, 0x02, 0x04, 0x10, 0x80, 0xff};
	struct names_status status;
	size_t nr = piece->nr;

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		piece->bytes[at] ^= changes[i];
		assert_true(ask(made, &status).nr_frames <= 1);
		piece->bytes[at] ^= changes[i];
	}
	piece->nr = at;
	assert_true(ask(made, &status).nr_frames <= 1);
	piece->nr = nr;
}

static void test_every_byte_wrong(void **state)
{
	(void)state;
	for (int form = 0; form < 2; form++) {
		struct made made = make_all(form ? DW_FORM_strp : DW_FORM_string, false);
		struct piece *pieces[] = {&made.abbrev, &made.info, &made.line, &made.str, &made.line_str};

		for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
			for (size_t at = 0; at < pieces[i]->nr; at++)
				ask_damaged(&made, pieces[i], at);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_table_of_strings_does_not_end),
		cmocka_unit_test(test_name_does_not_end),
		cmocka_unit_test(test_folder_does_not_end),
		cmocka_unit_test(test_every_byte_wrong),
	};

	return cmocka_run_group_tests_name("names_made", tests, NULL, NULL);
}
