/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_frames.c - the rows compiler on call-frame information: the input is a section, put into a sound file.
 *
 * The input's first byte says how it is found: as .eh_frame by section headers, through .eh_frame_hdr alone, or as
 * .debug_frame, with or without sections that other encodings are relative to, in a file that is executable or not.
 * The second is where a program starts. The rest is entries; entries.h keeps them entries.
 */
#include "elf_image.h"
#include "entries.h"
#include "table_check.h"

enum { FLAG_DEBUG_FRAME = 1, FLAG_NO_SECTIONS = 2, FLAG_BASES = 4, FLAG_EXECUTABLE = 8, PREAMBLE = 2 };

static const struct entry_format format = {.preamble = PREAMBLE, .head = 8, .length_size = 4, .uncounted = 4};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return entries_mutate(&format, data, size, max_size, seed);
}

/* A header whose pointer leads to the frames: absolute, 4 bytes. */
static void add_eh_frame_hdr(struct elf_image *image)
{
	static const uint8_t header[] = {1, 0x03, 0xff, 0xff, IMAGE_FRAMES & 0xff, IMAGE_FRAMES >> 8, 0, 0};

	memcpy(image->bytes + IMAGE_HDR, header, sizeof(header));
	image_add_segment(image, PT_GNU_EH_FRAME, PF_R, IMAGE_HDR, sizeof(header));
}

static void add_frames(struct elf_image *image, uint8_t flags, const uint8_t *frames, size_t size)
{
	size_t place = flags & FLAG_DEBUG_FRAME ? IMAGE_DEBUG : IMAGE_FRAMES;
	size_t room = flags & FLAG_DEBUG_FRAME ? IMAGE_SIZE - IMAGE_DEBUG : IMAGE_DATA_END - IMAGE_FRAMES;

	if (size > room)
		size = room;
	memcpy(image->bytes + place, frames, size);
	if (flags & FLAG_DEBUG_FRAME)
		image_add_section(image, ".debug_frame", SHT_PROGBITS, 0, place, size);
	else if (flags & FLAG_NO_SECTIONS)
		add_eh_frame_hdr(image);
	else
		image_add_section(image, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, place, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file = -1;

	if (size < PREAMBLE)
		return 0;
	struct elf_image image = image_create(IMAGE_SIZE);

	if (data[0] & FLAG_BASES) {
		image_add_section(&image, ".text", SHT_PROGBITS, SHF_ALLOC, IMAGE_CODE, IMAGE_CODE_SIZE);
		image_add_section(&image, ".got", SHT_PROGBITS, SHF_ALLOC, IMAGE_DATA_END - 0x100, 0x100);
	}
	if (data[0] & FLAG_EXECUTABLE) {
		image_header(&image)->e_type = ET_EXEC;
		image_header(&image)->e_entry = IMAGE_CODE + data[1] * 16u;
	}
	add_frames(&image, data[0], data + PREAMBLE, size - PREAMBLE);
	if (file < 0)
		file = memfd_create("image", MFD_CLOEXEC);
	CHECK(pwrite(file, image.bytes, image.size, 0) == (ssize_t)image.size);
	compile_and_check(dup(file));
	image_destroy(&image);
	return 0;
}
