/* SPDX-License-Identifier: Apache-2.0 */
/* What a file says about itself, and that a file which lies costs at most the part that it lies about. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "elf_image.h"
#include "object_private.h"

static const uint8_t ID[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};

static struct object *open_image(const struct elf_image *image)
{
	struct object *object;

	assert_int_equal(object_create(image_fd(image), NULL, NULL, &object), 0);
	return object;
}

/* object_create's error, after checking that it closed the descriptor. */
static int open_error(int fd)
{
	struct object *object;
	int err = object_create(fd, NULL, NULL, &object);

	assert_true(err < 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	return err;
}

static int image_error(const struct elf_image *image)
{
	return open_error(image_fd(image));
}

static void plain_library(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct object *object = open_image(&image);
	const struct object_info *info = object_info(object);

	(void)state;
	assert_true(info->is_64bit_x86);
	assert_false(info->is_executable);
	assert_true(info->stripped);
	assert_int_equal(info->build_id_size, 0);
	assert_int_equal(info->base_addr, IMAGE_CODE);
	assert_int_equal(info->entry_addr, 0);
	assert_string_equal(info->interpreter, "");
	assert_int_equal(info->nr_segments, 1);
	assert_int_equal(info->segments[0].file_offset, IMAGE_CODE);
	assert_int_equal(info->segments[0].file_addr, IMAGE_CODE);
	assert_int_equal(info->segments[0].file_size, IMAGE_CODE_SIZE);
	assert_int_equal(info->segments[0].size, IMAGE_CODE_SIZE);
	assert_int_equal(object_file_size(object), IMAGE_SIZE);
	object_destroy(object);
	image_destroy(&image);
}

static void executables(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct object *object;

	(void)state;
	image_header(&image)->e_entry = IMAGE_CODE + 8;
	object = open_image(&image);
	assert_false(object_info(object)->is_executable); /* a library with an entry point */
	assert_int_equal(object_info(object)->entry_addr, IMAGE_CODE + 8);
	object_destroy(object);

	image_header(&image)->e_type = ET_EXEC;
	object = open_image(&image);
	assert_true(object_info(object)->is_executable);
	object_destroy(object);

	image_header(&image)->e_type = ET_DYN;
	Elf64_Dyn dynamic[] = {{.d_tag = DT_FLAGS, .d_un.d_val = DF_1_PIE},
			       {.d_tag = DT_FLAGS_1, .d_un.d_val = DF_1_NOW | DF_1_PIE},
			       {.d_tag = DT_NULL}};

	memcpy(image.bytes + IMAGE_FRAMES, dynamic, sizeof(dynamic));
	image_add_segment(&image, PT_DYNAMIC, PF_R, IMAGE_FRAMES, sizeof(dynamic));
	object = open_image(&image);
	assert_true(object_info(object)->is_executable);
	object_destroy(object);

	/* Without an entry point it can't be, whatever the flags say. */
	image_header(&image)->e_entry = 0;
	object = open_image(&image);
	assert_false(object_info(object)->is_executable);
	object_destroy(object);
	image_destroy(&image);
}

static void interpreter(void **state)
{
	static const char path[] = "/lib64/ld-linux-x86-64.so.2";
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Phdr *segment = image_add_segment(&image, PT_INTERP, PF_R, IMAGE_FRAMES, sizeof(path));
	struct object *object;

	(void)state;
	image_header(&image)->e_entry = IMAGE_CODE;
	memcpy(image.bytes + IMAGE_FRAMES, path, sizeof(path));
	object = open_image(&image);
	assert_true(object_info(object)->is_executable);
	assert_string_equal(object_info(object)->interpreter, path);
	object_destroy(object);

	memset(image.bytes + IMAGE_FRAMES, 'x', 100);
	segment->p_filesz = 63;
	object = open_image(&image);
	assert_int_equal(strlen(object_info(object)->interpreter), 63);
	object_destroy(object);

	segment->p_filesz = 64;
	object = open_image(&image);
	assert_string_equal(object_info(object)->interpreter, "");
	object_destroy(object);

	segment->p_filesz = 20;
	segment->p_offset = IMAGE_SIZE - 10;
	object = open_image(&image);
	assert_string_equal(object_info(object)->interpreter, "");
	object_destroy(object);
	image_destroy(&image);
}

static void check_build_id(const struct elf_image *image, const uint8_t *id, size_t size)
{
	struct object *object = open_image(image);

	assert_int_equal(object_info(object)->build_id_size, size);
	assert_memory_equal(object_info(object)->build_id, id, size);
	object_destroy(object);
}

static void build_id_of_segment(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Nhdr other = {.n_namesz = 5, .n_descsz = 3, .n_type = NT_GNU_BUILD_ID};
	size_t place = IMAGE_NOTES;

	(void)state;
	/* Another owner's note of the same type comes first: name and descriptor are padded to 4. */
	memcpy(image.bytes + place, &other, sizeof(other));
	memcpy(image.bytes + place + sizeof(other), "Else", 5);
	place += sizeof(other) + 8 + 4;
	place += image_put_build_id(&image, place, ID, 20);
	Elf64_Phdr *segment = image_add_segment(&image, PT_NOTE, PF_R, IMAGE_NOTES, place - IMAGE_NOTES);

	check_build_id(&image, ID, 20);

	/* The descriptor reaches one byte beyond the segment. */
	segment->p_filesz--;
	check_build_id(&image, ID, 0);
	segment->p_filesz = UINT64_MAX;
	check_build_id(&image, ID, 0);
	segment->p_filesz = 11;
	check_build_id(&image, ID, 0);
	image_destroy(&image);
}

static void build_id_sizes(void **state)
{
	static const uint32_t sizes[] = {1, 8, 16, 20, 24};
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Phdr *segment = image_add_segment(&image, PT_NOTE, PF_R, IMAGE_NOTES, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		segment->p_filesz = image_put_build_id(&image, IMAGE_NOTES, ID, sizes[i]);
		check_build_id(&image, ID, sizes[i] < BUILD_ID_MAX ? sizes[i] : BUILD_ID_MAX);
	}
	image_destroy(&image);
}

static void build_id_behind_wide_notes(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Nhdr property = {.n_namesz = 4, .n_descsz = 12, .n_type = NT_GNU_PROPERTY_TYPE_0};
	size_t size = sizeof(property) + 4 + 16; /* padded to 8 */

	(void)state;
	memcpy(image.bytes + IMAGE_NOTES, &property, sizeof(property));
	memcpy(image.bytes + IMAGE_NOTES + sizeof(property), "GNU", 4);
	size += image_put_build_id(&image, IMAGE_NOTES + size, ID, 20);
	image_add_segment(&image, PT_NOTE, PF_R, IMAGE_NOTES, size)->p_align = 8;
	check_build_id(&image, ID, 20);
	image_destroy(&image);
}

static void build_id_of_section(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	size_t size = image_put_build_id(&image, IMAGE_NOTES, ID, 20);

	(void)state;
	image_add_section(&image, ".note.gnu.build-id", SHT_NOTE, SHF_ALLOC, IMAGE_NOTES, size);
	check_build_id(&image, ID, 20);
	/* Its program headers lead elsewhere, as in a separate debug file. */
	image_add_segment(&image, PT_NOTE, PF_R, IMAGE_SIZE + 0x1000, size);
	check_build_id(&image, ID, 20);
	image_destroy(&image);
}

static void note_sizes_that_wrap(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	size_t size = image_put_build_id(&image, IMAGE_NOTES, ID, 20);
	Elf64_Nhdr *note = (Elf64_Nhdr *)(image.bytes + IMAGE_NOTES);

	(void)state;
	image_add_segment(&image, PT_NOTE, PF_R, IMAGE_NOTES, size);
	note->n_descsz = UINT32_MAX;
	check_build_id(&image, ID, 0);
	note->n_descsz = UINT32_MAX - 20;
	check_build_id(&image, ID, 0);
	note->n_descsz = 20;
	note->n_namesz = UINT32_MAX;
	check_build_id(&image, ID, 0);
	note->n_namesz = UINT32_MAX - 11;
	check_build_id(&image, ID, 0);
	image_destroy(&image);
}

static void not_elf(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(open_error(bytes_fd("", 0)), -ENOEXEC);
	assert_int_equal(open_error(bytes_fd("\177ELF", 4)), -ENOEXEC);
	assert_int_equal(open_error(bytes_fd("#!/bin/sh\necho no ELF file at all\n", 34)), -ENOEXEC);
	assert_int_equal(open_error(open("/", O_RDONLY | O_DIRECTORY)), -ENOEXEC);
	assert_int_equal(open_error(open("/dev/zero", O_RDONLY)), -ENOEXEC);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(open_error(ends[0]), -ENOEXEC);
	close(ends[1]);
	struct object *object;

	assert_int_equal(object_create(-1, NULL, NULL, &object), -EBADF);
}

static void broken_headers(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Ehdr good = *image_header(&image);
	Elf64_Ehdr *header = image_header(&image);

	(void)state;
	for (size_t size = EI_NIDENT; size < sizeof(good) + 2 * sizeof(Elf64_Phdr); size += 8)
		assert_int_equal(open_error(bytes_fd(image.bytes, size)), -EBADMSG);
	header->e_ident[EI_CLASS] = 7;
	assert_int_equal(image_error(&image), -EBADMSG);
	*header = good;
	header->e_ident[EI_DATA] = 0;
	assert_int_equal(image_error(&image), -EBADMSG);
	*header = good;
	header->e_phentsize = sizeof(Elf64_Phdr) - 1;
	assert_int_equal(image_error(&image), -EBADMSG);
	header->e_phentsize = 0;
	assert_int_equal(image_error(&image), -EBADMSG);
	*header = good;
	header->e_phnum = PN_XNUM;
	assert_int_equal(image_error(&image), -EBADMSG);
	header->e_phnum = 1000; /* allowed, but the file is too small for them */
	assert_int_equal(image_error(&image), -EBADMSG);
	*header = good;
	header->e_phoff = IMAGE_SIZE - sizeof(Elf64_Phdr);
	assert_int_equal(image_error(&image), -EBADMSG);
	header->e_phoff = UINT64_MAX - 8;
	assert_int_equal(image_error(&image), -EBADMSG);
	image_destroy(&image);
}

static void no_program_headers(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);

	(void)state;
	image_header(&image)->e_phnum = 0;
	image_header(&image)->e_type = ET_REL;
	struct object *object = open_image(&image);

	assert_int_equal(object_info(object)->nr_segments, 0);
	assert_int_equal(object_info(object)->base_addr, 0);
	object_destroy(object);
	image_destroy(&image);
}

