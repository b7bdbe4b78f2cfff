/* SPDX-License-Identifier: Apache-2.0 */
/* CIEs and FDEs: encodings, augmentations, lengths, what overlaps, what is wrong. */
#include "unwind_fixture.h"

/* Adds a CIE with an encoding of addresses, and the two fields of an FDE that follows. */
static struct unwind_table *compile_encoding(uint8_t encoding, const uint8_t *fields, size_t size)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = cie_begin(&cfi, 1, "zR", &encoding, 1);
	struct elf_image image = image_create(IMAGE_SIZE);
	struct unwind_table *table = NULL;

	put_usual_start(&cfi);
	cfi_end(&cfi);
	cfi_begin(&cfi);
	put_id(&cfi, false, cie);
	put_bytes(&cfi, fields, size);
	put_uleb(&cfi, 0);
	cfi_end(&cfi);
	image_add_section(&image, ".text", SHT_PROGBITS, SHF_ALLOC, IMAGE_CODE, IMAGE_CODE_SIZE);
	image_add_section(&image, ".got", SHT_PROGBITS, SHF_ALLOC, IMAGE_DATA_END - 0x100, 0x100);
	image_add_eh_frame(&image, &cfi);
	int err = compile_fd(image_fd(&image), &table);

	assert_true(err == 0 || err == -EBADMSG);
	image_destroy(&image);
	return table;
}

static void check_encoding(uint8_t encoding, const uint8_t *fields, size_t size)
{
	struct unwind_table *table = compile_encoding(encoding, fields, size);

	assert_non_null(table);
	check_kind(table, FUNCTION - 1, CFA_NONE);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	check_rule(table, FUNCTION + 0x7f, usual_rule(DWARF_RSP, 8));
	check_kind(table, FUNCTION + 0x80, CFA_NONE);
	unwind_table_destroy(table);
}

static void address_encodings(void **state)
{
	/* FUNCTION is 0x1100; .got begins at 0x8f00; the first field is at 0x5120. */
	(void)state;
	check_encoding(0x00, BYTES(0x00, 0x11, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0));
	check_encoding(0x04, BYTES(0x00, 0x11, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0));
	check_encoding(0x01, BYTES(0x80, 0x22, 0x80, 0x01));
	check_encoding(0x02, BYTES(0x00, 0x11, 0x80, 0x00));
	check_encoding(0x03, BYTES(0x00, 0x11, 0, 0, 0x80, 0, 0, 0));
	check_encoding(0x09, BYTES(0x80, 0x22, 0x80, 0x01));
	check_encoding(0x1a, BYTES(0xe0, 0xbf, 0x80, 0x00));
	check_encoding(0x1b, BYTES(0xe0, 0xbf, 0xff, 0xff, 0x80, 0, 0, 0));
	check_encoding(0x1c, BYTES(0xe0, 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0));
	check_encoding(0x2b, BYTES(0x00, 0x01, 0, 0, 0x80, 0, 0, 0));
	check_encoding(0x3b, BYTES(0x00, 0x82, 0xff, 0xff, 0x80, 0, 0, 0));
	check_encoding(0x50, BYTES(0x00, 0x11, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0));
}

static void address_encodings_refused(void **state)
{
	static const uint8_t encodings[] = {0x9b, 0x80, 0x4b, 0x6b, 0x7b, 0x05, 0x0d, 0x0f, 0xff};

	(void)state;
	for (size_t i = 0; i < sizeof(encodings); i++)
		assert_null(
			compile_encoding(encodings[i], BYTES(0x00, 0x11, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0)));
}

/* One function below a CIE of the test's making. */
static struct unwind_table *compile_cie(struct cfi_image *cfi, size_t cie, const uint8_t *augmentation, size_t size)
{
	cfi_begin(cfi);
	put_id(cfi, false, cie);
	put_number(cfi, FUNCTION, 8);
	put_number(cfi, FUNCTION_SIZE, 8);
	put_bytes(cfi, augmentation, size);
	put_bytes(cfi, BYTES(DW_CFA_def_cfa_offset, 16));
	cfi_end(cfi);
	put_fde(cfi, put_usual_cie(cfi), FUNCTION + FUNCTION_SIZE, 0x10, NULL, 0);
	return compile_eh_frame(cfi);
}

static void check_augmentation(uint8_t version, const char *letters, const uint8_t *data, size_t size,
			       const uint8_t *fde_data, size_t fde_size, struct unwind_rule expected)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = cie_begin(&cfi, version, letters, data, size);

	put_usual_start(&cfi);
	cfi_end(&cfi);
	struct unwind_table *table = compile_cie(&cfi, cie, fde_data, fde_size);

	check_rule(table, FUNCTION, expected);
	check_rule(table, FUNCTION + FUNCTION_SIZE,
		   usual_rule(DWARF_RSP, 8)); /* the next one is fine, whatever happens */
	unwind_table_destroy(table);
}

