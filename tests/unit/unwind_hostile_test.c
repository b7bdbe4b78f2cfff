/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were made to cost more than they are worth: sizes that lie, programs that never get anywhere, a million of
 * what real files have few of, packed sections that unpack to more than there is memory. Each costs itself its table,
 * or less. A test that takes minutes is ended by an alarm: with what is tested here, none takes seconds.
 */
#include "unwind_fixture.h"

#include <stdio.h>
#include <sys/resource.h>
#include <zlib.h>

#include "elf_file.h"
#include "vector.h"

enum { HANG_SECONDS = 100, BIG_CODE = 1 << 20, BIG_CODE_AT = 1 << 20 };

/* A file of which code is BIG_CODE bytes at BIG_CODE_AT; size is what the section's header says. */
static int big_fd(const void *frames, size_t bytes, uint64_t size)
{
	const uint64_t frames_at = 2 << 20;
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Phdr *code = image_segment(&image, 0);

	code->p_offset = code->p_vaddr = BIG_CODE_AT;
	code->p_filesz = code->p_memsz = BIG_CODE;
	Elf64_Shdr *section = image_add_section(&image, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, IMAGE_FRAMES, size);

	section->sh_offset = section->sh_addr = frames_at;
	int fd = image_fd(&image);

	assert_int_equal(pwrite(fd, frames, bytes, (off_t)frames_at), bytes);
	image_destroy(&image);
	return fd;
}

/* In the order in which they are called for, functions of the usual CIE at absolute addresses. */
struct writer {
	VECTOR(uint8_t) bytes;
};

static void write_bytes(struct writer *writer, const void *bytes, size_t size)
{
	vector_reserve(&writer->bytes, size);
	memcpy(writer->bytes.data + writer->bytes.nr, bytes, size);
	writer->bytes.nr += size;
}

static void write_cie(struct writer *writer)
{
	static const uint8_t cie[] = {
		20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0, DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16,
		1,  0, 0};

	write_bytes(writer, cie, sizeof(cie));
}

static void write_function(struct writer *writer, uint64_t start, uint64_t size, const uint8_t *program, size_t length)
{
	uint32_t fixed[2] = {(uint32_t)(4 + 16 + 1 + length), (uint32_t)writer->bytes.nr + 4};
	uint64_t range[2] = {start, size};
	uint8_t augmentation = 0;

	write_bytes(writer, fixed, sizeof(fixed));
	write_bytes(writer, range, sizeof(range));
	write_bytes(writer, &augmentation, 1);
	write_bytes(writer, program, length);
}

/* The rule at a place in such code. */
static const struct unwind_rule *rule_in_code(const struct unwind_table *table, uint64_t place)
{
	return unwind_table_find(table, BIG_CODE_AT + place - IMAGE_HDR);
}

static struct unwind_table *compile_writer(struct writer *writer, int expected)
{
	struct unwind_table *table = NULL;

	alarm(HANG_SECONDS);
	assert_int_equal(compile_fd(big_fd(writer->bytes.data, writer->bytes.nr, writer->bytes.nr), &table), expected);
	alarm(0);
	vector_free(&writer->bytes);
	return table;
}

/* ---- sizes ---- */

static void eh_frame_of_4_gib(void **state)
{
	static const uint8_t bytes[64];
	struct unwind_table *table;
	int fd = big_fd(bytes, sizeof(bytes), 4ull << 30);

	(void)state;
	assert_int_equal(compile_fd(fd, &table), -EBADMSG); /* the file hasn't as much */
	fd = big_fd(bytes, sizeof(bytes), 4ull << 30);
	assert_int_equal(ftruncate(fd, 5ll << 30), 0); /* now it has, and takes no room on a disk */
	assert_int_equal(compile_fd(fd, &table), -E2BIG);
	fd = big_fd(bytes, sizeof(bytes), UINT64_MAX);
	assert_int_equal(compile_fd(fd, &table), -EBADMSG);
}

/* Eight headers for the same 200 MiB: together they are over the ceiling that each keeps. */
static void many_sections_of_the_same_bytes(void **state)
{
	const uint64_t size = 200 << 20;
	struct elf_image image = image_create(IMAGE_SIZE);
	struct unwind_table *table;

	(void)state;
	for (int i = 0; i < 8; i++)
		image_add_section(&image, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, IMAGE_DEBUG, size);
	int fd = image_fd(&image);

	assert_int_equal(ftruncate(fd, (off_t)(IMAGE_DEBUG + size)), 0);
	assert_int_equal(compile_fd(fd, &table), -E2BIG);
	image_destroy(&image);
}

