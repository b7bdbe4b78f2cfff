/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How does a number, a text or a message look in protobuf's wire format?
 *
 * A varint has seven bits per byte, lowest first, the top bit set on all but the last byte: 300 is AC 02. A field is a
 * varint key (number << 3 | wire type), then for type 0 a varint, for type 2 a varint length and that many bytes.
 */
#include "protobuf.h"

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, VARINT_MAX_BYTES = 10 };

void protobuf_deinit(struct protobuf *message)
{
	vector_free(&message->bytes);
}

void protobuf_put_varint(struct protobuf *message, uint64_t value)
{
	vector_reserve(&message->bytes, VARINT_MAX_BYTES);
	for (; value >= 0x80; value >>= 7)
		message->bytes.data[message->bytes.nr++] = (uint8_t)(value | 0x80);
	message->bytes.data[message->bytes.nr++] = (uint8_t)value;
}

void protobuf_put_field(struct protobuf *message, uint32_t field, uint64_t value)
{
	if (!value)
		return;
	protobuf_put_varint(message, (uint64_t)field << 3 | WIRE_VARINT);
	protobuf_put_varint(message, value);
}

void protobuf_put_bytes(struct protobuf *message, uint32_t field, const void *data, size_t size_bytes)
{
	protobuf_put_varint(message, (uint64_t)field << 3 | WIRE_BYTES);
	protobuf_put_varint(message, size_bytes);
	if (!size_bytes)
		return;
	vector_reserve(&message->bytes, size_bytes);
	memcpy(message->bytes.data + message->bytes.nr, data, size_bytes);
	message->bytes.nr += size_bytes;
}

void protobuf_put_message(struct protobuf *message, uint32_t field, const struct protobuf *inner)
{
	protobuf_put_bytes(message, field, inner->bytes.data, inner->bytes.nr);
}