static void segments_that_lie(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Phdr *code = image_segment(&image, 0);
	Elf64_Phdr good = *code;
	struct object *object;

	(void)state;
	code->p_filesz = code->p_memsz = UINT64_MAX / 2; /* past the end of the file: cut */
	object = open_image(&image);
	assert_int_equal(object_info(object)->segments[0].file_size, IMAGE_SIZE - IMAGE_CODE);
	object_destroy(object);

	*code = good;
	code->p_memsz = 0x100; /* more in the file than in memory */
	object = open_image(&image);
	assert_int_equal(object_info(object)->segments[0].file_size, 0x100);
	object_destroy(object);

	*code = good;
	code->p_offset = IMAGE_SIZE + 1;
	object = open_image(&image);
	assert_int_equal(object_info(object)->segments[0].file_size, 0);
	object_destroy(object);

	*code = good;
	code->p_vaddr = UINT64_MAX - 0x10; /* wraps around: left out */
	object = open_image(&image);
	assert_int_equal(object_info(object)->nr_segments, 0);
	assert_int_equal(object_info(object)->base_addr, IMAGE_HDR);
	object_destroy(object);
	image_destroy(&image);
}

static void segment_order_and_number(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct object *object;

	(void)state;
	/* Two segments exist. Executable ones from high to low, overlapping. */
	for (unsigned int i = 1; i < OBJECT_SEGMENTS_MAX; i++)
		image_add_segment(&image, PT_LOAD, PF_R | PF_X, IMAGE_CODE - 0x10 * i, 0x40);
	object = open_image(&image);
	const struct object_info *info = object_info(object);

	assert_int_equal(info->nr_segments, OBJECT_SEGMENTS_MAX);
	for (unsigned int i = 1; i < info->nr_segments; i++)
		assert_true(info->segments[i - 1].file_addr < info->segments[i].file_addr);
	assert_int_equal(info->base_addr, 0); /* 0xf10, rounded down */
	object_destroy(object);

	image_add_segment(&image, PT_LOAD, PF_R | PF_X, 0x100, 0x40);
	assert_int_equal(image_error(&image), -E2BIG);
	image_destroy(&image);
}