/* 16 segments of code over each other, each of 2 GiB: together more to look through than any file's. */
static void segments_over_each_other(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct cfi_image cfi = cfi_of_eh_frame();
	struct unwind_table *table;

	(void)state;
	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION, FUNCTION_SIZE, NULL, 0);
	image_add_eh_frame(&image, &cfi);
	for (int i = 0; i < OBJECT_SEGMENTS_MAX - 1; i++)
		image_add_segment(&image, PT_LOAD, PF_R | PF_X, IMAGE_CODE, 2u << 30);
	int fd = image_fd(&image);

	assert_int_equal(ftruncate(fd, 3ll << 30), 0);
	alarm(HANG_SECONDS);
	assert_int_equal(compile_fd(fd, &table), -E2BIG);
	alarm(0);
	image_destroy(&image);
}

/* .eh_frame_hdr whose table claims 2^32 - 1 entries: it isn't what functions are found by. */
static void search_table_of_any_size(void **state)
{
	static const uint8_t header[] = {1, 0x03, 0x03, 0x3b, 0, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff};
	struct elf_image image = image_create(IMAGE_SIZE);
	struct cfi_image cfi = cfi_of_eh_frame();

	(void)state;
	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION, FUNCTION_SIZE, NULL, 0);
	memcpy(image.bytes + IMAGE_FRAMES, cfi.bytes, cfi.size);
	memcpy(image.bytes + IMAGE_HDR, header, sizeof(header));
	image_add_segment(&image, PT_GNU_EH_FRAME, PF_R, IMAGE_HDR, sizeof(header));
	struct unwind_table *table = compile_image(&image);

	assert_int_equal(table->nr_fdes, 1);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* ---- entries ---- */

/* A text or number that runs to the section's end, in a CIE; the one before it is good. */
static void check_endless_cie(uint8_t filler, size_t head)
{
	static const uint8_t start[] = {0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b};
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);

	put_fde(&cfi, cie, FUNCTION, FUNCTION_SIZE, NULL, 0);
	size_t endless = cfi.size;

	cfi_begin(&cfi);
	put_bytes(&cfi, start, head);
	while (cfi.size < 0x2000)
		put_number(&cfi, filler, 1);
	cfi_end(&cfi);
	put_fde(&cfi, endless, FUNCTION + 0x100, FUNCTION_SIZE, NULL, 0);
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 1);
	assert_int_equal(table->nr_fdes_broken, 1);
	unwind_table_destroy(table);
}

static void cies_that_never_end(void **state)
{
	(void)state;
	check_endless_cie('z', 5);   /* the augmentation's text, to the last byte but padding: a nop ends no text */
	check_endless_cie('R', 7);   /* the same, after letters that mean something */
	check_endless_cie(0x80, 8);  /* the code alignment */
	check_endless_cie(0xff, 9);  /* the data alignment */
	check_endless_cie(0xff, 11); /* the length of the augmentation's data */
}

/* Each function names the one before as its CIE, the first the last. */
static void functions_in_a_circle(void **state)
{
	struct cfi_image cfi = cfi_of_eh_frame();
	struct elf_image image = image_create(IMAGE_SIZE);
	size_t before = 4 * 0x18;
	struct unwind_table *table;

	(void)state;
	for (int i = 0; i < 5; i++) {
		size_t here = cfi.size;

		put_fde(&cfi, before, FUNCTION, FUNCTION_SIZE, NULL, 0);
		before = here;
	}
	image_add_eh_frame(&image, &cfi);
	assert_int_equal(compile_fd(image_fd(&image), &table), -EBADMSG);
	image_destroy(&image);
}

/* Numbers of thousands of bytes; what they say is dropped beyond 64 bits, and the rest of the section is read. */
static void numbers_that_never_end(void **state)
{
	uint8_t program[0xfff] = {DW_CFA_def_cfa_offset}; /* fills its entry to the last byte */
	struct cfi_image cfi = cfi_of_eh_frame();
	size_t cie = put_usual_cie(&cfi);

	(void)state;
	memset(program + 1, 0x80, sizeof(program) - 1);
	put_fde(&cfi, cie, FUNCTION, FUNCTION_SIZE, program, sizeof(program));
	program[1] = 0x90;
	program[sizeof(program) - 1] = 0;
	put_fde(&cfi, cie, FUNCTION + 0x100, FUNCTION_SIZE, program, sizeof(program));
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 1);
	assert_int_equal(table->nr_fdes_broken, 1);
	check_kind(table, FUNCTION, CFA_NONE);
	check_rule(table, FUNCTION + 0x100, usual_rule(DWARF_RSP, 16));
	unwind_table_destroy(table);
}

