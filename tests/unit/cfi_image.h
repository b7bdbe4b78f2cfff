/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_image.h - writes call-frame information, byte by byte, for images of elf_image.h.
 */
#ifndef EBPROF_TESTS_CFI_IMAGE_H
#define EBPROF_TESTS_CFI_IMAGE_H

#include <dwarf.h>

#include "elf_image.h"

enum { CFI_MAX = 0x3000 };

struct cfi_image {
	uint8_t bytes[CFI_MAX];
	size_t size;
	uint64_t addr;	     /* file_addr of bytes[0] */
	bool is_debug_frame; /* that variant of the format */
	bool is_64bit;	     /* 64-bit lengths */
	size_t length_at;    /* where the open entry's length is */
};

static inline void put_bytes(struct cfi_image *cfi, const void *bytes, size_t size)
{
	if (size > CFI_MAX - cfi->size)
		abort();
	if (size)
		memcpy(cfi->bytes + cfi->size, bytes, size);
	cfi->size += size;
}

static inline void put_number(struct cfi_image *cfi, uint64_t number, size_t size)
{
	put_bytes(cfi, &number, size);
}

static inline void put_uleb(struct cfi_image *cfi, uint64_t number)
{
	do {
		uint8_t byte = number & 0x7f;

		number >>= 7;
		put_number(cfi, number ? byte | 0x80 : byte, 1);
	} while (number);
}

static inline void put_sleb(struct cfi_image *cfi, int64_t number)
{
	bool more;

	do {
		uint8_t byte = number & 0x7f;

		number >>= 7;
		more = !((number == 0 && !(byte & 0x40)) || (number == -1 && byte & 0x40));
		put_number(cfi, more ? byte | 0x80 : byte, 1);
	} while (more);
}

static inline void cfi_begin(struct cfi_image *cfi)
{
	if (cfi->is_64bit)
		put_number(cfi, UINT32_MAX, 4);
	cfi->length_at = cfi->size;
	put_number(cfi, 0, cfi->is_64bit ? 8 : 4);
}

/* Pads the open entry with nops and sets its length. */
static inline void cfi_end(struct cfi_image *cfi)
{
	size_t length_size = cfi->is_64bit ? 8 : 4;

	while (cfi->size % 8)
		put_number(cfi, DW_CFA_nop, 1);
	uint64_t length = cfi->size - cfi->length_at - length_size;

	memcpy(cfi->bytes + cfi->length_at, &length, length_size);
}

/* The entry's id: a CIE's or, in an FDE, where the CIE is. */
static inline void put_id(struct cfi_image *cfi, bool is_cie, size_t cie)
{
	size_t size = cfi->is_debug_frame && cfi->is_64bit ? 8 : 4;

	if (cfi->is_debug_frame)
		put_number(cfi, is_cie ? UINT64_MAX : cie, size);
	else
		put_number(cfi, is_cie ? 0 : cfi->size - cie, size);
}

/* A CIE with given augmentation and its data; instructions follow. */
static inline size_t cie_begin(struct cfi_image *cfi, uint8_t version, const char *augmentation, const void *data,
			       size_t data_size)
{
	size_t offset = cfi->size;

	cfi_begin(cfi);
	put_id(cfi, true, 0);
	put_number(cfi, version, 1);
	put_bytes(cfi, augmentation, strlen(augmentation) + 1);
	if (version == 4)
		put_number(cfi, 8, 2); /* sizes of addresses and of segment selectors */
	put_uleb(cfi, 1);
	put_sleb(cfi, -8);
	put_uleb(cfi, 16);
	if (augmentation[0] == 'z') {
		put_uleb(cfi, data_size);
		put_bytes(cfi, data, data_size);
	}
	return offset;
}

/* What compilers' CIEs say: CFA rsp+8, return address just below. */
static inline void put_usual_start(struct cfi_image *cfi)
{
	put_number(cfi, DW_CFA_def_cfa, 1);
	put_uleb(cfi, 7);
	put_uleb(cfi, 8);
	put_number(cfi, DW_CFA_offset | 16, 1);
	put_uleb(cfi, 1);
}

/* The usual CIE, with pc-relative 4-byte addresses in .eh_frame and absolute ones in .debug_frame. */
static inline size_t put_usual_cie(struct cfi_image *cfi)
{
	static const uint8_t encoding = 0x1b;
	size_t offset = cfi->is_debug_frame ? cie_begin(cfi, 1, "", NULL, 0) : cie_begin(cfi, 1, "zR", &encoding, 1);

	put_usual_start(cfi);
	cfi_end(cfi);
	return offset;
}

/* An FDE of put_usual_cie's CIE; instructions follow. */
static inline void fde_begin(struct cfi_image *cfi, size_t cie, uint64_t start, uint64_t size)
{
	cfi_begin(cfi);
	put_id(cfi, false, cie);
	if (cfi->is_debug_frame) {
		put_number(cfi, start, 8);
		put_number(cfi, size, 8);
		return;
	}
	put_number(cfi, start - (cfi->addr + cfi->size), 4);
	put_number(cfi, size, 4);
	put_uleb(cfi, 0); /* augmentation data */
}

static inline void put_fde(struct cfi_image *cfi, size_t cie, uint64_t start, uint64_t size, const void *program,
			   size_t program_size)
{
	fde_begin(cfi, cie, start, size);
	put_bytes(cfi, program, program_size);
	cfi_end(cfi);
}

/* Puts it into an image as .eh_frame, with a section header. */
static inline void image_add_eh_frame(struct elf_image *image, const struct cfi_image *cfi)
{
	memcpy(image->bytes + IMAGE_FRAMES, cfi->bytes, cfi->size);
	image_add_section(image, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, IMAGE_FRAMES, cfi->size);
}

#endif
