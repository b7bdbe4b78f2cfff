/* SPDX-License-Identifier: Apache-2.0 */
/* Where call-frame information is in a file, and what is known without it. */
#include "unwind_fixture.h"

#include <zlib.h>

/* --- where the sections are ----------------------------------------------------------------------------------------
 */

static struct cfi_image two_functions(void)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);

	put_fde(&cfi, cie, FUNCTION, FUNCTION_SIZE, NULL, 0);
	put_fde(&cfi, cie, FUNCTION + 0x200, FUNCTION_SIZE, NULL, 0);
	return cfi;
}

/* An image without section headers; the header's four bytes and its pointer are the test's. */
static struct elf_image image_with_hdr(const struct cfi_image *cfi, const uint8_t *hdr, size_t size)
{
	struct elf_image image = image_create(IMAGE_SIZE);

	memcpy(image.bytes + IMAGE_FRAMES, cfi->bytes, cfi->size);
	memcpy(image.bytes + IMAGE_HDR, hdr, size);
	image_add_segment(&image, PT_GNU_EH_FRAME, PF_R, IMAGE_HDR, size);
	return image;
}

static void found_by_program_header(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image;
	struct unwind_table *table;

	(void)state;
	/* pc-relative: .eh_frame is 0xfc behind the pointer; relative to the header: 0x100; absolute. */
	image = image_with_hdr(&cfi, BYTES(1, 0x1b, 0x03, 0x3b, 0xfc, 0, 0, 0));
	table = compile_image(&image);
	assert_int_equal(table->nr_fdes, 2);
	assert_int_equal(table->nr_fdes_broken, 0);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);
	image_destroy(&image);

	image = image_with_hdr(&cfi, BYTES(1, 0x3b, 0xff, 0xff, 0x00, 1, 0, 0));
	table = compile_image(&image);
	assert_int_equal(table->nr_fdes, 2);
	unwind_table_destroy(table);
	image_destroy(&image);

	image = image_with_hdr(&cfi, BYTES(1, 0x00, 0xff, 0xff, 0x00, 0x51, 0, 0, 0, 0, 0, 0));
	table = compile_image(&image);
	assert_int_equal(table->nr_fdes, 2);
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* No terminator, but the segment ends with the last entry. */
static void ends_with_segment(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_with_hdr(&cfi, BYTES(1, 0x1b, 0x03, 0x3b, 0xfc, 0, 0, 0));

	(void)state;
	memset(image.bytes + IMAGE_FRAMES + cfi.size, 0xcc, IMAGE_SIZE - IMAGE_FRAMES - cfi.size);
	image_segment(&image, 1)->p_filesz = IMAGE_FRAMES - IMAGE_HDR + cfi.size;
	struct unwind_table *table = compile_image(&image);

	assert_int_equal(table->nr_fdes, 2);
	assert_int_equal(table->nr_fdes_broken, 0);
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* Sections have an end; a zero in the middle, as linking with other start files leaves, doesn't hide what follows. */
static void terminator_in_the_middle(void **state)
{
	struct cfi_image cfi = two_functions();

	(void)state;
	put_number(&cfi, 0, 4);
	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION + 0x400, FUNCTION_SIZE, NULL, 0);
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 3);
	unwind_table_destroy(table);

	struct elf_image image = image_with_hdr(&cfi, BYTES(1, 0x1b, 0x03, 0x3b, 0xfc, 0, 0, 0));

	table = compile_image(&image);
	assert_int_equal(table->nr_fdes, 2);
	unwind_table_destroy(table);
	image_destroy(&image);
}

static void check_hdr_error(const uint8_t *hdr, size_t size, int expected)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_with_hdr(&cfi, hdr, size);
	struct unwind_table *table;

	assert_int_equal(compile_fd(image_fd(&image), &table), expected);
	image_destroy(&image);
}

