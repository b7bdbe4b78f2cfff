/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi_pointer.h"

static uint64_t read_formatted(struct byte_reader *reader, uint8_t format)
{
	switch (format) {
	case POINTER_ABSOLUTE:
	case POINTER_U64:
	case POINTER_SIGNED:
	case POINTER_S64:
		return read_u64(reader);
	case POINTER_ULEB:
		return read_uleb(reader);
	case POINTER_SLEB:
		return (uint64_t)read_sleb(reader);
	case POINTER_U16:
		return read_u16(reader);
	case POINTER_U32:
		return read_u32(reader);
	case POINTER_S16:
		return (uint64_t)(int64_t)read_s16(reader);
	case POINTER_S32:
		return (uint64_t)(int64_t)read_s32(reader);
	}
	reader_fail(reader);
	return 0;
}

uint64_t read_pointer(struct byte_reader *reader, uint8_t encoding, const struct pointer_bases *bases)
{
	uint64_t own_addr = bases->file_addr + (uint64_t)(reader->at - bases->data);

	if (encoding & POINTER_INDIRECT) {
		reader_fail(reader);
		return 0;
	}
	switch (encoding & POINTER_BASE_MASK) {
	case POINTER_ABSOLUTE:
		return read_formatted(reader, encoding & POINTER_FORMAT_MASK);
	case POINTER_PC_RELATIVE:
		return own_addr + read_formatted(reader, encoding & POINTER_FORMAT_MASK);
	case POINTER_TEXT_RELATIVE:
		return bases->text_addr + read_formatted(reader, encoding & POINTER_FORMAT_MASK);
	case POINTER_DATA_RELATIVE:
		return bases->data_addr + read_formatted(reader, encoding & POINTER_FORMAT_MASK);
	case POINTER_ALIGNED:
		read_skip(reader, -own_addr & 7);
		return read_u64(reader);
	}
	reader_fail(reader);
	return 0;
}
