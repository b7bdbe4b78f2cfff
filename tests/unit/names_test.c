/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_test.c - names, lines and inline chains of addresses.
 *
 * Two kinds of files: this test's own executable, whose functions' lines it knows, as it is and damaged at random; and
 * ELF files put together here, symbol by symbol, for the rules about which symbol names an address and which related
 * files are believed.
 */
#include "names.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cmocka.h>

#include "debug_file.h"
#include "vector.h"

/* --- what was found -------------------------------------------------------------------------------------------------
 */

enum { KEPT_FRAMES = 8 };

struct kept {
	unsigned int nr_calls;
	size_t nr_frames;
	struct {
		char name[200];
		char system_name[200];
		char file[200];
		uint32_t line;
		uint32_t start_line;
	} frames[KEPT_FRAMES];
};

static void copy_text(char *target, const char *text)
{
	snprintf(target, 200, "%s", text ? text : "?");
}

static void keep(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct kept *kept = (struct kept *)context + index;

	kept->nr_calls++;
	kept->nr_frames = nr_frames;
	for (size_t i = 0; i < nr_frames && i < KEPT_FRAMES; i++) {
		copy_text(kept->frames[i].name, frames[i].name);
		copy_text(kept->frames[i].system_name, frames[i].system_name);
		copy_text(kept->frames[i].file, frames[i].file);
		kept->frames[i].line = frames[i].line;
		kept->frames[i].start_line = frames[i].start_line;
	}
}

/* --- an ELF file made to measure ------------------------------------------------------------------------------------
 */

enum {
	TEXT_ADDR = 0x1000,
	TEXT_SIZE = 0x4000,
	DATA_ADDR = 0x8000,
	SECTIONS_MAX = 12,
	TEXT_SECTION = 1, /* numbers in every file made here */
	DATA_SECTION = 2,
};

struct image {
	VECTOR(uint8_t) bytes;
	Elf64_Shdr sections[SECTIONS_MAX];
	size_t nr_sections;
	VECTOR(char) names;
	VECTOR(Elf64_Sym) symbols;
	VECTOR(char) symbol_names;
	uint64_t load_addr;
};

static size_t image_append(struct image *image, const void *data, size_t size)
{
	size_t offset = (image->bytes.nr + 7) & ~(size_t)7;

	vector_reserve(&image->bytes, size + 8);
	memset(image->bytes.data + image->bytes.nr, 0, offset - image->bytes.nr);
	memcpy(image->bytes.data + offset, data, size);
	image->bytes.nr = offset + size;
	return offset;
}

static uint32_t append_name(void *names_vector, const char *name)
{
	VECTOR(char) *names = names_vector;
	uint32_t offset = (uint32_t)names->nr;

	vector_reserve(names, strlen(name) + 1);
	memcpy(names->data + offset, name, strlen(name) + 1);
	names->nr += strlen(name) + 1;
	return offset;
}

static Elf64_Shdr *image_section(struct image *image, const char *name, uint32_t type, const void *data, size_t size)
{
	Elf64_Shdr *section = &image->sections[image->nr_sections++];

	section->sh_name = append_name(&image->names, name);
	section->sh_type = type;
	section->sh_offset = image_append(image, data, size);
	section->sh_size = size;
	section->sh_addralign = 1;
	return section;
}

static void image_init(struct image *image)
{
	static const uint8_t nothing[TEXT_SIZE];
	Elf64_Shdr *section;

	memset(image, 0, sizeof(*image));
	image->load_addr = TEXT_ADDR;
	vector_reserve(&image->bytes, 4096);
	memset(image->bytes.data, 0, 4096);
	image->bytes.nr = 4096;
	append_name(&image->names, "");
	append_name(&image->symbol_names, "");
	image->nr_sections = 1;
	vector_push(&image->symbols);
	section = image_section(image, ".text", SHT_PROGBITS, nothing, TEXT_SIZE);
	section->sh_addr = TEXT_ADDR;
	section->sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	section = image_section(image, ".data", SHT_PROGBITS, nothing, 64);
	section->sh_addr = DATA_ADDR;
	section->sh_flags = SHF_ALLOC | SHF_WRITE;
}