static void length_of_all_ones(void **state)
{
	static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0};
	struct cfi_image cfi = cfi_of_eh_frame();

	(void)state;
	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION, FUNCTION_SIZE, NULL, 0);
	put_bytes(&cfi, bytes, sizeof(bytes));
	struct unwind_table *table = compile_eh_frame(&cfi);

	assert_int_equal(table->nr_fdes, 1);
	assert_int_equal(table->nr_fdes_broken, 1);
	unwind_table_destroy(table);
}

/* ---- programs ---- */

static void states_remembered_and_restored(void **state)
{
	uint8_t remember[1000], restore[] = {DW_CFA_restore_state};
	uint8_t balanced[2000];

	(void)state;
	memset(remember, DW_CFA_remember_state, sizeof(remember));
	check_malformed(remember, sizeof(remember));
	check_malformed(restore, sizeof(restore));
	for (size_t i = 0; i < sizeof(balanced); i++)
		balanced[i] = i % 2 ? DW_CFA_restore_state : DW_CFA_remember_state;
	check_program(balanced, sizeof(balanced), usual_rule(DWARF_RSP, 8));
}

/* A million advances by nothing, each followed by a change: one row, the last. */
static void advances_by_nothing(void **state)
{
	enum { NR = 1 << 20 };
	uint8_t *program = malloc(3 * NR);
	struct writer writer = {0};

	(void)state;
	for (size_t i = 0; i < NR; i++)
		memcpy(program + 3 * i, (uint8_t[]){DW_CFA_advance_loc, DW_CFA_def_cfa_offset, 8 + 8 * (i % 3)}, 3);
	write_cie(&writer);
	write_function(&writer, BIG_CODE_AT, 0x100, program, 3 * NR);
	struct unwind_table *table = compile_writer(&writer, 0);
	struct unwind_rule rule = usual_rule(DWARF_RSP, 8 + 8 * ((NR - 1) % 3));

	assert_int_equal(table->nr_rows, 1); /* its end */
	assert_memory_equal(rule_in_code(table, 0), &rule, sizeof(rule));
	unwind_table_destroy(table);
	free(program);
}

/* ---- numbers of things ---- */

enum { NR_FUNCTIONS = 300000 };

static const uint8_t usual_program[] = {DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16};

/* Each within the one before: whatever is at the bottom resumes when the others have ended. */
static void functions_within_each_other(void **state)
{
	struct writer writer = {0};

	(void)state;
	write_cie(&writer);
	for (uint64_t i = 0; i < NR_FUNCTIONS; i++)
		write_function(&writer, BIG_CODE_AT + i, BIG_CODE - 2 * i, usual_program, sizeof(usual_program));
	struct unwind_table *table = compile_writer(&writer, 0);
	struct unwind_rule first = usual_rule(DWARF_RSP, 8), later = usual_rule(DWARF_RSP, 16);

	assert_int_equal(table->nr_fdes, NR_FUNCTIONS);
	assert_memory_equal(rule_in_code(table, NR_FUNCTIONS - 1), &first, sizeof(first));
	assert_memory_equal(rule_in_code(table, NR_FUNCTIONS), &later, sizeof(later));
	assert_memory_equal(rule_in_code(table, BIG_CODE - 1), &later, sizeof(later));
	unwind_table_destroy(table);
}

/* All at one place, and backwards: the order of the section means nothing. */
static void functions_out_of_order(void **state)
{
	struct writer writer = {0};
	struct unwind_rule later = usual_rule(DWARF_RSP, 16);

	(void)state;
	write_cie(&writer);
	for (uint64_t i = NR_FUNCTIONS; i--;)
		write_function(&writer, BIG_CODE_AT + 3 * i, 3, usual_program, sizeof(usual_program));
	for (uint64_t i = 0; i < NR_FUNCTIONS; i++)
		write_function(&writer, BIG_CODE_AT + NR_FUNCTIONS, 9, usual_program, sizeof(usual_program));
	struct unwind_table *table = compile_writer(&writer, 0);

	assert_int_equal(table->nr_fdes, 2 * NR_FUNCTIONS);
	for (uint64_t i = 0; i < NR_FUNCTIONS; i += 1000)
		assert_memory_equal(rule_in_code(table, 3 * i + 2), &later, sizeof(later));
	unwind_table_destroy(table);
}