static void program_headers_that_lie(void **state)
{
	(void)state;
	check_hdr_error(BYTES(2, 0x1b, 0x03, 0x3b, 0xfc, 0, 0, 0), -EBADMSG); /* version */
	check_hdr_error(BYTES(1, 0x9b, 0x03, 0x3b, 0xfc, 0, 0, 0), -EBADMSG); /* indirect */
	check_hdr_error(BYTES(1, 0xff, 0x03, 0x3b, 0xfc, 0, 0, 0), -EBADMSG); /* omitted */
	check_hdr_error(BYTES(1, 0x1b, 0x03, 0x3b, 0xfc), -EBADMSG);          /* cut */
	check_hdr_error(BYTES(1), -EBADMSG);
	check_hdr_error(BYTES(1, 0x1b, 0x03, 0x3b, 0xff, 0xff, 0xff, 0x7f), -EBADMSG); /* leads nowhere */
	check_hdr_error(BYTES(1, 0x1b, 0x03, 0x3b, 0xfc, 0x20, 0, 0), -ENODATA);       /* at zeros */
}

static void nothing_there(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct unwind_table *table;

	(void)state;
	assert_int_equal(compile_fd(image_fd(&image), &table), -ENODATA);
	image_add_section(&image, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, IMAGE_FRAMES, 0);
	assert_int_equal(compile_fd(image_fd(&image), &table), -ENODATA);
	image_segment(&image, 0)->p_flags = PF_R; /* no code */
	assert_int_equal(compile_fd(image_fd(&image), &table), -ENODATA);
	image_destroy(&image);
}

static void other_machine(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE);
	struct unwind_table *table;

	(void)state;
	image_add_eh_frame(&image, &cfi);
	image_header(&image)->e_machine = EM_AARCH64;
	assert_int_equal(compile_fd(image_fd(&image), &table), -ENODATA);
	image_destroy(&image);
}

static void sections_that_lie(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE);
	struct unwind_table *table;

	(void)state;
	image_add_eh_frame(&image, &cfi);
	Elf64_Shdr *section = image_section(&image, 2);
	Elf64_Shdr good = *section;

	section->sh_size = UINT64_MAX;
	assert_int_equal(compile_fd(image_fd(&image), &table), -EBADMSG);
	section->sh_size = IMAGE_SIZE;
	assert_int_equal(compile_fd(image_fd(&image), &table), -EBADMSG);
	*section = good;
	section->sh_offset = UINT64_MAX - 4;
	assert_int_equal(compile_fd(image_fd(&image), &table), -EBADMSG);
	*section = good;
	section->sh_type = SHT_NOBITS; /* a separate debug file, where other things are in its place */
	assert_int_equal(compile_fd(image_fd(&image), &table), -ENODATA);
	image_destroy(&image);
}

/* The section header is wrong, the program header isn't. */
static void falls_back_to_program_header(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_with_hdr(&cfi, BYTES(1, 0x1b, 0x03, 0x3b, 0xfc, 0, 0, 0));

	(void)state;
	image_add_section(&image, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, IMAGE_SIZE + 5, 0x100);
	struct unwind_table *table = compile_image(&image);

	assert_int_equal(table->nr_fdes, 2);
	unwind_table_destroy(table);
	image_destroy(&image);
}

static void text_of_4_gib(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE);
	struct unwind_table *table;

	(void)state;
	image_add_eh_frame(&image, &cfi);
	Elf64_Phdr *far = image_add_segment(&image, PT_LOAD, PF_R | PF_X, IMAGE_DEBUG, 0x1000);

	far->p_vaddr = UINT64_C(1) << 32;
	assert_int_equal(compile_fd(image_fd(&image), &table), -E2BIG);
	far->p_vaddr--;
	assert_int_equal(compile_fd(image_fd(&image), &table), 0);
	assert_int_equal(table->nr_granules, 1); /* the table is as large as what is known, not as the code */
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* --- .debug_frame --------------------------------------------------------------------------------------------------
 */

static struct cfi_image debug_frame(uint8_t version, bool is_64bit)
{
	struct cfi_image cfi = {.is_debug_frame = true, .is_64bit = is_64bit};