static void augmentations(void **state)
{
	struct unwind_rule rule = usual_rule(DWARF_RSP, 16);
	struct unwind_rule signal = {.cfa = CFA_SIGNAL};
	struct unwind_rule none = {.cfa = CFA_NONE};

	(void)state;
	check_augmentation(1, "", NULL, 0, NULL, 0, rule);
	check_augmentation(3, "", NULL, 0, NULL, 0, rule);
	check_augmentation(1, "z", NULL, 0, BYTES(0), rule);
	check_augmentation(1, "zPLR", BYTES(0x9b, 1, 2, 3, 4, 0x1b, 0x00), BYTES(4, 9, 9, 9, 9), rule);
	check_augmentation(1, "zPLR", BYTES(0xff, 0xff, 0x00), BYTES(4, 9, 9, 9, 9), rule);
	check_augmentation(1, "zRB", BYTES(0x00), BYTES(0), rule);
	check_augmentation(1, "zRS", BYTES(0x00), BYTES(0), signal);
	check_augmentation(1, "zS", NULL, 0, BYTES(0), signal);
	check_augmentation(1, "zRX?", BYTES(0x00, 7, 7, 7), BYTES(0), rule); /* nobody's letters: skipped by length */
	check_augmentation(1, "zP", BYTES(0x1b, 1, 2), BYTES(0), none);      /* data ends within a pointer */
	check_augmentation(1, "zR", NULL, 0, BYTES(0), none);
	check_augmentation(1, "X", NULL, 0, NULL, 0, none); /* of unknown length */
	check_augmentation(2, "", NULL, 0, NULL, 0, none);
	check_augmentation(5, "", NULL, 0, NULL, 0, none);
}

static void cie_of_gcc_2(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = cfi.size;

	(void)state;
	cfi_begin(&cfi);
	put_id(&cfi, true, 0);
	put_bytes(&cfi, BYTES(1, 'e', 'h', 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0x78, 16));
	put_usual_start(&cfi);
	cfi_end(&cfi);
	struct unwind_table *table = compile_cie(&cfi, cie, NULL, 0);

	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 16));
	unwind_table_destroy(table);
}

static void alignment_factors(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = cfi.size;

	(void)state;
	cfi_begin(&cfi);
	put_id(&cfi, true, 0);
	put_bytes(&cfi, BYTES(1, 0, 4 /* code */, 0x7c /* data: -4 */, 16));
	put_bytes(&cfi, BYTES(DW_CFA_def_cfa, 7, 8, DW_CFA_offset_extended, 16, 2));
	cfi_end(&cfi);
	cfi_begin(&cfi);
	put_id(&cfi, false, cie);
	put_number(&cfi, FUNCTION, 8);
	put_number(&cfi, FUNCTION_SIZE, 8);
	put_bytes(&cfi, BYTES(DW_CFA_advance_loc | 3, DW_CFA_def_cfa_offset, 16));
	cfi_end(&cfi);
	struct unwind_table *table = compile_eh_frame(&cfi);

	check_rule(table, FUNCTION + 11, usual_rule(DWARF_RSP, 8));
	check_rule(table, FUNCTION + 12, usual_rule(DWARF_RSP, 16));
	unwind_table_destroy(table);
}

/* Column numbers of the return address other than 16 are honoured. */
static void other_return_column(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = cfi.size;
	struct unwind_rule rule = usual_rule(DWARF_RSP, 16);

	(void)state;
	cfi_begin(&cfi);
	put_id(&cfi, true, 0);
	put_bytes(&cfi, BYTES(3, 0, 1, 0x78, 0x80, 0x01));
	put_bytes(&cfi, BYTES(DW_CFA_def_cfa, 7, 8, DW_CFA_offset_extended, 0x80, 0x01, 3, DW_CFA_undefined, 16));
	cfi_end(&cfi);
	struct unwind_table *table = compile_cie(&cfi, cie, NULL, 0);

	rule.ra_offset = -24;
	check_rule(table, FUNCTION, rule);
	unwind_table_destroy(table);
}

/* Neither CFA nor return address are said. */
static void cie_that_says_nothing(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = cie_begin(&cfi, 1, "", NULL, 0);

	(void)state;
	cfi_end(&cfi);
	struct unwind_table *table = compile_cie(&cfi, cie, NULL, 0);

	check_kind(table, FUNCTION, CFA_UNSUPPORTED);
	assert_int_equal(table->nr_rows_unsupported, 1);
	unwind_table_destroy(table);
}

static void wrong_cie_pointers(void **state)
{
	static const int64_t wrong[] = {-8, 4, 8, 0x1000, INT32_MIN};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct cfi_image cfi = cfi_of_eh_frame();
		size_t cie = put_usual_cie(&cfi);

		put_fde(&cfi, cie + (uint64_t)wrong[i], FUNCTION, FUNCTION_SIZE, NULL, 0);
		put_fde(&cfi, cie, FUNCTION + 0x100, FUNCTION_SIZE, NULL, 0);
		struct unwind_table *table = compile_eh_frame(&cfi);

		assert_int_equal(table->nr_fdes, 1);
		assert_int_equal(table->nr_fdes_broken, 1);
		unwind_table_destroy(table);
	}
}

