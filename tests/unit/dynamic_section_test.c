/* SPDX-License-Identifier: Apache-2.0 */
/* Which libraries a file needs and where it looks for them, from a dynamic section that is right, odd or a lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "dynamic_section.h"
#include "elf_image.h"

enum { STRINGS = IMAGE_DEBUG, ENTRIES = IMAGE_FRAMES, STRINGS_SIZE = 0x2000 };

static struct elf_image image;
static size_t nr_entries, strings_used;
static struct dynamic_section got;

static int start_image(void **state)
{
	(void)state;
	image = image_create(IMAGE_SIZE);
	image_add_segment(&image, PT_LOAD, PF_R, STRINGS, STRINGS_SIZE);
	image_add_segment(&image, PT_DYNAMIC, PF_R, ENTRIES, 0x3000);
	memset(image.bytes + ENTRIES, 0, 0x3000);
	memset(image.bytes + STRINGS, 0, STRINGS_SIZE);
	nr_entries = 0;
	strings_used = 1;
	return 0;
}

static int end_image(void **state)
{
	(void)state;
	image_destroy(&image);
	return 0;
}

static Elf64_Dyn *add(int64_t tag, uint64_t value)
{
	Elf64_Dyn *entry = (Elf64_Dyn *)(image.bytes + ENTRIES) + nr_entries++;

	*entry = (Elf64_Dyn){.d_tag = tag, .d_un.d_val = value};
	return entry;
}

static Elf64_Dyn *add_text(int64_t tag, const char *text)
{
	size_t place = strings_used;

	strcpy((char *)image.bytes + STRINGS + place, text);
	strings_used += strlen(text) + 1;
	return add(tag, place);
}

static void add_table(void)
{
	add(DT_STRTAB, STRINGS);
	add(DT_STRSZ, strings_used);
}

static void read_image(void)
{
	struct object *object;

	assert_int_equal(object_create(image_fd(&image), NULL, NULL, &object), 0);
	memset(&got, 0xee, sizeof(got));
	dynamic_section_read(object, &got);
	assert_memory_equal(&object_info(object)->needed, &got.needed, sizeof(got.needed));
	object_destroy(object);
}

/* The names, each behind a space. */
static void check_names(const char *expected)
{
	char text[2048] = "";

	for (const char *name = got.needed.names; *name; name += strlen(name) + 1)
		strcat(strcat(text, " "), name);
	assert_string_equal(text, expected);
}

static void usual_entries(void **state)
{
	(void)state;
	add_text(DT_NEEDED, "libone.so.1");
	add_text(DT_SONAME, "libself.so");
	add_text(DT_NEEDED, "libtwo.so");
	add_text(DT_RPATH, "/old");
	add_text(DT_RUNPATH, "$ORIGIN/../lib:/opt/lib");
	add(DT_FLAGS_1, DF_1_NOW | DF_1_PIE);
	add_table();
	read_image();
	check_names(" libone.so.1 libtwo.so");
	assert_string_equal(got.needed.path, "$ORIGIN/../lib:/opt/lib");
	assert_true(got.is_pie);
}

static void old_path_only(void **state)
{
	(void)state;
	add_text(DT_RPATH, "/old");
	add(DT_FLAGS_1, DF_1_NOW);
	add_table();
	read_image();
	check_names("");
	assert_string_equal(got.needed.path, "/old");
	assert_false(got.is_pie);
}

/* Nothing behind DT_NULL, though the table of strings may be. */
static void what_is_behind_the_end(void **state)
{
	(void)state;
	add_text(DT_NEEDED, "libone.so.1");
	add_table();
	add(DT_NULL, 0);
	add_text(DT_NEEDED, "libtwo.so");
	read_image();
	check_names(" libone.so.1");
}

static void more_than_fits(void **state)
{
	char name[40], expected[2048] = "";
	size_t used = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "lib%d-%.*s.so", i, i % 20, "xxxxxxxxxxxxxxxxxxxx");
		add_text(DT_NEEDED, name);
		if (used + strlen(name) + 1 >= sizeof(got.needed.names))
			continue;
		used += strlen(name) + 1;
		strcat(strcat(expected, " "), name);
	}
	add_table();
	read_image();
	check_names(expected);
	assert_int_equal(got.needed.size_bytes, used);
}

static void lies(void **state)
{
	(void)state;
	Elf64_Dyn *behind = add_text(DT_NEEDED, "libone.so.1");

	add_text(DT_NEEDED, "libtwo.so");
	add_text(DT_RUNPATH, "/opt");
	add_table();
	Elf64_Dyn *size = (Elf64_Dyn *)(image.bytes + ENTRIES) + nr_entries - 1;
	Elf64_Dyn *table = size - 1;

	/* A name outside of the table; one that has no end in it. */
	behind->d_un.d_val = UINT64_MAX;
	read_image();
	check_names(" libtwo.so");
	behind->d_un.d_val = size->d_un.d_val;
	read_image();
	check_names(" libtwo.so");
	size->d_un.d_val -= 3;
	read_image();
	check_names(" libtwo.so");
	assert_string_equal(got.needed.path, "");
	/* A table that ends outside of what is loaded, is nowhere, or wraps around. */
	size->d_un.d_val = UINT64_MAX;
	read_image();
	check_names(" libtwo.so");
	table->d_un.d_val = UINT64_MAX - 5;
	read_image();
	check_names("");
	table->d_un.d_val = 0x7000000;
	read_image();
	check_names("");
	/* A name without end. */
	table->d_un.d_val = STRINGS;
	memset(image.bytes + STRINGS, 'x', STRINGS_SIZE);
	read_image();
	check_names("");
	/* A section that lies outside of the file. */
	image_segment(&image, image_header(&image)->e_phnum - 1u)->p_offset = IMAGE_SIZE - 8;
	read_image();
	check_names("");
	assert_false(got.is_pie);
}

#define IMAGE_TEST(test) cmocka_unit_test_setup_teardown(test, start_image, end_image)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMAGE_TEST(usual_entries),  IMAGE_TEST(old_path_only), IMAGE_TEST(what_is_behind_the_end),
		IMAGE_TEST(more_than_fits), IMAGE_TEST(lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