static void sections(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);

	(void)state;
	image_add_section(&image, ".symtab", SHT_SYMTAB, 0, IMAGE_DEBUG, 0x30);
	image_add_section(&image, ".twice", SHT_PROGBITS, SHF_ALLOC, IMAGE_CODE, 0x10);
	image_add_section(&image, ".twice", SHT_PROGBITS, SHF_ALLOC, IMAGE_CODE + 0x10, 0x20);
	struct object *object = open_image(&image);

	assert_false(object_info(object)->stripped);
	const struct object_section *first = object_find_section(object, ".twice", NULL);

	assert_non_null(first);
	assert_int_equal(first->file_addr, IMAGE_CODE);
	const struct object_section *second = object_find_section(object, ".twice", first);

	assert_non_null(second);
	assert_int_equal(second->size, 0x20);
	assert_null(object_find_section(object, ".twice", second));
	assert_null(object_find_section(object, ".none", NULL));
	object_destroy(object);
	image_destroy(&image);
}

static void check_has_section(const struct elf_image *image, bool expected)
{
	struct object *object = open_image(image);

	assert_int_equal(object_find_section(object, ".text", NULL) != NULL, expected);
	assert_int_equal(object_info(object)->nr_segments, 1); /* the rest of the file isn't worse for it */
	object_destroy(object);
}