/* An FDE that names another FDE, or itself. */
static void fde_as_cie(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);

	(void)state;
	put_fde(&cfi, cie, FUNCTION, FUNCTION_SIZE, NULL, 0);
	size_t self = cfi.size;

	put_fde(&cfi, cie + 0x18, FUNCTION + 0x100, FUNCTION_SIZE, NULL, 0);
	put_fde(&cfi, self, FUNCTION + 0x200, FUNCTION_SIZE, NULL, 0);
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 1);
	assert_int_equal(table->nr_fdes_broken, 2);
	unwind_table_destroy(table);
}

static void wide_lengths(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();

	(void)state;
	cfi.is_64bit = true;
	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION, FUNCTION_SIZE, BYTES(DW_CFA_def_cfa_offset, 16));
	struct unwind_table *table = compile_eh_frame(&cfi);

	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 16));
	unwind_table_destroy(table);
}

static void lengths_that_lie(void **state)
{
	static const uint32_t lengths[] = {0x4000, 0x7fffffff, 0xfffffff0, 0xffffffff, 3, 1};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct cfi_image cfi = cfi_of_eh_frame();
		size_t cie = put_usual_cie(&cfi);

		put_fde(&cfi, cie, FUNCTION, FUNCTION_SIZE, NULL, 0);
		size_t place = cfi.size;

		put_fde(&cfi, cie, FUNCTION + 0x100, FUNCTION_SIZE, NULL, 0);
		memcpy(cfi.bytes + place, &lengths[i], 4);
		struct unwind_table *table = compile_eh_frame(&cfi);

		assert_int_equal(table->nr_fdes, 1);
		assert_int_equal(table->nr_fdes_broken, 1);
		unwind_table_destroy(table);
	}
}

static void functions_outside_of_code(void **state)
{
	static const struct {
		uint64_t start;
		uint64_t size;
	} ranges[] = {
		{IMAGE_CODE - 1, 2}, {IMAGE_CODE + IMAGE_CODE_SIZE - 1, 2},
		{0, 0x10},           {IMAGE_HDR, 4},
		{FUNCTION, 0},       {FUNCTION, UINT32_MAX / 2},
	};
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);
	size_t nr = sizeof(ranges) / sizeof(ranges[0]);

	(void)state;
	for (size_t i = 0; i < nr; i++)
		put_fde(&cfi, cie, ranges[i].start, ranges[i].size, NULL, 0);
	put_fde(&cfi, cie, IMAGE_CODE + IMAGE_CODE_SIZE - 1, 1, NULL, 0);
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 1);
	assert_int_equal(table->nr_fdes_broken, nr);
	assert_int_equal(table->start, (IMAGE_CODE_SIZE - 1) / GRANULE_SIZE * GRANULE_SIZE);
	check_rule(table, IMAGE_CODE + IMAGE_CODE_SIZE - 1, usual_rule(DWARF_RSP, 8));
	check_kind(table, IMAGE_CODE + IMAGE_CODE_SIZE, CFA_NONE);
	unwind_table_destroy(table);
}

static void overlapping_functions(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);

	(void)state;
	put_fde(&cfi, cie, FUNCTION + 0x20, 0x20, BYTES(DW_CFA_def_cfa_offset, 24)); /* starts later */
	put_fde(&cfi, cie, FUNCTION, 0x80,
		BYTES(DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc | 0x30, DW_CFA_def_cfa_offset, 32));
	put_fde(&cfi, cie, FUNCTION, 0x10, BYTES(DW_CFA_def_cfa_offset, 40)); /* starts there too, but is second */
	put_fde(&cfi, cie, FUNCTION + 0x80, 0x10, BYTES(DW_CFA_def_cfa_offset, 32));
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 4);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 16));
	check_rule(table, FUNCTION + 0x1f, usual_rule(DWARF_RSP, 16));
	check_rule(table, FUNCTION + 0x20, usual_rule(DWARF_RSP, 24));
	check_rule(table, FUNCTION + 0x3f, usual_rule(DWARF_RSP, 24));
	check_rule(table, FUNCTION + 0x40, usual_rule(DWARF_RSP, 32)); /* what the outer one has reached meanwhile */
	check_rule(table, FUNCTION + 0x8f, usual_rule(DWARF_RSP, 32));
	check_kind(table, FUNCTION + 0x90, CFA_NONE);
	assert_int_equal(table->nr_rows, 4); /* equal neighbours are one */
	unwind_table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_encodings),
		cmocka_unit_test(address_encodings_refused),
		cmocka_unit_test(augmentations),
		cmocka_unit_test(cie_of_gcc_2),
		cmocka_unit_test(alignment_factors),
		cmocka_unit_test(other_return_column),
		cmocka_unit_test(cie_that_says_nothing),
		cmocka_unit_test(wrong_cie_pointers),
		cmocka_unit_test(fde_as_cie),
		cmocka_unit_test(wide_lengths),
		cmocka_unit_test(lengths_that_lie),
		cmocka_unit_test(functions_outside_of_code),
		cmocka_unit_test(overlapping_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
