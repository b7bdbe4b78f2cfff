/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_dwarf_test.c - lines and inline chains by DWARF, and what damage to it may cost: the names, nothing else.
 *
 * The DWARF is this test's own executable's, whose functions' lines it knows, as it is and with bytes changed: the same
 * ones in each run of a build, others in another build.
 */
#include "names_fixture.h"

#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>

/* ---- this executable ---- */

#define ADDRESS_HERE()                                                                                                 \
	({                                                                                                             \
		uint64_t here_;                                                                                        \
		__asm__ volatile("1: lea 1b(%%rip), %0" : "=r"(here_));                                                \
		here_;                                                                                                 \
	})

static inline __attribute__((always_inline)) uint64_t chain_inner(uint32_t *line)
{
	*line = __LINE__ + 1;
	return ADDRESS_HERE();
}

static inline __attribute__((always_inline)) uint64_t chain_middle(uint32_t *lines)
{
	lines[1] = __LINE__ + 1;
	return chain_inner(lines);
}

static __attribute__((noinline)) uint64_t chain_outer(uint32_t *lines)
{
	lines[2] = __LINE__ + 1;
	return chain_middle(lines);
}
static const uint32_t CHAIN_OUTER_LINE = __LINE__ - 5;

static int first_load_addr(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	*(uint64_t *)context = info->dlpi_addr;
	return 1; /* the executable comes first */
}

static uint64_t own_bias(void)
{
	uint64_t bias = 0;

	dl_iterate_phdr(first_load_addr, &bias);
	return bias;
}

static void test_inline_chain(void **state)
{
	static const char *const names[] = {"chain_inner", "chain_middle", "chain_outer"};
	uint32_t lines[3];
	/* The same address twice, and one that nothing covers. */
	uint64_t addrs[3] = {chain_outer(lines) - own_bias(), 1};
	struct names_status status;
	struct object *object;
	struct kept kept[3] = {0};

	(void)state;
	addrs[2] = addrs[0];
	assert_int_equal(object_create(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL, NULL, &object), 0);
	assert_int_equal(names_find(object, addrs, 3, keep, kept, &status), 0);
	object_destroy(object);
	assert_true(status.has_symtab);
	assert_true(status.has_debug_info);
	assert_false(status.debug_file_used);
	assert_int_equal(kept[1].nr_calls, 1);
	assert_int_equal(kept[1].nr_frames, 0);
	for (int n = 0; n < 3; n += 2) {
		assert_int_equal(kept[n].nr_calls, 1);
		assert_int_equal(kept[n].nr_frames, 3);
		for (int i = 0; i < 3; i++) {
			assert_string_equal(kept[n].frames[i].name, names[i]);
			assert_string_equal(kept[n].frames[i].system_name, names[i]);
			assert_int_equal(kept[n].frames[i].line, lines[i]);
			assert_int_equal(kept[n].frames[i].file[0], '/');
			assert_non_null(strstr(kept[n].frames[i].file, "names_dwarf_test.c"));
		}
		assert_int_equal(kept[n].frames[2].start_line, CHAIN_OUTER_LINE);
	}
}

/* ---- damage ---- */

/* A section that claims to unpack to a terabyte costs the file its DWARF, and nobody a terabyte. */
static void test_compressed_bomb(void **state)
{
	Elf64_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = 1ull << 40, .ch_addralign = 1};
	uint64_t addr = 0x1105;
	struct names_status status;
	struct image image;
	struct kept kept;

	(void)state;
	image_init(&image);
	image_function(&image, "f", 0x1100, 16);
	image_section(&image, ".debug_info", SHT_PROGBITS, &header, sizeof(header))->sh_flags = SHF_COMPRESSED;
	status = image_names(&image, NULL, NULL, &addr, 1, &kept);
	assert_false(status.has_debug_info);
	assert_int_equal(kept.nr_frames, 1);
	assert_string_equal(kept.frames[0].name, "f");
	image_deinit(&image);
}

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static uint8_t *file_read(const char *path, size_t *size_ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *bytes;

	assert_int_equal(fstat(fd, &st), 0);
	*size_ret = (size_t)st.st_size;
	bytes = memory_zalloc(*size_ret, 1);
	for (size_t done = 0; done < *size_ret;) {
		ssize_t got = read(fd, bytes + done, *size_ret - done);

		assert_true(got > 0);
		done += (size_t)got;
	}
	close(fd);
	return bytes;
}

