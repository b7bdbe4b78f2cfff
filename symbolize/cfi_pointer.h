/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_pointer.h - pointers as .eh_frame and .eh_frame_hdr encode them: one byte says the format (its low 4 bits), what
 * the value is relative to (the next 3), and whether it is the address of the pointer instead (the highest).
 */
#ifndef EBPROF_SYMBOLIZE_CFI_POINTER_H
#define EBPROF_SYMBOLIZE_CFI_POINTER_H

#include "byte_reader.h"

enum pointer_encoding {
	POINTER_ABSOLUTE = 0x00, /* the machine's pointer size */
	POINTER_ULEB = 0x01,
	POINTER_U16 = 0x02,
	POINTER_U32 = 0x03,
	POINTER_U64 = 0x04,
	POINTER_SIGNED = 0x08,
	POINTER_SLEB = 0x09,
	POINTER_S16 = 0x0a,
	POINTER_S32 = 0x0b,
	POINTER_S64 = 0x0c,
	POINTER_FORMAT_MASK = 0x0f,

	POINTER_PC_RELATIVE = 0x10, /* to the pointer's own address */
	POINTER_TEXT_RELATIVE = 0x20,
	POINTER_DATA_RELATIVE = 0x30,
	POINTER_FUNCTION_RELATIVE = 0x40,
	POINTER_ALIGNED = 0x50, /* absolute, after padding to its size */
	POINTER_BASE_MASK = 0x70,

	POINTER_INDIRECT = 0x80, /* needs the running process's memory: not supported */
	POINTER_OMITTED = 0xff,
};

/* What pointers are relative to. */
struct pointer_bases {
	const uint8_t *data; /* the bytes at file_addr */
	uint64_t file_addr;
	uint64_t text_addr;
	uint64_t data_addr;
};

/* Fails the reader on an encoding that has no value without a process, or that nobody defined. */
uint64_t read_pointer(struct byte_reader *reader, uint8_t encoding, const struct pointer_bases *bases);

#endif
