/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_symbols_test.c - which symbol names an address, when several or none cover it?
 *
 * Files are put together here, symbol by symbol: ranges with and without sizes, nested, cut by their section; aliases
 * of every binding and type; names longer than what is handed out.
 */
#include "names_fixture.h"

static void test_symbol_ranges(void **state)
{
	static const struct {
		uint64_t file_addr;
		const char *name;
	} cases[] = {
		{0x1000, ""},
		{0x10ff, ""},
		{0x1100, "first"},
		{0x110f, "first"},
		{0x1110, ""}, /* one byte after the end */
		{0x1200, "outer"},
		{0x1210, "inner"},
		{0x121f, "inner"},
		{0x1220, "outer"},
		{0x12ff, "outer"},
		{0x1300, ""},
		{0x1400, "unsized"},
		{0x14ff, "unsized"},
		{0x1500, "second"},
		{0x1510, ""},
		{0x1600, "lonely"},
		{0x25ff, "lonely"},
		{0x2600, ""}, /* after 4 KiB */
		{0x4f00, "clipped"},
		{0x4fff, "clipped"},
		{0x5000, ""},
		{0x8000, ""},
		{0, ""},
		{UINT64_MAX, ""},
	};
	struct image image;
	uint64_t addrs[ARRAY_SIZE(cases)];
	struct kept kept[ARRAY_SIZE(cases)];
	struct names_status status;

	(void)state;
	image_init(&image);
	image_function(&image, "second", 0x1500, 0x10);
	image_function(&image, "first", 0x1100, 0x10);
	image_function(&image, "outer", 0x1200, 0x100);
	image_function(&image, "inner", 0x1210, 0x10);
	image_function(&image, "unsized", 0x1400, 0);
	image_function(&image, "lonely", 0x1600, 0);
	image_function(&image, "clipped", 0x4f00, 0x100000);
	/* None of these name code. */
	image_function(&image, "beyond", 0x5000, 0x10);
	image_function(&image, "before", 0xff0, 0x10);
	image_symbol(&image, "data", DATA_ADDR, 16, STB_GLOBAL, STT_OBJECT, DATA_SECTION);
	image_symbol(&image, "undefined", 0x1000, 16, STB_GLOBAL, STT_FUNC, SHN_UNDEF);
	image_symbol(&image, "absolute", 0x1000, 16, STB_GLOBAL, STT_FUNC, SHN_ABS);
	image_symbol(&image, "file.c", 0x1000, 16, STB_LOCAL, STT_FILE, TEXT_SECTION);
	image_symbol(&image, "no_section", 0x1000, 16, STB_LOCAL, STT_FUNC, 700);
	image_symbol(&image, "", 0x1000, 16, STB_LOCAL, STT_FUNC, TEXT_SECTION);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		addrs[i] = cases[i].file_addr;
	status = image_names(&image, NULL, NULL, addrs, ARRAY_SIZE(cases), kept);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name = kept[i].nr_frames == 0 ? "" : kept[i].frames[0].name;

		assert_string_equal(name, cases[i].name);
		assert_true(kept[i].nr_frames <= 1);
	}
	assert_true(status.has_symtab);
	assert_false(status.has_debug_info);
	assert_false(status.debug_file_used);
	image_deinit(&image);
}

struct alias {
	const char *name;
	uint64_t size;
	int binding;
	int type;
};

static void assert_alias(const char *expected, const struct alias *aliases, size_t nr)
{
	/* In both orders. */
	for (int reverse = 0; reverse < 2; reverse++) {
		struct image image;

		image_init(&image);
		for (size_t i = 0; i < nr; i++) {
			const struct alias *alias = &aliases[reverse ? nr - 1 - i : i];

			image_symbol(&image, alias->name, 0x1100, alias->size, alias->binding, alias->type,
				     TEXT_SECTION);
		}
		assert_string_equal(image_name(&image, 0x1105), expected);
		image_deinit(&image);
	}
}