	/* Its CIE may come last. */
	for (int i = 0; i < 2; i++) {
		size_t fde_size = is_64bit ? 40 : 32;

		put_fde(&cfi, 2 * fde_size, FUNCTION + 0x200 * (uint64_t)i, FUNCTION_SIZE,
			BYTES(DW_CFA_def_cfa_offset, 32));
		assert_int_equal(cfi.size, fde_size * ((size_t)i + 1));
	}
	cie_begin(&cfi, version, "", NULL, 0);
	put_usual_start(&cfi);
	cfi_end(&cfi);
	return cfi;
}

static void check_debug_frame(const struct elf_image *image)
{
	struct unwind_table *table = compile_image(image);

	assert_int_equal(table->nr_fdes, 2);
	assert_int_equal(table->nr_fdes_broken, 0);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 32));
	check_rule(table, FUNCTION + 0x200, usual_rule(DWARF_RSP, 32));
	unwind_table_destroy(table);
}

static void debug_frame_versions(void **state)
{
	static const uint8_t versions[] = {1, 3, 4};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(versions); i++) {
		struct cfi_image cfi = debug_frame(versions[i / 2], i % 2);
		struct elf_image image = image_create(IMAGE_SIZE);

		memcpy(image.bytes + IMAGE_DEBUG, cfi.bytes, cfi.size);
		image_add_section(&image, ".debug_frame", SHT_PROGBITS, 0, IMAGE_DEBUG, cfi.size);
		check_debug_frame(&image);
		image_destroy(&image);
	}
}

static void debug_frame_compressed(void **state)
{
	struct cfi_image cfi = debug_frame(1, false);
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = cfi.size, .ch_addralign = 8};
	uLongf size = IMAGE_SIZE - IMAGE_DEBUG - sizeof(header);

	(void)state;
	memcpy(image.bytes + IMAGE_DEBUG, &header, sizeof(header));
	assert_int_equal(compress(image.bytes + IMAGE_DEBUG + sizeof(header), &size, cfi.bytes, cfi.size), Z_OK);
	image_add_section(&image, ".debug_frame", SHT_PROGBITS, SHF_COMPRESSED, IMAGE_DEBUG, sizeof(header) + size)
		->sh_addralign = 8;
	check_debug_frame(&image);

	/* Says that it unpacks to more than any ceiling; packed bytes are damaged. */
	struct unwind_table *table;

	((Elf64_Chdr *)(image.bytes + IMAGE_DEBUG))->ch_size = UINT64_MAX / 2;
	assert_int_equal(compile_fd(image_fd(&image), &table), -E2BIG);
	((Elf64_Chdr *)(image.bytes + IMAGE_DEBUG))->ch_size = cfi.size;
	image.bytes[IMAGE_DEBUG + sizeof(header) + 9] ^= 0x55;
	assert_int_equal(compile_fd(image_fd(&image), &table), -ENODATA);
	image_destroy(&image);
}

/* .eh_frame with few functions is completed; of equal starts .eh_frame's is right. With many it is enough. */
static void debug_frame_beside_eh_frame(void **state)
{
	static const size_t numbers[] = {1, 7, 8};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct cfi_image frames = cfi_of_eh_frame();
		struct cfi_image debug = debug_frame(1, false);
		struct elf_image image = image_create(IMAGE_SIZE);
		size_t cie = put_usual_cie(&frames);

		for (size_t j = 0; j < numbers[i]; j++)
			put_fde(&frames, cie, FUNCTION + 0x400 * j, 0x10, NULL, 0);
		image_add_eh_frame(&image, &frames);
		memcpy(image.bytes + IMAGE_DEBUG, debug.bytes, debug.size);
		image_add_section(&image, ".debug_frame", SHT_PROGBITS, 0, IMAGE_DEBUG, debug.size);
		struct unwind_table *table = compile_image(&image);
		bool completed = numbers[i] < 8;

		assert_int_equal(table->nr_fdes, numbers[i] + (completed ? 2 : 0));
		check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
		if (completed)
			check_rule(table, FUNCTION + 0x200, usual_rule(DWARF_RSP, 32));
		else
			check_kind(table, FUNCTION + 0x200, CFA_NONE);
		unwind_table_destroy(table);
		image_destroy(&image);
	}
}

static int open_debug_image(const struct related_file *file, void *context)
{
	return file->kind == RELATED_BUILD_ID ? image_fd(context) : -ENOENT;
}

