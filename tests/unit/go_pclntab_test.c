/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_pclntab_test.c - Go's function table in each of its four layouts, wherever it is in the file, and broken in every
 * byte: what becomes of rows and names.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "elf_image.h"
#include "go_pclntab.h"
#include "memory.h"
#include "names.h"
#include "unwind.h"

enum {
	TABLE = IMAGE_FRAMES + 0x100,
	NAMES = 0x100, /* these from the table's start */
	VALUES = 0x200,
	FUNCTIONS = 0x280,
	TABLE_SIZE = 0x600,
	TEXT_FIELD = 0x18,
	/* The code */
	FRAMED = IMAGE_CODE,
	OLD = IMAGE_CODE + 0x40,
	GOEXIT = IMAGE_CODE + 0x80,
	GOEXIT1 = IMAGE_CODE + 0xa0,
	END = IMAGE_CODE + 0xc0,
};

/* Stretches {value, bytes}; 0 bytes end them. */
struct stretch {
	int value;
	unsigned int bytes;
};
static const struct function {
	const char *name;
	uint64_t start;
	struct stretch deltas[4];
} functions[] = {
	{"main.framed", FRAMED, {{0, 1}, {8, 0x3d}, {0, 2}}},
	{"main.old", OLD, {{0, 4}, {0x18, 0x38}, {0, 4}}},
	{"runtime.goexit", GOEXIT, {{0, 7}}},
	{"runtime.goexit1", GOEXIT1, {{0, 0x20}}},
};

struct writer {
	uint8_t *bytes; /* of the table */
	size_t at;
};

static void put(struct writer *writer, uint64_t number, size_t size)
{
	memcpy(writer->bytes + writer->at, &number, size);
	writer->at += size;
}

static void put_leb(struct writer *writer, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		put(writer, (number & 0x7f) | 0x80, 1);
	put(writer, number, 1);
}

/* Where they were put. */
static uint32_t put_deltas(struct writer *writer, const struct stretch *stretches)
{
	size_t start = writer->at;
	int before = -1;

	for (; stretches->bytes; before = (stretches++)->value) {
		int change = stretches->value - before;

		put_leb(writer, change < 0 ? 2 * (uint64_t)-change - 1 : 2 * (uint64_t)change);
		put_leb(writer, stretches->bytes);
	}
	put(writer, 0, 1);
	return (uint32_t)start;
}

static void put_header(struct writer *writer, enum go_version version)
{
	static const uint32_t magic[] = {0xfffffffb, 0xfffffffa, 0xfffffff0, 0xfffffff1};

	put(writer, magic[version], 4);
	put(writer, 0x08010000, 4);
	put(writer, ARRAY_SIZE(functions), 8);
	if (version == GO_1_2)
		return;
	put(writer, 0, 8);
	if (version >= GO_1_18)
		put(writer, IMAGE_CODE, 8);
	put(writer, NAMES, 8);
	put(writer, 0, 8);
	put(writer, 0, 8);
	put(writer, VALUES, 8);
	put(writer, FUNCTIONS, 8);
}

static void put_function(struct writer *writer, enum go_version version, const struct function *function, uint32_t name,
			 uint32_t deltas)
{
	put(writer, version >= GO_1_18 ? function->start - IMAGE_CODE : function->start, version >= GO_1_18 ? 4 : 8);
	put(writer, name, 4);
	put(writer, 0, 8);
	put(writer, deltas, 4);
	/* Everything else is 0, as it is. */
	writer->at += (version >= GO_1_20 ? 20 : version >= GO_1_16 ? 16 : 12) + 4;
}

static void write_table(uint8_t *bytes, enum go_version version)
{
	size_t width = version >= GO_1_18 ? 4 : 8;
	bool is_flat = version == GO_1_2; /* everything counts from the table's start */
	struct writer header = {bytes, 0}, names = {bytes, NAMES}, values = {bytes, VALUES + 1};
	struct writer list = {bytes, is_flat ? 16 : FUNCTIONS}, rest = {bytes, FUNCTIONS + 0x80};

	put_header(&header, version);
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		uint32_t name = (uint32_t)names.at - (is_flat ? 0 : NAMES);
		uint32_t deltas = put_deltas(&values, functions[i].deltas) - (is_flat ? 0 : VALUES);

		for (const char *letter = functions[i].name; *letter; letter++)
			put(&names, (uint8_t)*letter, 1);
		put(&names, 0, 1);
		put(&list, version >= GO_1_18 ? functions[i].start - IMAGE_CODE : functions[i].start, width);
		put(&list, rest.at - (is_flat ? 0 : FUNCTIONS), width);
		put_function(&rest, version, &functions[i], name, deltas);
	}
	put(&list, version >= GO_1_18 ? END - IMAGE_CODE : END, width);
}