static void sections_that_lie(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	Elf64_Ehdr *header = image_header(&image);

	(void)state;
	image_add_section(&image, ".text", SHT_PROGBITS, SHF_ALLOC, IMAGE_CODE, 0x10);
	check_has_section(&image, true);
	Elf64_Ehdr good = *header;

	header->e_shoff = IMAGE_SIZE - 8;
	check_has_section(&image, false);
	header->e_shoff = UINT64_MAX - 16;
	check_has_section(&image, false);
	*header = good;
	header->e_shentsize = 1;
	check_has_section(&image, false);
	*header = good;
	header->e_shnum = 0xfeff;
	check_has_section(&image, false);
	*header = good;
	header->e_shstrndx = 60;
	check_has_section(&image, false);
	*header = good;
	/* Numbers too large for the file header are in section 0. */
	header->e_shnum = 0;
	header->e_shstrndx = SHN_XINDEX;
	image_section(&image, 0)->sh_size = good.e_shnum;
	image_section(&image, 0)->sh_link = good.e_shstrndx;
	check_has_section(&image, true);
	image_section(&image, 0)->sh_size = UINT64_MAX / 64;
	check_has_section(&image, false);
	*header = good;
	image_section(&image, 1)->sh_size = UINT64_MAX;
	check_has_section(&image, false);
	image_section(&image, 1)->sh_size = IMAGE_SIZE;
	check_has_section(&image, false);
	image_section(&image, 1)->sh_size = image.names_size - 1; /* the last name has lost its end: one is put there */
	check_has_section(&image, true);
	image_section(&image, 2)->sh_name = UINT32_MAX;
	check_has_section(&image, false);
	image_destroy(&image);
}

static void other_machines(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct object *object;

	(void)state;
	image_header(&image)->e_machine = EM_AARCH64;
	object = open_image(&image);
	assert_false(object_info(object)->is_64bit_x86);
	assert_int_equal(object_info(object)->nr_segments, 1);
	object_destroy(object);
	image_header(&image)->e_ident[EI_DATA] = ELFDATA2MSB;
	object = open_image(&image);
	assert_false(object_info(object)->is_64bit_x86);
	assert_int_equal(object_info(object)->nr_segments, 0);
	object_destroy(object);
	image_destroy(&image);
}

static void elf32(void **state)
{
	struct elf_image image = {.bytes = calloc(1, IMAGE_SIZE), .size = IMAGE_SIZE};
	Elf32_Ehdr *header = (Elf32_Ehdr *)image.bytes;
	Elf32_Phdr *segments = (Elf32_Phdr *)(header + 1);

	(void)state;
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS32;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_type = ET_EXEC;
	header->e_machine = EM_X86_64; /* the x32 ABI: still not what the walker walks */
	header->e_entry = 0x8049000;
	header->e_phoff = sizeof(*header);
	header->e_phnum = 2;
	header->e_phentsize = sizeof(*segments);
	segments[0] = (Elf32_Phdr){.p_type = PT_LOAD,
				   .p_flags = PF_X,
				   .p_offset = 0x1000,
				   .p_vaddr = 0x8049000,
				   .p_filesz = 0x800,
				   .p_memsz = 0x900};
	segments[1] = (Elf32_Phdr){.p_type = PT_NOTE, .p_offset = IMAGE_NOTES, .p_align = 4};
	segments[1].p_filesz = segments[1].p_memsz = (uint32_t)image_put_build_id(&image, IMAGE_NOTES, ID, 16);
	struct object *object = open_image(&image);
	const struct object_info *info = object_info(object);

	assert_false(info->is_64bit_x86);
	assert_true(info->is_executable);
	assert_int_equal(info->base_addr, 0x8049000);
	assert_int_equal(info->entry_addr, 0x8049000);
	assert_int_equal(info->nr_segments, 1);
	assert_int_equal(info->segments[0].size, 0x900);
	assert_int_equal(info->build_id_size, 16);
	object_destroy(object);
	image_destroy(&image);
}