static void debug_frame_of_debug_file(void **state)
{
	static const uint8_t id[20] = {5, 5, 5, 5, 6};
	struct cfi_image cfi = debug_frame(4, false);
	struct elf_image image = image_create(IMAGE_SIZE);
	struct elf_image debug = image_create(IMAGE_SIZE);
	struct object *object;
	struct unwind_table *table;
	size_t size = image_put_build_id(&image, IMAGE_NOTES, id, 20);

	(void)state;
	image_add_segment(&image, PT_NOTE, PF_R, IMAGE_NOTES, size);
	image_put_build_id(&debug, IMAGE_NOTES, id, 20);
	image_add_section(&debug, ".note.gnu.build-id", SHT_NOTE, SHF_ALLOC, IMAGE_NOTES, size)->sh_addralign = 4;
	memcpy(debug.bytes + IMAGE_DEBUG, cfi.bytes, cfi.size);
	image_add_section(&debug, ".debug_frame", SHT_PROGBITS, 0, IMAGE_DEBUG, cfi.size);

	assert_int_equal(object_create(image_fd(&image), open_debug_image, &debug, &object), 0);
	assert_int_equal(unwind_table_compile(object, TABLE_WHOLE, &table), 0);
	assert_int_equal(table->nr_fdes, 2);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 32));
	unwind_table_destroy(table);

	/* Another build's. */
	debug.bytes[IMAGE_NOTES + 16 + 3] ^= 1;
	assert_int_equal(unwind_table_compile(object, TABLE_WHOLE, &table), -ENODATA);
	object_destroy(object);
	image_destroy(&image);
	image_destroy(&debug);
}

/* --- what is known without call-frame information ------------------------------------------------------------------
 */

static const uint8_t trampoline[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

static void check_trampoline(const struct unwind_table *table, uint64_t place)
{
	for (uint64_t at = place - 1; at < place + sizeof(trampoline); at++)
		check_kind(table, at, CFA_SIGNAL);
}

static void trampolines(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE);

	(void)state;
	/* Where nothing is known; within a function; where one begins; at both ends of the code. */
	static const uint64_t places[] = {IMAGE_CODE + 0x40, FUNCTION + 0x20, FUNCTION + 0x200,
					  IMAGE_CODE + IMAGE_CODE_SIZE - sizeof(trampoline)};

	for (size_t i = 0; i < 4; i++)
		memcpy(image.bytes + places[i], trampoline, sizeof(trampoline));
	image_add_eh_frame(&image, &cfi);
	struct unwind_table *table = compile_image(&image);

	for (size_t i = 0; i < 4; i++)
		check_trampoline(table, places[i]);
	check_kind(table, places[0] - 2, CFA_NONE);
	check_kind(table, places[0] + 9, CFA_NONE);
	check_rule(table, places[1] - 2, usual_rule(DWARF_RSP, 8));
	check_rule(table, places[1] + 9, usual_rule(DWARF_RSP, 8));
	check_kind(table, places[2] - 2, CFA_NONE);
	check_rule(table, places[2] + 9, usual_rule(DWARF_RSP, 8));
	check_kind(table, IMAGE_CODE + IMAGE_CODE_SIZE, CFA_NONE);
	unwind_table_destroy(table);
	image_destroy(&image);
}

/*
 * The short form, twice without a gap: the second begins where the first ends. What follows is padding, at which pc is
 * during the system call.
 */
