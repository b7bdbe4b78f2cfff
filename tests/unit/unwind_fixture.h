/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_fixture.h - compiles call-frame information that a test wrote, and checks rules. Includes cmocka: the standard
 * headers that it wants come first.
 */
#ifndef EBPROF_TESTS_UNWIND_FIXTURE_H
#define EBPROF_TESTS_UNWIND_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "cfi_image.h"
#include "memory.h"
#include "unwind.h"

enum { FUNCTION = IMAGE_CODE + 0x100, FUNCTION_SIZE = 0x80 };

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static inline struct cfi_image cfi_of_eh_frame(void)
{
	return (struct cfi_image){.addr = IMAGE_FRAMES};
}

static inline int compile_fd(int fd, struct unwind_table **ret)
{
	struct object *object;

	assert_int_equal(object_create(fd, NULL, NULL, &object), 0);
	int err = unwind_table_compile(object, TABLE_WHOLE, ret);

	object_destroy(object);
	return err;
}

static inline struct unwind_table *compile_image(const struct elf_image *image)
{
	struct unwind_table *table = NULL;

	assert_int_equal(compile_fd(image_fd(image), &table), 0);
	return table;
}

static inline struct unwind_table *compile_eh_frame(const struct cfi_image *cfi)
{
	struct elf_image image = image_create(IMAGE_SIZE);

	image_add_eh_frame(&image, cfi);
	struct unwind_table *table = compile_image(&image);

	image_destroy(&image);
	return table;
}

/* Images are based at IMAGE_CODE. */
static inline struct unwind_rule rule_at(const struct unwind_table *table, uint64_t file_addr)
{
	return *unwind_table_find(table, file_addr - IMAGE_CODE);
}

static inline struct unwind_rule usual_rule(uint8_t reg, int32_t offset)
{
	return (struct unwind_rule){
		.cfa = CFA_REGISTER, .cfa_reg = reg, .cfa_offset = offset, .ra = VALUE_AT_CFA, .ra_offset = -8};
}

static inline void check_rule(const struct unwind_table *table, uint64_t file_addr, struct unwind_rule expected)
{
	struct unwind_rule rule = rule_at(table, file_addr);

	if (memcmp(&rule, &expected, sizeof(rule)) != 0)
		fail_msg("at %#llx: cfa %u %u%+d%+d rbp %u %u%+d ra %u %u%+d, expected cfa %u %u%+d%+d rbp %u %u%+d ra "
			 "%u %u%+d",
			 (unsigned long long)file_addr, rule.cfa, rule.cfa_reg, rule.cfa_offset, rule.cfa_add, rule.rbp,
			 rule.rbp_reg, rule.rbp_offset, rule.ra, rule.ra_reg, rule.ra_offset, expected.cfa,
			 expected.cfa_reg, expected.cfa_offset, expected.cfa_add, expected.rbp, expected.rbp_reg,
			 expected.rbp_offset, expected.ra, expected.ra_reg, expected.ra_offset);
}

static inline void check_kind(const struct unwind_table *table, uint64_t file_addr, enum unwind_cfa kind)
{
	check_rule(table, file_addr, (struct unwind_rule){.cfa = kind});
}

/* A table of one function with the usual CIE. */
static inline struct unwind_table *compile_program(const uint8_t *program, size_t size)
{
	struct cfi_image cfi = cfi_of_eh_frame();

	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION, FUNCTION_SIZE, program, size);
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 1);
	assert_int_equal(table->nr_fdes_broken, 0);
	return table;
}

/* The rule at the end of one function's program. */
static inline void check_program(const uint8_t *program, size_t size, struct unwind_rule expected)
{
	struct unwind_table *table = compile_program(program, size);

	check_rule(table, FUNCTION + FUNCTION_SIZE - 1, expected);
	check_kind(table, FUNCTION - 1, CFA_NONE);
	check_kind(table, FUNCTION + FUNCTION_SIZE, CFA_NONE);
	unwind_table_destroy(table);
}

static inline void check_unsupported(const uint8_t *program, size_t size)
{
	check_program(program, size, (struct unwind_rule){.cfa = CFA_UNSUPPORTED});
}

/* A function with a broken program, and a good one behind it: only the first is lost. */
static inline void check_malformed(const uint8_t *program, size_t size)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);

	put_fde(&cfi, cie, FUNCTION, FUNCTION_SIZE, program, size);
	put_fde(&cfi, cie, FUNCTION + FUNCTION_SIZE, 0x10, NULL, 0);
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 1);
	assert_int_equal(table->nr_fdes_broken, 1);
	check_kind(table, FUNCTION, CFA_NONE);
	check_rule(table, FUNCTION + FUNCTION_SIZE, usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);
}

#endif