static void test_aliases(void **state)
{
	(void)state;
#define ASSERT_ALIAS(expected, ...)                                                                                    \
	assert_alias(expected, (const struct alias[]){__VA_ARGS__},                                                    \
		     sizeof((const struct alias[]){__VA_ARGS__}) / sizeof(struct alias))
	ASSERT_ALIAS("lseek", {"__lseek64", 16, STB_GLOBAL, STT_FUNC}, {"lseek", 16, STB_GLOBAL, STT_FUNC});
	ASSERT_ALIAS("__global", {"__global", 16, STB_GLOBAL, STT_FUNC}, {"weak", 16, STB_WEAK, STT_FUNC});
	ASSERT_ALIAS("__weak", {"__weak", 16, STB_WEAK, STT_FUNC}, {"local", 16, STB_LOCAL, STT_FUNC});
	ASSERT_ALIAS("local", {"local", 16, STB_LOCAL, STT_FUNC}, {"label", 16, STB_GLOBAL, STT_NOTYPE});
	ASSERT_ALIAS("table", {"table", 16, STB_GLOBAL, STT_OBJECT}, {"label", 16, STB_GLOBAL, STT_NOTYPE});
	ASSERT_ALIAS("indirect", {"indirect", 16, STB_GLOBAL, STT_GNU_IFUNC}, {"weak", 16, STB_WEAK, STT_FUNC});
	ASSERT_ALIAS("ab", {"abc", 16, STB_GLOBAL, STT_FUNC}, {"ab", 16, STB_GLOBAL, STT_FUNC});
	ASSERT_ALIAS("aa", {"ab", 16, STB_GLOBAL, STT_FUNC}, {"aa", 16, STB_GLOBAL, STT_FUNC});
	ASSERT_ALIAS("memcpy", {"memcpy@@GLIBC_2.14", 16, STB_GLOBAL, STT_FUNC});
	/* What has a size wins, and what does not reach the address loses. */
	ASSERT_ALIAS("sized", {"unsized", 0, STB_GLOBAL, STT_FUNC}, {"sized", 16, STB_LOCAL, STT_NOTYPE});
	ASSERT_ALIAS("long_one", {"short", 4, STB_GLOBAL, STT_FUNC}, {"long_one", 16, STB_LOCAL, STT_FUNC});
	ASSERT_ALIAS("", {"short", 4, STB_GLOBAL, STT_FUNC}, {"unsized", 0, STB_GLOBAL, STT_FUNC});
	/* A mangled name is shown readable and kept as it is. */
	ASSERT_ALIAS("outer::f(int)", {"_ZN5outer1fEi", 16, STB_GLOBAL, STT_FUNC});
#undef ASSERT_ALIAS
}

/* Constructors of templates differ by one digit, far behind. */
static void test_aliases_of_long_names(void **state)
{
	char first[401], second[401];

	(void)state;
	memset(first, 'c', sizeof(first) - 1);
	first[sizeof(first) - 1] = '\0';
	memcpy(second, first, sizeof(first));
	first[390] = '1';
	second[390] = '2';
	const struct alias aliases[] = {{first, 16, STB_GLOBAL, STT_FUNC}, {second, 16, STB_GLOBAL, STT_FUNC}};

	assert_alias(first, aliases, 2);
}

static void assert_cut(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	assert_int_equal(index, 0);
	assert_int_equal(nr_frames, 1);
	assert_string_equal(frames[0].name, context);
	assert_string_equal(frames[0].system_name, context);
}

static void test_long_name_is_cut(void **state)
{
	_cleanup_free_ char *name = memory_zalloc(6001, 1);
	struct image image;
	struct object *object;
	uint64_t addr = 0x1100;

	(void)state;
	/* Two-byte characters after one single byte: byte 4096 is the middle of one. */
	for (int i = 1; i < 6000; i += 2)
		memcpy(name + i, "\xc3\xa9", i + 2 <= 6000 ? 2 : 1);
	name[0] = 'n';
	image_init(&image);
	image_function(&image, name, 0x1100, 16);
	image_finish(&image);
	assert_int_equal(object_create(bytes_fd(image.bytes.data, image.bytes.nr), NULL, NULL, &object), 0);
	name[4095] = '\0';
	assert_int_equal(names_find(object, &addr, 1, assert_cut, name, NULL), 0);
	object_destroy(object);
	image_deinit(&image);
}

static void test_no_addresses(void **state)
{
	struct names_status status;
	struct image image;
	struct kept kept;
	uint64_t addr = 0;

	(void)state;
	image_init(&image);
	image_function(&image, "f", 0x1100, 16);
	status = image_names(&image, NULL, NULL, &addr, 0, &kept);
	assert_true(status.has_symtab);
	image_deinit(&image);
}

/* One symbol over everything and many below it: found, and not by walking all of them. */
static void test_nested_many(void **state)
{
	struct image image;

	(void)state;
	image_init(&image);
	image_function(&image, "all", TEXT_ADDR, TEXT_SIZE);
	for (uint64_t i = 0; i < 500; i++)
		image_function(&image, "small", TEXT_ADDR + 16 + i * 8, 4);
	assert_string_equal(image_name(&image, TEXT_ADDR + 16 + 499 * 8 + 5), "all");
	image_deinit(&image);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbol_ranges),         cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_aliases_of_long_names), cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_no_addresses),          cmocka_unit_test(test_nested_many),
	};

	return cmocka_run_group_tests_name("names_symbols", tests, NULL, NULL);
}