static const Elf64_Shdr *find_section(const uint8_t *bytes, const char *name)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(bytes + header->e_shoff);

	for (int i = 0; i < header->e_shnum; i++)
		if (strcmp((const char *)bytes + sections[header->e_shstrndx].sh_offset + sections[i].sh_name, name) ==
		    0)
			return &sections[i];
	return NULL;
}

/* Whatever is wrong with the file: an error, or every address answered once, in a second, without a crash. */
static void names_of_damaged(const uint8_t *bytes, size_t size, const uint64_t *addrs, size_t nr)
{
	struct kept *kept = memory_new_array(struct kept, nr);
	struct object *object;

	if (object_create(bytes_fd(bytes, size), NULL, NULL, &object) == 0) {
		if (names_find(object, addrs, nr, keep, kept, NULL) == 0)
			for (size_t i = 0; i < nr; i++)
				assert_int_equal(kept[i].nr_calls, 1);
		object_destroy(object);
	}
	free(kept);
}

static void test_damaged(void **state)
{
	static const char *const sections[] = {".debug_info", ".debug_abbrev", ".debug_line",     ".debug_rnglists",
					       ".debug_info", ".symtab",       ".debug_line_str", ".debug_addr"};
	enum { ROUNDS = 20, CHANGES = 4, ADDRESSES = 40 };
	uint32_t lines[3];
	uint64_t here = chain_outer(lines) - own_bias();
	uint64_t addrs[ADDRESSES];
	uint32_t seed = 42;
	size_t size;
	_cleanup_free_ uint8_t *bytes = file_read("/proc/self/exe", &size);

	(void)state;
	for (int i = 0; i < ADDRESSES; i++)
		addrs[i] = here + (uint64_t)(i - ADDRESSES / 2) * 97;
	for (size_t s = 0; s < ARRAY_SIZE(sections) * ROUNDS; s++) {
		const Elf64_Shdr *section = find_section(bytes, sections[s % ARRAY_SIZE(sections)]);
		uint8_t saved[CHANGES];
		size_t places[CHANGES];

		if (!section)
			continue;
		for (int i = 0; i < CHANGES; i++) {
			places[i] = section->sh_offset + random_next(&seed) % section->sh_size;
			saved[i] = bytes[places[i]];
			bytes[places[i]] = (uint8_t)random_next(&seed);
		}
		names_of_damaged(bytes, size, addrs, ADDRESSES);
		for (int i = CHANGES; i-- > 0;)
			bytes[places[i]] = saved[i];
	}
}

static void test_truncated(void **state)
{
	uint64_t addr = 0x2000;
	uint32_t seed = 7;
	size_t size;
	_cleanup_free_ uint8_t *bytes = file_read("/proc/self/exe", &size);

	(void)state;
	for (int i = 0; i < 30; i++)
		names_of_damaged(bytes, random_next(&seed) % size, &addr, 1);
	/* Section headers that say anything. */
	for (int i = 0; i < 60; i++) {
		Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
		size_t place = header->e_shoff + random_next(&seed) % (header->e_shnum * sizeof(Elf64_Shdr));
		uint8_t saved = bytes[place];

		bytes[place] = (uint8_t)random_next(&seed);
		names_of_damaged(bytes, size, &addr, 1);
		bytes[place] = saved;
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inline_chain),
		cmocka_unit_test(test_compressed_bomb),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests_name("names_dwarf", tests, NULL, NULL);
}