static void image_symbol(struct image *image, const char *name, uint64_t value, uint64_t size, int binding, int type,
			 uint16_t section)
{
	Elf64_Sym *symbol = vector_push(&image->symbols);

	symbol->st_name = append_name(&image->symbol_names, name);
	symbol->st_value = value;
	symbol->st_size = size;
	symbol->st_info = (unsigned char)ELF64_ST_INFO(binding, type);
	symbol->st_shndx = section;
}

static void image_function(struct image *image, const char *name, uint64_t value, uint64_t size)
{
	image_symbol(image, name, value, size, STB_GLOBAL, STT_FUNC, TEXT_SECTION);
}

/* Finishes the file; the bytes are the image's. */
static void image_finish(struct image *image)
{
	Elf64_Shdr *section;
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	Elf64_Phdr load = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = 4096,
		.p_vaddr = image->load_addr,
		.p_filesz = TEXT_SIZE,
		.p_memsz = TEXT_SIZE,
		.p_align = 4096,
	};

	if (image->symbols.nr > 1) {
		section = image_section(image, ".symtab", SHT_SYMTAB, image->symbols.data,
					image->symbols.nr * sizeof(Elf64_Sym));
		section->sh_link = (uint32_t)image->nr_sections;
		section->sh_entsize = sizeof(Elf64_Sym);
		image_section(image, ".strtab", SHT_STRTAB, image->symbol_names.data, image->symbol_names.nr);
	}
	header.e_shstrndx = (uint16_t)image->nr_sections;
	section = &image->sections[image->nr_sections++];
	section->sh_name = append_name(&image->names, ".shstrtab");
	section->sh_type = SHT_STRTAB;
	section->sh_size = image->names.nr;
	section->sh_offset = image_append(image, image->names.data, image->names.nr);
	header.e_shnum = (uint16_t)image->nr_sections;
	header.e_shoff = image_append(image, image->sections, image->nr_sections * sizeof(Elf64_Shdr));
	memcpy(image->bytes.data, &header, sizeof(header));
	memcpy(image->bytes.data + sizeof(header), &load, sizeof(load));
}

static void image_deinit(struct image *image)
{
	vector_free(&image->bytes);
	vector_free(&image->names);
	vector_free(&image->symbols);
	vector_free(&image->symbol_names);
}

static int bytes_fd(const void *data, size_t size)
{
	int fd = memfd_create("object", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	return fd;
}

/* Finishes and looks up; *kept has one element per address. */
static struct names_status image_names(struct image *image, related_open_fn related, void *context,
				       const uint64_t *addrs, size_t nr, struct kept *kept)
{
	struct names_status status = {0};
	struct object *object;

	image_finish(image);
	assert_int_equal(object_create(bytes_fd(image->bytes.data, image->bytes.nr), related, context, &object), 0);
	memset(kept, 0, nr * sizeof(*kept));
	assert_int_equal(names_find(object, addrs, nr, keep, kept, &status), 0);
	object_destroy(object);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(kept[i].nr_calls, 1);
	return status;
}

/* One address of a file without relations: the name, or "" when nothing covers it. Finishes the image. */
static const char *image_name(struct image *image, uint64_t file_addr)
{
	static struct kept kept;

	image_names(image, NULL, NULL, &file_addr, 1, &kept);
	return kept.nr_frames == 0 ? "" : kept.frames[0].name;
}

/* --- symbols --------------------------------------------------------------------------------------------------------
 */

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

/* --- related files --------------------------------------------------------------------------------------------------
 */

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

/* --- packed symbols -------------------------------------------------------------------------------------------------
 */

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

/* --- DWARF: this executable -----------------------------------------------------------------------------------------
 */

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
			assert_non_null(strstr(kept[n].frames[i].file, "names_test.c"));
		}
		assert_int_equal(kept[n].frames[2].start_line, CHAIN_OUTER_LINE);
	}
}

/* --- damage ---------------------------------------------------------------------------------------------------------
 */

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
		cmocka_unit_test(test_symbol_ranges),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_no_addresses),
		cmocka_unit_test(test_nested_many),
		cmocka_unit_test(test_debug_file),
		cmocka_unit_test(test_debuglink_leads_nowhere),
		cmocka_unit_test(test_debug_file_is_no_elf),
		cmocka_unit_test(test_packed_symbols),
		cmocka_unit_test(test_packed_damage),
		cmocka_unit_test(test_packed_bomb),
		cmocka_unit_test(test_compressed_bomb),
		cmocka_unit_test(test_inline_chain),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