static void trampolines_side_by_side(void **state)
{
	static const uint8_t code[] = {0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xb8, 0x0f,
				       0x00, 0x00, 0x00, 0x0f, 0x05, 0x0f, 0x1f, 0x00};
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE);

	(void)state;
	memcpy(image.bytes + IMAGE_CODE + 0x40, code, sizeof(code));
	image_add_eh_frame(&image, &cfi);
	struct unwind_table *table = compile_image(&image);

	check_kind(table, IMAGE_CODE + 0x40 - 2, CFA_NONE);
	for (uint64_t at = IMAGE_CODE + 0x40 - 1; at <= IMAGE_CODE + 0x40 + 14; at++)
		check_kind(table, at, CFA_SIGNAL);
	check_kind(table, IMAGE_CODE + 0x40 + 15, CFA_NONE);
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* What glibc's makecontext returns to, without and with the landing pad of indirect branches before it. */
static void ends_of_contexts(void **state)
{
	static const uint8_t code[] = {0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24, 0x48, 0x85, 0xff, 0x74, 0x08, 0xe8,
				       0x00, 0x00, 0x00, 0x00, 0x48, 0x89, 0xc7, 0xe8, 0x00, 0x00, 0x00, 0x00, 0xf4};
	static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
	const uint64_t plain = IMAGE_CODE + 0x40, padded = FUNCTION + 0x210;
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE);

	(void)state;
	memcpy(image.bytes + plain, code, sizeof(code));
	memcpy(image.bytes + padded, code, sizeof(code));
	memcpy(image.bytes + padded - sizeof(endbr), endbr, sizeof(endbr));
	image_add_eh_frame(&image, &cfi);
	struct unwind_table *table = compile_image(&image);

	check_kind(table, plain - 2, CFA_NONE);
	for (uint64_t at = plain - 1; at < plain + sizeof(code); at++)
		check_kind(table, at, CFA_ROOT);
	check_kind(table, plain + sizeof(code), CFA_NONE);
	check_rule(table, padded - 6, usual_rule(DWARF_RSP, 8));
	for (uint64_t at = padded - 5; at < padded + sizeof(code); at++)
		check_kind(table, at, CFA_ROOT);
	check_rule(table, padded + sizeof(code), usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* The first byte of the code has none before it; bytes that aren't executable don't count. */
static void trampolines_at_the_edge(void **state)
{
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE);

	(void)state;
	memcpy(image.bytes + IMAGE_CODE, trampoline, sizeof(trampoline));
	memcpy(image.bytes + IMAGE_CODE + IMAGE_CODE_SIZE - 4, trampoline, sizeof(trampoline));
	image_add_eh_frame(&image, &cfi);
	struct unwind_table *table = compile_image(&image);

	check_kind(table, IMAGE_CODE, CFA_SIGNAL);
	check_kind(table, IMAGE_CODE + 8, CFA_SIGNAL);
	check_kind(table, IMAGE_CODE + 9, CFA_NONE);
	check_kind(table, IMAGE_CODE + IMAGE_CODE_SIZE - 4, CFA_NONE);
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* Code is read piece by piece: none is lost where two pieces meet. */
static void trampolines_in_large_code(void **state)
{
	const uint64_t code_size = 1 << 20;
	struct cfi_image cfi = two_functions();
	struct elf_image image = image_create(IMAGE_SIZE + code_size);

	(void)state;
	image_add_eh_frame(&image, &cfi);
	Elf64_Phdr *code = image_add_segment(&image, PT_LOAD, PF_R | PF_X, IMAGE_SIZE, code_size);

	code->p_vaddr = 0x100000;
	for (uint64_t at = 0; at + 32 < code_size; at += 31)
		memcpy(image.bytes + IMAGE_SIZE + at, trampoline, sizeof(trampoline));
	struct unwind_table *table = compile_image(&image);

	for (uint64_t at = 0; at + 32 < code_size; at += 31) {
		if (at)
			check_trampoline(table, 0x100000 + at);
		check_kind(table, 0x100000 + at + sizeof(trampoline), CFA_NONE);
	}
	unwind_table_destroy(table);
	image_destroy(&image);
}

static struct unwind_table *compile_entry(uint16_t type, uint64_t entry, const struct cfi_image *cfi)
{
	struct elf_image image = image_create(IMAGE_SIZE);

	image_header(&image)->e_type = type;
	image_header(&image)->e_entry = entry;
	image_add_eh_frame(&image, cfi);
	struct unwind_table *table = compile_image(&image);

	image_destroy(&image);
	return table;
}

static void entry_in_a_gap(void **state)
{
	struct cfi_image cfi = two_functions();
	struct unwind_table *table;

	(void)state;
	/* Up to the next function. */
	table = compile_entry(ET_EXEC, FUNCTION - 0x20, &cfi);
	check_kind(table, FUNCTION - 0x21, CFA_NONE);
	check_kind(table, FUNCTION - 0x20, CFA_ROOT);
	check_kind(table, FUNCTION - 1, CFA_ROOT);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);
	/* At most 256 bytes. */
	table = compile_entry(ET_EXEC, FUNCTION + 0x300, &cfi);
	check_kind(table, FUNCTION + 0x3ff, CFA_ROOT);
	check_kind(table, FUNCTION + 0x400, CFA_NONE);
	unwind_table_destroy(table);
	/* Up to the end of the code. */
	table = compile_entry(ET_EXEC, IMAGE_CODE + IMAGE_CODE_SIZE - 1, &cfi);
	check_kind(table, IMAGE_CODE + IMAGE_CODE_SIZE - 1, CFA_ROOT);
	check_kind(table, IMAGE_CODE + IMAGE_CODE_SIZE, CFA_NONE);
	unwind_table_destroy(table);
	/* Outside of it. */
	table = compile_entry(ET_EXEC, IMAGE_CODE + IMAGE_CODE_SIZE, &cfi);
	check_kind(table, IMAGE_CODE + IMAGE_CODE_SIZE, CFA_NONE);
	unwind_table_destroy(table);
}

