/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_related_test.c - which separate debug file is believed, and what becomes of packed symbols?
 *
 * The object asks a callback that answers with files made here: right and wrong build-ids and CRCs, names that lead
 * elsewhere, what is no ELF file; .gnu_debugdata whole, damaged, and as a bomb.
 */
#include "names_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <zlib.h>

#include "debug_file.h"

/* ---- related files ---- */

/* What a test wants to be asked for, and answers. */
struct related_answers {
	int build_id_fd; /* -1: there is none */
	int debuglink_fd;
	unsigned int nr_build_id;
	unsigned int nr_debuglink;
	char name[64];
};

static int answer(const struct related_file *file, void *context)
{
	struct related_answers *answers = context;
	int *fd = file->kind == RELATED_BUILD_ID ? &answers->build_id_fd : &answers->debuglink_fd;

	if (file->kind == RELATED_BUILD_ID) {
		answers->nr_build_id++;
	} else {
		answers->nr_debuglink++;
		snprintf(answers->name, sizeof(answers->name), "%s", file->name);
	}
	return *fd < 0 ? -ENOENT : steal_fd(*fd);
}

static void image_build_id(struct image *image, uint8_t first_byte)
{
	struct {
		Elf64_Nhdr header;
		char name[4];
		uint8_t id[20];
	} note = {{4, 20, NT_GNU_BUILD_ID}, "GNU", {first_byte, 2, 3}};

	image_section(image, ".note.gnu.build-id", SHT_NOTE, &note, sizeof(note));
}

static void image_debuglink(struct image *image, const char *name, uint32_t crc)
{
	char link[64] = {0};
	size_t offset = (strlen(name) + 4) & ~(size_t)3;

	memcpy(link, name, strlen(name));
	memcpy(link + offset, &crc, 4);
	image_section(image, ".gnu_debuglink", SHT_PROGBITS, link, offset + 4);
}

/* A debug file with one function, at an address of its own if it has been prelinked. */
static int debug_fd(uint8_t build_id, uint64_t load_addr, uint32_t *crc_ret)
{
	struct image image;
	int fd;

	image_init(&image);
	image.load_addr = load_addr;
	image.sections[TEXT_SECTION].sh_addr = load_addr;
	image_function(&image, "from_debug_file", load_addr + 0x100, 16);
	image_build_id(&image, build_id);
	image_finish(&image);
	*crc_ret = (uint32_t)crc32(0, image.bytes.data, (uInt)image.bytes.nr);
	fd = bytes_fd(image.bytes.data, image.bytes.nr);
	image_deinit(&image);
	return fd;
}

static void test_debug_file(void **state)
{
	static const struct {
		bool by_build_id;
		uint8_t debug_build_id; /* the object's is 7 */
		uint32_t crc_error;
		uint64_t load_addr;
		bool believed;
	} cases[] = {
		{true, 7, 0, TEXT_ADDR, true},   {true, 7, 0, 0x700000, true},   {true, 8, 0, TEXT_ADDR, false},
		{false, 7, 0, TEXT_ADDR, true},  {false, 8, 0, TEXT_ADDR, true}, /* the CRC is what a link promises */
		{false, 7, 1, TEXT_ADDR, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct related_answers answers = {-1, -1, 0, 0, ""};
		uint32_t crc;
		int fd = debug_fd(cases[i].debug_build_id, cases[i].load_addr, &crc);
		uint64_t addr = 0x1105;
		struct names_status status;
		struct image image;
		struct kept kept;

		if (cases[i].by_build_id)
			answers.build_id_fd = fd;
		else
			answers.debuglink_fd = fd;
		image_init(&image);
		image_build_id(&image, 7);
		image_debuglink(&image, "program.debug", crc + cases[i].crc_error);
		status = image_names(&image, answer, &answers, &addr, 1, &kept);
		assert_int_equal(answers.nr_build_id, 1);
		assert_int_equal(status.has_symtab, cases[i].believed);
		assert_int_equal(status.debug_file_used, cases[i].believed);
		assert_int_equal(kept.nr_frames, cases[i].believed ? 1 : 0);
		if (cases[i].believed)
			assert_string_equal(kept.frames[0].name, "from_debug_file");
		if (answers.nr_debuglink)
			assert_string_equal(answers.name, "program.debug");
		/* Whatever was handed over has been closed. */
		assert_int_equal(fcntl(fd, F_GETFD), -1);
		image_deinit(&image);
	}
}

static void test_debuglink_leads_nowhere(void **state)
{
	static const char *const names[] = {"../etc/shadow", "/etc/shadow", "a/b", "", ".", ".."};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct related_answers answers = {-1, -1, 0, 0, ""};
		uint64_t addr = 0x1105;
		struct image image;
		struct kept kept;

		image_init(&image);
		image_debuglink(&image, names[i], 1);
		image_names(&image, answer, &answers, &addr, 1, &kept);
		assert_int_equal(answers.nr_debuglink, 0);
		assert_int_equal(answers.nr_build_id, 0);
		image_deinit(&image);
	}
}