static struct elf_image create_program(enum go_version version)
{
	static const uint8_t framed[] = {0x55, 0x48, 0x89, 0xe5};
	static const uint8_t old[] = {0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0x6c,
				      0x24, 0x10, 0x48, 0x8d, 0x6c, 0x24, 0x10};
	static const uint8_t goexit[] = {0x90, 0xe8, GOEXIT1 - GOEXIT - 6, 0, 0, 0, 0x90};
	struct elf_image image = image_create(IMAGE_SIZE);

	memcpy(image.bytes + FRAMED, framed, sizeof(framed));
	memcpy(image.bytes + OLD, old, sizeof(old));
	memcpy(image.bytes + GOEXIT, goexit, sizeof(goexit));
	write_table(image.bytes + TABLE, version);
	return image;
}

static int compile(const struct elf_image *image, struct unwind_table **ret)
{
	struct object *object;

	assert_int_equal(object_create(image_fd(image), NULL, NULL, &object), 0);
	int err = unwind_table_compile(object, TABLE_WHOLE, ret);

	object_destroy(object);
	return err;
}

static void check_rule(const struct unwind_table *table, uint64_t addr, int32_t cfa_offset, bool has_saved_rbp)
{
	const struct unwind_rule *rule = unwind_table_find(table, addr - IMAGE_CODE);

	assert_int_equal(rule->cfa, CFA_REGISTER);
	assert_int_equal(rule->cfa_reg, DWARF_RSP);
	assert_int_equal(rule->cfa_offset, cfa_offset);
	assert_int_equal(rule->ra, VALUE_AT_CFA);
	assert_int_equal(rule->ra_offset, -8);
	assert_int_equal(rule->rbp, has_saved_rbp ? VALUE_AT_CFA : VALUE_SAME);
	assert_int_equal(rule->rbp_offset, has_saved_rbp ? -16 : 0);
	assert_int_equal(rule->rbx_offset, RBX_LOST);
}

static void check_rules(const struct elf_image *image)
{
	struct unwind_table *table;

	assert_int_equal(compile(image, &table), 0);
	check_rule(table, FRAMED, 8, false);
	check_rule(table, FRAMED + 1, 16, true);
	check_rule(table, FRAMED + 0x3d, 16, true);
	check_rule(table, FRAMED + 0x3e, 8, false);
	/* rbp is stored by the instruction behind the one that makes the frame. */
	check_rule(table, OLD + 3, 8, false);
	check_rule(table, OLD + 4, 0x20, false);
	check_rule(table, OLD + 8, 0x20, false);
	check_rule(table, OLD + 9, 0x20, true);
	check_rule(table, OLD + 0x3b, 0x20, true);
	check_rule(table, OLD + 0x3c, 8, false);
	assert_int_equal(unwind_table_find(table, GOEXIT - IMAGE_CODE)->cfa, CFA_ROOT);
	check_rule(table, GOEXIT1, 8, false);
	assert_int_equal(unwind_table_find(table, END - IMAGE_CODE)->cfa, CFA_NONE);
	unwind_table_destroy(table);
}

static void add_table_section(struct elf_image *image, const char *name)
{
	image_add_section(image, name, SHT_PROGBITS, SHF_ALLOC, TABLE, TABLE_SIZE);
}

static void every_version(void **state)
{
	(void)state;
	for (enum go_version version = GO_1_2; version <= GO_1_20; version++) {
		struct elf_image image = create_program(version);

		add_table_section(&image, ".gopclntab");
		check_rules(&image);
		image_destroy(&image);
	}
}

static void every_place(void **state)
{
	(void)state;
	struct elf_image image = create_program(GO_1_20);

	/* No section headers at all. */
	check_rules(&image);
	add_table_section(&image, ".data.rel.ro.gopclntab");
	check_rules(&image);
	image_destroy(&image);

	/* Somewhere in another section, of a file that is Go's by another sign. */
	image = create_program(GO_1_18);
	image_add_section(&image, ".data.rel.ro", SHT_PROGBITS, SHF_ALLOC, IMAGE_FRAMES, IMAGE_DATA_END - IMAGE_FRAMES);
	struct unwind_table *table;

	/* What instructions tell, and nothing of what only Go knows. */
	assert_int_equal(compile(&image, &table), 0);
	assert_int_not_equal(unwind_table_find(table, GOEXIT - IMAGE_CODE)->cfa, CFA_ROOT);
	unwind_table_destroy(table);
	image_add_section(&image, ".go.buildinfo", SHT_PROGBITS, SHF_ALLOC, IMAGE_HDR, 16);
	check_rules(&image);
	image_destroy(&image);
}

