/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_image.h - small ELF files made in memory, whole or broken on purpose.
 *
 * An image is bytes with a file header and program headers at their usual places; a test changes whatever field it is
 * about and gets a descriptor. Code is at 0x1000, in file and memory; other parts have fixed places as well.
 */
#ifndef EBPROF_TESTS_ELF_IMAGE_H
#define EBPROF_TESTS_ELF_IMAGE_H

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes_file.h"

enum {
	IMAGE_NOTES = 0x600,
	IMAGE_NAMES = 0x700,    /* of sections */
	IMAGE_SECTIONS = 0x800, /* their headers */
	IMAGE_CODE = 0x1000,
	IMAGE_CODE_SIZE = 0x4000,
	IMAGE_HDR = 0x5000,    /* .eh_frame_hdr */
	IMAGE_FRAMES = 0x5100, /* .eh_frame */
	IMAGE_DATA_END = 0x9000,
	IMAGE_DEBUG = 0x9000, /* sections that aren't loaded */
	IMAGE_SIZE = 0xc000,
};

struct elf_image {
	uint8_t *bytes;
	size_t size;
	size_t names_size;
};

static inline Elf64_Ehdr *image_header(struct elf_image *image)
{
	return (Elf64_Ehdr *)image->bytes;
}

static inline Elf64_Phdr *image_segment(struct elf_image *image, unsigned int index)
{
	return (Elf64_Phdr *)(image->bytes + sizeof(Elf64_Ehdr)) + index;
}

static inline Elf64_Shdr *image_section(struct elf_image *image, unsigned int index)
{
	return (Elf64_Shdr *)(image->bytes + IMAGE_SECTIONS) + index;
}

static inline Elf64_Phdr *image_add_segment(struct elf_image *image, uint32_t type, uint32_t flags, uint64_t place,
					    uint64_t size)
{
	Elf64_Phdr *segment = image_segment(image, image_header(image)->e_phnum++);

	*segment = (Elf64_Phdr){
		.p_type = type,
		.p_flags = flags,
		.p_offset = place,
		.p_vaddr = place,
		.p_filesz = size,
		.p_memsz = size,
		.p_align = type == PT_NOTE ? 4 : 0x1000,
	};
	return segment;
}

/* A position-independent file with one segment of code and one of data; no sections, no entry point. */
static inline struct elf_image image_create(size_t size)
{
	struct elf_image image = {.bytes = calloc(1, size), .size = size};
	Elf64_Ehdr *header = image_header(&image);

	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_ident[EI_VERSION] = EV_CURRENT;
	header->e_type = ET_DYN;
	header->e_machine = EM_X86_64;
	header->e_version = EV_CURRENT;
	header->e_ehsize = sizeof(Elf64_Ehdr);
	header->e_phoff = sizeof(Elf64_Ehdr);
	header->e_phentsize = sizeof(Elf64_Phdr);
	header->e_shentsize = sizeof(Elf64_Shdr);
	image_add_segment(&image, PT_LOAD, PF_R | PF_X, IMAGE_CODE, IMAGE_CODE_SIZE);
	image_add_segment(&image, PT_LOAD, PF_R, IMAGE_HDR, IMAGE_DATA_END - IMAGE_HDR);
	return image;
}

static inline void image_destroy(struct elf_image *image)
{
	free(image->bytes);
}

/* Section 0 and the names come into being with the first section. */
static inline Elf64_Shdr *image_add_section(struct elf_image *image, const char *name, uint32_t type, uint64_t flags,
					    uint64_t place, uint64_t size)
{
	Elf64_Ehdr *header = image_header(image);

	if (!header->e_shnum) {
		header->e_shoff = IMAGE_SECTIONS;
		header->e_shnum = 2;
		header->e_shstrndx = 1;
		*image_section(image, 1) = (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = IMAGE_NAMES};
		image->names_size = 1;
	}
	Elf64_Shdr *section = image_section(image, header->e_shnum++);

	*section = (Elf64_Shdr){
		.sh_name = (uint32_t)image->names_size,
		.sh_type = type,
		.sh_flags = flags,
		.sh_addr = flags & SHF_ALLOC ? place : 0,
		.sh_offset = place,
		.sh_size = size,
		.sh_addralign = 1,
	};
	strcpy((char *)image->bytes + IMAGE_NAMES + image->names_size, name);
	image->names_size += strlen(name) + 1;
	image_section(image, 1)->sh_size = image->names_size;
	return section;
}

/* Writes a build-id note; its size. */
static inline size_t image_put_build_id(struct elf_image *image, size_t place, const void *id, uint32_t id_size)
{
	Elf64_Nhdr note = {.n_namesz = 4, .n_descsz = id_size, .n_type = NT_GNU_BUILD_ID};

	memcpy(image->bytes + place, &note, sizeof(note));
	memcpy(image->bytes + place + sizeof(note), "GNU", 4);
	memcpy(image->bytes + place + sizeof(note) + 4, id, id_size);
	return sizeof(note) + 4 + (id_size + 3) / 4 * 4;
}

static inline int image_fd(const struct elf_image *image)
{
	return bytes_fd(image->bytes, image->size);
}

#endif