static void entry_in_a_function(void **state)
{
	struct cfi_image cfi = two_functions();
	struct unwind_table *table = compile_entry(ET_EXEC, FUNCTION + 4, &cfi);

	(void)state;
	check_kind(table, FUNCTION - 1, CFA_NONE);
	check_kind(table, FUNCTION, CFA_ROOT);
	check_kind(table, FUNCTION + FUNCTION_SIZE - 1, CFA_ROOT);
	check_kind(table, FUNCTION + FUNCTION_SIZE, CFA_NONE);
	check_rule(table, FUNCTION + 0x200, usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);
}

/* Libraries have an e_entry that nobody enters; the dynamic linker has one that the kernel enters. */
static void entry_of_a_library(void **state)
{
	static const uint8_t start[] = {0x31, 0xed, 0x48, 0x89, 0xe7, 0xe8}; /* xor ebp,ebp; mov rsp,rdi; call */
	struct cfi_image cfi = two_functions();
	struct unwind_table *table = compile_entry(ET_DYN, IMAGE_CODE + 8, &cfi);

	(void)state;
	check_kind(table, IMAGE_CODE + 8, CFA_NONE);
	unwind_table_destroy(table);
	table = compile_entry(ET_DYN, FUNCTION, &cfi);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);

	struct elf_image image = image_create(IMAGE_SIZE);

	image_header(&image)->e_entry = IMAGE_CODE + 8;
	image_add_eh_frame(&image, &cfi);
	memcpy(image.bytes + IMAGE_CODE + 8, start, sizeof(start));
	table = compile_image(&image);
	check_kind(table, IMAGE_CODE + 7, CFA_NONE);
	check_kind(table, IMAGE_CODE + 8, CFA_ROOT);
	unwind_table_destroy(table);
	image_destroy(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_program_header),
		cmocka_unit_test(ends_with_segment),
		cmocka_unit_test(terminator_in_the_middle),
		cmocka_unit_test(program_headers_that_lie),
		cmocka_unit_test(nothing_there),
		cmocka_unit_test(other_machine),
		cmocka_unit_test(sections_that_lie),
		cmocka_unit_test(falls_back_to_program_header),
		cmocka_unit_test(text_of_4_gib),
		cmocka_unit_test(debug_frame_versions),
		cmocka_unit_test(debug_frame_compressed),
		cmocka_unit_test(debug_frame_beside_eh_frame),
		cmocka_unit_test(debug_frame_of_debug_file),
		cmocka_unit_test(trampolines),
		cmocka_unit_test(ends_of_contexts),
		cmocka_unit_test(trampolines_at_the_edge),
		cmocka_unit_test(trampolines_side_by_side),
		cmocka_unit_test(trampolines_in_large_code),
		cmocka_unit_test(entry_in_a_gap),
		cmocka_unit_test(entry_in_a_function),
		cmocka_unit_test(entry_of_a_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
