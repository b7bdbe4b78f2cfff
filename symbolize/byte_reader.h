/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byte_reader.h - a bounded cursor over bytes that nobody vouches for.
 *
 * A read past the end yields 0, moves the cursor to the end and sets `failed`, which stays set: a caller may decode a
 * whole record and ask once. Little-endian, unaligned.
 */
#ifndef EBPROF_SYMBOLIZE_BYTE_READER_H
#define EBPROF_SYMBOLIZE_BYTE_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct byte_reader {
	const uint8_t *at;
	const uint8_t *end; /* at <= end */
	bool failed;
};

static inline struct byte_reader byte_reader_init(const uint8_t *data, size_t size)
{
	return (struct byte_reader){.at = data, .end = data + size};
}

static inline size_t reader_rest(const struct byte_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

static inline void reader_fail(struct byte_reader *reader)
{
	reader->failed = true;
	reader->at = reader->end;
}

static inline void read_bytes(struct byte_reader *reader, void *ret, size_t size)
{
	if (__builtin_expect(reader_rest(reader) < size, 0)) {
		reader_fail(reader);
		memset(ret, 0, size);
		return;
	}
	memcpy(ret, reader->at, size);
	reader->at += size;
}

#define READ_NUMBER(name, type)                                                                                        \
	static inline type name(struct byte_reader *reader)                                                            \
	{                                                                                                              \
		type value;                                                                                            \
		read_bytes(reader, &value, sizeof(value));                                                             \
		return value;                                                                                          \
	}
READ_NUMBER(read_u8, uint8_t)
READ_NUMBER(read_u16, uint16_t)
READ_NUMBER(read_u32, uint32_t)
READ_NUMBER(read_u64, uint64_t)
READ_NUMBER(read_s8, int8_t)
READ_NUMBER(read_s16, int16_t)
READ_NUMBER(read_s32, int32_t)
#undef READ_NUMBER

static inline void read_skip(struct byte_reader *reader, uint64_t size)
{
	if (size > reader_rest(reader))
		reader_fail(reader);
	else
		reader->at += size;
}

/* LEB128; bits beyond the 64th are dropped. */
static inline uint64_t read_uleb(struct byte_reader *reader)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	do {
		byte = read_u8(reader);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return value;
}

static inline int64_t read_sleb(struct byte_reader *reader)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	do {
		byte = read_u8(reader);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (shift < 64 && byte & 0x40)
		value |= ~UINT64_C(0) << shift;
	return (int64_t)value;
}

/* A reader of the next size bytes alone, which this reader steps over. */
static inline struct byte_reader read_part(struct byte_reader *reader, uint64_t size)
{
	struct byte_reader part = {.at = reader->at, .end = reader->at};

	read_skip(reader, size);
	if (reader->failed)
		part.failed = true;
	else
		part.end = reader->at;
	return part;
}

/* A NUL-terminated text, borrowed; "" past the end. */
static inline const char *read_text(struct byte_reader *reader)
{
	const uint8_t *nul = reader_rest(reader) ? memchr(reader->at, 0, reader_rest(reader)) : NULL;

	if (!nul) {
		reader_fail(reader);
		return "";
	}
	const char *text = (const char *)reader->at;

	reader->at = nul + 1;
	return text;
}

#endif