/* A file that is nothing but signal trampolines: as many are kept as fit, and its rows are no more than its bytes. */
static void code_of_trampolines(void **state)
{
	static const uint8_t trampoline[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xcc};
	struct writer writer = {0};
	struct unwind_table *table = NULL;

	(void)state;
	write_cie(&writer);
	write_function(&writer, BIG_CODE_AT, BIG_CODE, usual_program, sizeof(usual_program));
	int fd = big_fd(writer.bytes.data, writer.bytes.nr, writer.bytes.nr);

	for (size_t at = 0; at + sizeof(trampoline) <= BIG_CODE; at += sizeof(trampoline))
		assert_int_equal(pwrite(fd, trampoline, sizeof(trampoline), (off_t)(BIG_CODE_AT + at)),
				 sizeof(trampoline));
	assert_int_equal(compile_fd(fd, &table), 0);
	assert_int_equal(rule_in_code(table, 3)->cfa, CFA_SIGNAL);
	assert_true(table->nr_rows < BIG_CODE);
	unwind_table_destroy(table);
	vector_free(&writer.bytes);
}

/* Nearly 4 GiB of code, a hole but for its ends: the table is of the size of what is described. */
static void code_that_is_a_hole(void **state)
{
	static const uint8_t trampoline[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xcc};
	const uint64_t far_addr = 0x100000, far_size = 0xf0000000, place = far_size - 64;
	struct cfi_image cfi = cfi_of_eh_frame();
	struct elf_image image = image_create(IMAGE_SIZE);
	struct unwind_table *table = NULL;

	(void)state;
	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION, FUNCTION_SIZE, NULL, 0);
	image_add_eh_frame(&image, &cfi);
	Elf64_Phdr *code = image_add_segment(&image, PT_LOAD, PF_R | PF_X, IMAGE_SIZE, far_size);

	code->p_vaddr = far_addr;
	int fd = image_fd(&image);

	assert_int_equal(ftruncate(fd, (off_t)(IMAGE_SIZE + far_size)), 0);
	assert_int_equal(pwrite(fd, trampoline, sizeof(trampoline), (off_t)(IMAGE_SIZE + place)), sizeof(trampoline));
	assert_int_equal(compile_fd(fd, &table), 0);
	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	check_kind(table, FUNCTION + FUNCTION_SIZE, CFA_NONE);
	check_kind(table, far_addr + far_size / 2, CFA_NONE);
	check_kind(table, far_addr + place - 2, CFA_NONE);
	check_kind(table, far_addr + place, CFA_SIGNAL);
	check_kind(table, far_addr + place + sizeof(trampoline), CFA_NONE);
	assert_true(table->nr_granules * sizeof(struct unwind_granule) <= 512 << 10);
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* Thousands of headers that name the same notes: the file opens, and not after having read them all. */
static void notes_again_and_again(void **state)
{
	enum { NR = 60000, NOTES = 1 << 16 };
	struct elf_image image = image_create(0x10000 + NOTES);
	Elf64_Shdr *sections = calloc(NR, sizeof(*sections));
	Elf64_Nhdr note = {.n_namesz = 0, .n_descsz = 0, .n_type = 7};
	struct object *object;

	(void)state;
	for (size_t at = 0; at < NOTES - sizeof(note); at += sizeof(note))
		memcpy(image.bytes + 0x10000 + at, &note, sizeof(note));
	for (size_t i = 1; i < NR; i++)
		sections[i] = (Elf64_Shdr){.sh_type = SHT_NOTE, .sh_offset = 0x10000, .sh_size = NOTES};
	image_header(&image)->e_shoff = image.size;
	image_header(&image)->e_shnum = NR;
	int fd = image_fd(&image);

	assert_int_equal(pwrite(fd, sections, NR * sizeof(*sections), (off_t)image.size), NR * sizeof(*sections));

	alarm(HANG_SECONDS);
	assert_int_equal(object_create(fd, NULL, NULL, &object), 0);
	alarm(0);
	assert_int_equal(object_info(object)->build_id_size, 0);
	object_destroy(object);
	free(sections);
	image_destroy(&image);
}

/* ---- packed sections ---- */

struct packed {
	uint8_t *bytes;
	uLongf size;
};

static struct packed pack_zeros(uint64_t size)
{
	struct packed packed = {.size = compressBound(size)};
	void *zeros = calloc(1, size);

	packed.bytes = malloc(packed.size);
	assert_int_equal(compress2(packed.bytes, &packed.size, zeros, size, Z_BEST_SPEED), Z_OK);
	free(zeros);
	return packed;
}

