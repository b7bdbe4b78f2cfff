/* SPDX-License-Identifier: Apache-2.0 */
/* Real files, whole and damaged. */
#include "unwind_fixture.h"

#include <stdio.h>
#include <sys/auxv.h>
#include <sys/stat.h>

/* This program itself: the kernel's view of it is the witness. */
static void own_headers(void **state)
{
	struct object *object;

	(void)state;
	assert_int_equal(object_create(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL, NULL, &object), 0);
	const struct object_info *info = object_info(object);

	assert_true(info->is_64bit_x86);
	assert_true(info->is_executable);
	assert_false(info->stripped);
	assert_true(info->nr_segments >= 1);
	/* The entry point's distance from the program headers is the same in memory. */
	uint64_t bias = getauxval(AT_ENTRY) - info->entry_addr;

	assert_int_equal(bias % 4096, 0);
	assert_int_equal(getauxval(AT_PHDR) & ~4095ul, bias + info->base_addr);
	object_destroy(object);
}

static void vdso_headers(void **state)
{
	const uint8_t *bytes = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	struct object *object;

	(void)state;
	if (!bytes)
		skip();
	assert_int_equal(object_create(bytes_fd(bytes, 4096), NULL, NULL, &object), 0);
	assert_true(object_info(object)->is_64bit_x86);
	assert_int_equal(object_info(object)->nr_segments, 1);
	assert_int_equal(object_info(object)->build_id_size, 20);
	object_destroy(object);
}

static void check_invariants(const struct unwind_table *table)
{
	assert_int_equal(table->start % GRANULE_SIZE, 0);
	assert_true(table->nr_rules >= RULE_FIRST_FREE && table->nr_rules <= RULES_MAX);
	uint64_t nr_rows = 0;

	for (uint32_t i = 0; i < table->nr_granules; i++) {
		const struct unwind_granule *granule = &table->granules[i];
		int last = 0;

		assert_int_equal(granule->first_row, nr_rows);
		assert_true(granule->rule < table->nr_rules);
		for (uint32_t j = 0; j < granule->nr_rows; j++) {
			const struct unwind_row *row = &table->rows[granule->first_row + j];

			assert_true(row->offset > last && row->offset < GRANULE_SIZE << table->coarser);
			assert_true(row->rule < table->nr_rules);
			last = row->offset;
		}
		nr_rows += granule->nr_rows;
	}
	assert_int_equal(nr_rows, table->nr_rows);
}

/* main was called by code with rows, and so on up to an entry point: this program and libc have what a walk needs. */
static void own_program(void **state)
{
	struct unwind_table *table;
	struct object *object;

	(void)state;
	assert_int_equal(object_create(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL, NULL, &object), 0);
	const struct object_info *info = object_info(object);

	assert_int_equal(unwind_table_compile(object, TABLE_WHOLE, &table), 0);
	check_invariants(table);
	assert_int_equal(table->nr_fdes_broken, 0);
	assert_int_equal(unwind_table_find(table, info->entry_addr - info->base_addr)->cfa, CFA_ROOT);
	uint64_t bias = getauxval(AT_ENTRY) - info->entry_addr;
	uint64_t here = (uint64_t)(uintptr_t)own_program - bias - info->base_addr;
	struct unwind_rule first = usual_rule(DWARF_RSP, 8);

	assert_memory_equal(unwind_table_find(table, here), &first, sizeof(first));
	unwind_table_destroy(table);
	object_destroy(object);
}

static void vdso_rows(void **state)
{
	const uint8_t *bytes = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	struct unwind_table *table;

	(void)state;
	if (!bytes)
		skip();
	assert_int_equal(compile_fd(bytes_fd(bytes, 8192), &table), 0);
	check_invariants(table);
	assert_true(table->nr_fdes > 3);
	assert_int_equal(table->nr_fdes_broken, 0);
	unwind_table_destroy(table);
}

/*
 * A small real program with a few bits wrong, 2,000 times: most of them in the headers and in the call-frame
 * information, where they matter. Whatever comes out has to be an error or a sound table.
 */
enum { MUTATIONS = 2000, FLIPS_MAX = 12 };

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

struct region {
	size_t start;
	size_t size;
};

static void mutate(uint8_t *bytes, size_t size, const struct region *regions, size_t nr_regions)
{
	for (uint64_t nr = 1 + random_next() % FLIPS_MAX; nr; nr--) {
		const struct region *region = &regions[random_next() % nr_regions];
		size_t at = region->start + random_next() % region->size;

		if (at >= size)
			continue;
		if (random_next() % 4)
			bytes[at] ^= (uint8_t)(1u << random_next() % 8);
		else
			bytes[at] = (uint8_t)(random_next() % 2 ? 0xff : random_next());
	}
}

static void mutated_program(void **state)
{
	_cleanup_close_ int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	struct stat status;
	struct region regions[8];
	size_t nr_regions = 0;
	unsigned int nr_tables = 0;

	(void)state;
	assert_int_equal(fstat(fd, &status), 0);
	size_t size = (size_t)status.st_size;
	_cleanup_free_ uint8_t *original = malloc(size);
	_cleanup_free_ uint8_t *bytes = malloc(size);

	assert_int_equal(pread(fd, original, size, 0), size);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)original;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(original + header->e_shoff);
	const char *names = (const char *)original + sections[header->e_shstrndx].sh_offset;

	regions[nr_regions++] = (struct region){0, sizeof(*header)};
	regions[nr_regions++] = (struct region){header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)};
	regions[nr_regions++] = (struct region){header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr)};
	for (unsigned int i = 0; i < header->e_shnum; i++) {
		const char *name = names + sections[i].sh_name;

		if (strcmp(name, ".eh_frame") == 0 || strcmp(name, ".eh_frame_hdr") == 0 ||
		    strcmp(name, ".note.gnu.build-id") == 0)
			regions[nr_regions++] = (struct region){sections[i].sh_offset, sections[i].sh_size};
	}
	assert_int_equal(nr_regions, 6);
	alarm(120); /* a hang is a failure */
	for (unsigned int i = 0; i < MUTATIONS; i++) {
		struct object *object;
		struct unwind_table *table = NULL;

		memcpy(bytes, original, size);
		/* Every other time without section headers, so that the other way in is used. */
		if (i % 2)
			((Elf64_Ehdr *)bytes)->e_shoff = 0;
		/* Every fourth time the headers stay good, so that the instructions are reached. */
		if (i % 4 < 2)
			mutate(bytes, size, regions + 3, nr_regions - 3);
		else
			mutate(bytes, size, regions, nr_regions);
		if (object_create(bytes_fd(bytes, i % 16 ? size : random_next() % size), NULL, NULL, &object))
			continue;
		if (unwind_table_compile(object, TABLE_WHOLE, &table) == 0) {
			check_invariants(table);
			nr_tables++;
		}
		unwind_table_destroy(table);
		object_destroy(object);
	}
	alarm(0);
	assert_true(nr_tables > MUTATIONS / 4); /* the campaign got past the doors */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_headers), cmocka_unit_test(own_program),     cmocka_unit_test(vdso_headers),
		cmocka_unit_test(vdso_rows),   cmocka_unit_test(mutated_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