static void reading(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < 16; i++)
		image.bytes[IMAGE_HDR + i] = (uint8_t)(i * 3);
	image_segment(&image, 1)->p_vaddr = 0x20000;
	struct object *object = open_image(&image);

	assert_int_equal(object_read(object, IMAGE_HDR, bytes, 16), 0);
	assert_memory_equal(bytes, image.bytes + IMAGE_HDR, 16);
	assert_int_equal(object_read(object, IMAGE_SIZE - 16, bytes, 16), 0);
	assert_int_equal(object_read(object, IMAGE_SIZE, bytes, 0), 0);
	assert_int_equal(object_read(object, IMAGE_SIZE - 15, bytes, 16), -EBADMSG);
	assert_int_equal(object_read(object, UINT64_MAX, bytes, 16), -EBADMSG);

	assert_int_equal(object_read_addr(object, 0x20004, bytes, 4), 0);
	assert_memory_equal(bytes, image.bytes + IMAGE_HDR + 4, 4);
	assert_int_equal(object_read_addr(object, 0x1ffff, bytes, 1), -EBADMSG);
	uint64_t end = 0x20000 + IMAGE_DATA_END - IMAGE_HDR;

	assert_int_equal(object_read_addr(object, end - 4, bytes, 4), 0);
	assert_int_equal(object_read_addr(object, end - 3, bytes, 4), -EBADMSG);
	assert_int_equal(object_read_addr(object, end, bytes, 0), -EBADMSG);

	/* Its owner cuts it while it is open. */
	assert_int_equal(ftruncate(object_fd(object), IMAGE_CODE), 0);
	assert_int_equal(object_read(object, IMAGE_HDR, bytes, 16), -EBADMSG);
	assert_int_equal(object_read(object, IMAGE_CODE - 8, bytes, 16), -EBADMSG);
	object_destroy(object);
	image_destroy(&image);
}

static int answer_related(const struct related_file *file, void *context)
{
	assert_int_equal(file->kind, RELATED_DEBUGLINK);
	assert_string_equal(file->name, "a.debug");
	return *(int *)context;
}

static void related_files(void **state)
{
	struct elf_image image = image_create(IMAGE_SIZE);
	struct related_file file = {.kind = RELATED_DEBUGLINK, .name = "a.debug"};
	struct object *object = open_image(&image);
	int answer = -ENOENT;

	(void)state;
	assert_int_equal(object_related(object, &file), -ENOENT);
	object_destroy(object);
	assert_int_equal(object_create(image_fd(&image), answer_related, &answer, &object), 0);
	answer = 77;
	assert_int_equal(object_related(object, &file), 77);
	object_destroy(object);
	object_destroy(NULL);
	image_destroy(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_library),
		cmocka_unit_test(executables),
		cmocka_unit_test(interpreter),
		cmocka_unit_test(build_id_of_segment),
		cmocka_unit_test(build_id_sizes),
		cmocka_unit_test(build_id_behind_wide_notes),
		cmocka_unit_test(build_id_of_section),
		cmocka_unit_test(note_sizes_that_wrap),
		cmocka_unit_test(not_elf),
		cmocka_unit_test(broken_headers),
		cmocka_unit_test(no_program_headers),
		cmocka_unit_test(segments_that_lie),
		cmocka_unit_test(segment_order_and_number),
		cmocka_unit_test(sections),
		cmocka_unit_test(sections_that_lie),
		cmocka_unit_test(other_machines),
		cmocka_unit_test(elf32),
		cmocka_unit_test(reading),
		cmocka_unit_test(related_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
