/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_fixture.h - ELF files put together symbol by symbol and section by section, and what names_find() says of them.
 *
 * An image is filled between image_init() and image_finish(): .text and .data are there, a segment holds the text.
 * Includes cmocka.
 */
#ifndef EBPROF_TESTS_NAMES_FIXTURE_H
#define EBPROF_TESTS_NAMES_FIXTURE_H

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bytes_file.h"
#include "names.h"
#include "vector.h"

/* ---- what was found ---- */

enum { KEPT_FRAMES = 8, KEPT_TEXT = 512 };

struct kept {
	unsigned int nr_calls;
	size_t nr_frames;
	struct {
		char name[KEPT_TEXT];
		char system_name[KEPT_TEXT];
		char file[KEPT_TEXT];
		uint32_t line;
		uint32_t start_line;
	} frames[KEPT_FRAMES];
};

static inline void copy_text(char *target, const char *text)
{
	snprintf(target, KEPT_TEXT, "%s", text ? text : "?");
}

static inline void keep(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
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

/* ---- an ELF file made to measure ---- */

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

static inline size_t image_append(struct image *image, const void *data, size_t size)
{
	size_t offset = (image->bytes.nr + 7) & ~(size_t)7;

	vector_reserve(&image->bytes, size + 8);
	memset(image->bytes.data + image->bytes.nr, 0, offset - image->bytes.nr);
	memcpy(image->bytes.data + offset, data, size);
	image->bytes.nr = offset + size;
	return offset;
}

static inline uint32_t append_name(void *names_vector, const char *name)
{
	VECTOR(char) *names = names_vector;
	uint32_t offset = (uint32_t)names->nr;

	vector_reserve(names, strlen(name) + 1);
	memcpy(names->data + offset, name, strlen(name) + 1);
	names->nr += strlen(name) + 1;
	return offset;
}

static inline Elf64_Shdr *image_section(struct image *image, const char *name, uint32_t type, const void *data,
					size_t size)
{
	Elf64_Shdr *section = &image->sections[image->nr_sections++];

	section->sh_name = append_name(&image->names, name);
	section->sh_type = type;
	section->sh_offset = image_append(image, data, size);
	section->sh_size = size;
	section->sh_addralign = 1;
	return section;
}

static inline void image_init(struct image *image)
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

static inline void image_symbol(struct image *image, const char *name, uint64_t value, uint64_t size, int binding,
				int type, uint16_t section)
{
	Elf64_Sym *symbol = vector_push(&image->symbols);

	symbol->st_name = append_name(&image->symbol_names, name);
	symbol->st_value = value;
	symbol->st_size = size;
	symbol->st_info = (unsigned char)ELF64_ST_INFO(binding, type);
	symbol->st_shndx = section;
}

static inline void image_function(struct image *image, const char *name, uint64_t value, uint64_t size)
{
	image_symbol(image, name, value, size, STB_GLOBAL, STT_FUNC, TEXT_SECTION);
}

/* Finishes the file; the bytes are the image's. */
static inline void image_finish(struct image *image)
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

static inline void image_deinit(struct image *image)
{
	vector_free(&image->bytes);
	vector_free(&image->names);
	vector_free(&image->symbols);
	vector_free(&image->symbol_names);
}

/* Finishes and looks up; *kept has one element per address. */
static inline struct names_status image_names(struct image *image, related_open_fn related, void *context,
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
static inline const char *image_name(struct image *image, uint64_t file_addr)
{
	static struct kept kept;

	image_names(image, NULL, NULL, &file_addr, 1, &kept);
	return kept.nr_frames == 0 ? "" : kept.frames[0].name;
}

#endif