/* The address in the header is missing, or is another's: the code decides. */
static void text_is_found_by_code(void **state)
{
	const uint64_t addrs[] = {0, IMAGE_CODE + 0x40, UINT64_MAX};
	struct unwind_table *table;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		struct elf_image image = create_program(GO_1_20);

		memcpy(image.bytes + TABLE + TEXT_FIELD, &addrs[i], sizeof(addrs[i]));
		check_rules(&image);
		/* Code that the table doesn't describe. */
		image.bytes[GOEXIT + 2]++;
		assert_int_equal(compile(&image, &table), -ENODATA);
		image_destroy(&image);
	}
}

static void keep_name(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	char **names = context;

	names[index] = nr_frames ? memory_strdup(frames[0].name) : NULL;
}

static void names_of_stripped_programs(void **state)
{
	struct elf_image image = create_program(GO_1_20);
	const uint64_t addrs[] = {FRAMED, OLD + 0x3f, GOEXIT1 + 1, END};
	char *names[ARRAY_SIZE(addrs)];
	struct names_status status;
	struct object *object;

	(void)state;
	add_table_section(&image, ".gopclntab");
	assert_int_equal(object_create(image_fd(&image), NULL, NULL, &object), 0);
	assert_int_equal(names_find(object, addrs, ARRAY_SIZE(addrs), keep_name, names, &status), 0);
	assert_string_equal(names[0], "main.framed");
	assert_string_equal(names[1], "main.old");
	assert_string_equal(names[2], "runtime.goexit1");
	assert_null(names[3]);
	assert_true(status.has_symtab);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		free(names[i]);
	object_destroy(object);
	image_destroy(&image);
}

/* One function's deltas are longer than the function: it alone has no rows. */
static void broken_function_costs_itself(void **state)
{
	struct elf_image image = create_program(GO_1_20);
	struct unwind_table *table;

	(void)state;
	add_table_section(&image, ".gopclntab");
	image.bytes[TABLE + VALUES + 2] = 0x7f;
	assert_int_equal(compile(&image, &table), 0);
	assert_int_equal(unwind_table_find(table, 0)->cfa, CFA_NONE);
	check_rule(table, OLD + 9, 0x20, true);
	assert_int_equal(table->nr_fdes_broken, 1);
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* Counts and offsets that lead out of the table are refused before anything of their size is made. */
static void header_is_checked(void **state)
{
	const size_t fields[] = {8, 0x20, 0x38, 0x40};
	const uint64_t values[] = {0xffff, 1ull << 32, UINT64_MAX, INT64_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
			struct elf_image image = create_program(GO_1_20);
			struct unwind_table *table;

			add_table_section(&image, ".gopclntab");
			memcpy(image.bytes + TABLE + fields[i], &values[j], 8);
			assert_int_equal(compile(&image, &table), -ENODATA);
			image_destroy(&image);
		}
	}
}

/* Any byte may be anything; the sanitizers watch. What is left has to be rows of this code. */
static void every_byte_broken(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

	(void)state;
	for (enum go_version version = GO_1_2; version <= GO_1_20; version++) {
		for (size_t at = 0; at < FUNCTIONS + 0x180; at++) {
			struct elf_image image = create_program(version);
			struct unwind_table *table = NULL;

			add_table_section(&image, ".gopclntab");
			image.bytes[TABLE + at] ^= values[at % ARRAY_SIZE(values)] | 1;
			if (compile(&image, &table) == 0)
				assert_true(table->nr_granules <= IMAGE_CODE_SIZE / GRANULE_SIZE);
			unwind_table_destroy(table);
			image_destroy(&image);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_version),
		cmocka_unit_test(every_place),
		cmocka_unit_test(text_is_found_by_code),
		cmocka_unit_test(names_of_stripped_programs),
		cmocka_unit_test(broken_function_costs_itself),
		cmocka_unit_test(header_is_checked),
		cmocka_unit_test(every_byte_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