/* A file with packed bytes as .debug_frame; claimed is how many its header says that they become. */
static int packed_fd(const struct packed *packed, uint64_t claimed, bool gnu)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = claimed, .ch_addralign = 8};
	uint8_t gnu_header[12] = "ZLIB";
	size_t head = gnu ? sizeof(gnu_header) : sizeof(header);

	for (int i = 0; i < 8; i++)
		gnu_header[4 + i] = (uint8_t)(claimed >> (56 - 8 * i));
	image_add_section(&image, gnu ? ".zdebug_frame" : ".debug_frame", SHT_PROGBITS, gnu ? 0 : SHF_COMPRESSED,
			  IMAGE_SIZE, head + packed->size)
		->sh_addralign = 8;
	int fd = image_fd(&image);

	assert_int_equal(pwrite(fd, gnu ? (void *)gnu_header : &header, head, IMAGE_SIZE), head);
	assert_int_equal(pwrite(fd, packed->bytes, packed->size, (off_t)(IMAGE_SIZE + head)), packed->size);
	image_destroy(&image);
	return fd;
}

static void packed_bombs(void **state)
{
	const uint64_t size = 300 << 20;
	const long room_kib = 64 << 10;
	struct packed packed = pack_zeros(size);
	struct unwind_table *table;
	struct rusage before, after;

	(void)state;
	getrusage(RUSAGE_SELF, &before);
	for (int gnu = 0; gnu < 2; gnu++) {
		assert_int_equal(compile_fd(packed_fd(&packed, 1ull << 40, gnu), &table), -E2BIG);
		assert_int_equal(compile_fd(packed_fd(&packed, size, gnu), &table), -E2BIG);
		assert_int_equal(compile_fd(packed_fd(&packed, 1 << 20, gnu), &table), -ENODATA); /* a lie */
	}
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss < before.ru_maxrss + room_kib);
	free(packed.bytes);
}

/* A bomb beside a good .eh_frame of few functions costs what it would have added. */
static void packed_bomb_beside_eh_frame(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct cfi_image cfi = cfi_of_eh_frame();
	Elf64_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = 1ull << 40, .ch_addralign = 8};

	(void)state;
	put_fde(&cfi, put_usual_cie(&cfi), FUNCTION, FUNCTION_SIZE, NULL, 0);
	image_add_eh_frame(&image, &cfi);
	memcpy(image.bytes + IMAGE_DEBUG, &header, sizeof(header));
	image_add_section(&image, ".debug_frame", SHT_PROGBITS, SHF_COMPRESSED, IMAGE_DEBUG, 0x100)->sh_addralign = 8;
	struct unwind_table *table = compile_image(&image);

	check_rule(table, FUNCTION, usual_rule(DWARF_RSP, 8));
	unwind_table_destroy(table);
	image_destroy(&image);
}

/* ---- names ---- */

/*
 * A table of strings without an end has to be searched for one from each name on: libelf never gets to see it, from a
 * file or from memory.
 */
static void strings_without_an_end(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct elf_file file;

	(void)state;
	image_add_section(&image, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, IMAGE_FRAMES, 16);
	Elf64_Shdr *strings = image_add_section(&image, ".strtab", SHT_STRTAB, 0, IMAGE_DEBUG, 0x1000);
	int good = image_fd(&image);

	assert_int_equal(elf_file_open_owned(good, &file), 0);
	elf_file_close(&file);
	memset(image.bytes + IMAGE_DEBUG, 'x', 0x1000);
	assert_int_equal(elf_file_open_owned(image_fd(&image), &file), -EBADMSG);
	assert_int_equal(elf_file_open_memory(memory_dup(image.bytes, image.size), image.size, &file), -EBADMSG);
	strings->sh_offset = UINT64_MAX - 4;
	assert_true(elf_file_open_owned(image_fd(&image), &file) < 0);
	strings->sh_size = 0;
	assert_int_equal(elf_file_open_owned(image_fd(&image), &file), 0);
	elf_file_close(&file);
	image_destroy(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eh_frame_of_4_gib),
		cmocka_unit_test(many_sections_of_the_same_bytes),
		cmocka_unit_test(segments_over_each_other),
		cmocka_unit_test(search_table_of_any_size),
		cmocka_unit_test(cies_that_never_end),
		cmocka_unit_test(functions_in_a_circle),
		cmocka_unit_test(numbers_that_never_end),
		cmocka_unit_test(length_of_all_ones),
		cmocka_unit_test(states_remembered_and_restored),
		cmocka_unit_test(advances_by_nothing),
		cmocka_unit_test(functions_within_each_other),
		cmocka_unit_test(functions_out_of_order),
		cmocka_unit_test(code_of_trampolines),
		cmocka_unit_test(code_that_is_a_hole),
		cmocka_unit_test(notes_again_and_again),
		cmocka_unit_test(packed_bombs),
		cmocka_unit_test(packed_bomb_beside_eh_frame),
		cmocka_unit_test(strings_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