static void test_debug_file_is_no_elf(void **state)
{
	struct related_answers answers = {bytes_fd("hello", 5), bytes_fd("", 0), 0, 0, ""};
	uint64_t addr = 0x1105;
	struct image image;
	struct kept kept;

	(void)state;
	image_init(&image);
	image_build_id(&image, 7);
	image_debuglink(&image, "x.debug", (uint32_t)crc32(0, NULL, 0));
	image_names(&image, answer, &answers, &addr, 1, &kept);
	assert_int_equal(answers.nr_build_id + answers.nr_debuglink, 2);
	assert_int_equal(kept.nr_frames, 0);
	image_deinit(&image);
}

/* ---- packed symbols ---- */

static void image_debugdata(struct image *image, const void *data, size_t size)
{
	size_t bound = lzma_stream_buffer_bound(size);
	_cleanup_free_ uint8_t *packed = memory_zalloc(bound, 1);
	size_t packed_size = 0;

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, data, size, packed, &packed_size, bound),
			 LZMA_OK);
	image_section(image, ".gnu_debugdata", SHT_PROGBITS, packed, packed_size);
}

static void test_packed_symbols(void **state)
{
	struct image inner;
	struct image image;
	struct names_status status;
	uint64_t addr = 0x1105;
	struct kept kept;

	(void)state;
	image_init(&inner);
	image_function(&inner, "packed_away", 0x1100, 16);
	image_finish(&inner);
	image_init(&image);
	image_debugdata(&image, inner.bytes.data, inner.bytes.nr);
	status = image_names(&image, NULL, NULL, &addr, 1, &kept);
	assert_int_equal(kept.nr_frames, 1);
	assert_string_equal(kept.frames[0].name, "packed_away");
	assert_true(status.has_symtab);
	assert_false(status.debug_file_used);
	image_deinit(&image);
	image_deinit(&inner);
}

static void test_packed_damage(void **state)
{
	struct image inner;

	(void)state;
	image_init(&inner);
	image_function(&inner, "packed_away", 0x1100, 16);
	image_finish(&inner);
	for (int damage = 0; damage < 4; damage++) {
		struct image image;
		Elf64_Shdr *section;

		image_init(&image);
		image_debugdata(&image, inner.bytes.data, inner.bytes.nr);
		section = &image.sections[image.nr_sections - 1];
		if (damage == 0)
			section->sh_size /= 2;
		else if (damage == 1)
			image.bytes.data[section->sh_offset] = 'x';
		else if (damage == 2)
			image.bytes.data[section->sh_offset + section->sh_size / 2] ^= 0x55;
		else
			section->sh_size = 1;
		assert_string_equal(image_name(&image, 0x1105), "");
		image_deinit(&image);
	}
	image_deinit(&inner);
}

/* Half a MiB that unpacks to a GiB; nobody gets to its missing end. */
static void test_packed_bomb(void **state)
{
	enum { BLOCK_BYTES = 4 << 20, NR_BLOCKS = 256 };
	_cleanup_free_ uint8_t *zeros = memory_zalloc(BLOCK_BYTES, 1);
	lzma_options_lzma options;
	lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
	lzma_block block = {.check = LZMA_CHECK_NONE, .filters = filters};
	lzma_stream_flags flags = {.check = LZMA_CHECK_NONE};
	uint8_t packed[LZMA_STREAM_HEADER_SIZE + 8192];
	size_t size = LZMA_STREAM_HEADER_SIZE;
	VECTOR(uint8_t) stream = {0};
	struct elf_file main_file;
	struct elf_file unpacked;
	struct image image;

	(void)state;
	assert_false(lzma_lzma_preset(&options, 0));
	assert_int_equal(lzma_stream_header_encode(&flags, packed), LZMA_OK);
	assert_int_equal(lzma_block_buffer_encode(&block, NULL, zeros, BLOCK_BYTES, packed, &size, sizeof(packed)),
			 LZMA_OK);
	vector_reserve(&stream, NR_BLOCKS * size);
	memcpy(stream.data, packed, size);
	stream.nr = size;
	for (int i = 1; i < NR_BLOCKS; i++) {
		memcpy(stream.data + stream.nr, packed + LZMA_STREAM_HEADER_SIZE, size - LZMA_STREAM_HEADER_SIZE);
		stream.nr += size - LZMA_STREAM_HEADER_SIZE;
	}
	image_init(&image);
	image_section(&image, ".gnu_debugdata", SHT_PROGBITS, stream.data, stream.nr);
	image_finish(&image);
	assert_int_equal(elf_file_open_owned(bytes_fd(image.bytes.data, image.bytes.nr), &main_file), 0);
	assert_int_equal(debug_file_unpack_symbols(&main_file, &unpacked), -E2BIG);
	elf_file_close(&main_file);
	image_deinit(&image);
	vector_free(&stream);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_file),           cmocka_unit_test(test_debuglink_leads_nowhere),
		cmocka_unit_test(test_debug_file_is_no_elf), cmocka_unit_test(test_packed_symbols),
		cmocka_unit_test(test_packed_damage),        cmocka_unit_test(test_packed_bomb),
	};

	return cmocka_run_group_tests_name("names_related", tests, NULL, NULL);
}
