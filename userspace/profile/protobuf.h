/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf.h - write protobuf messages into a reusable buffer.
 *
 * A message inside another one is built in a buffer of its own and copied, because its length stands before it. Zero is
 * proto3's default: fields that hold it are left out by the _field functions.
 */
#ifndef EBPROF_PROFILE_PROTOBUF_H
#define EBPROF_PROFILE_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

#include "vector.h"

struct protobuf {
	VECTOR(uint8_t) bytes;
};

static inline void protobuf_reset(struct protobuf *message)
{
	message->bytes.nr = 0;
}

void protobuf_deinit(struct protobuf *message);

/* A bare number, as in a packed list. Negative ones take ten bytes, as int64 fields do. */
void protobuf_put_varint(struct protobuf *message, uint64_t value);

/* A numeric field, or nothing when value is 0. */
void protobuf_put_field(struct protobuf *message, uint32_t field, uint64_t value);

/* A string, bytes, message or packed field, also when it is empty. */
void protobuf_put_bytes(struct protobuf *message, uint32_t field, const void *data, size_t size_bytes);

/* Like protobuf_put_bytes with what inner holds. */
void protobuf_put_message(struct protobuf *message, uint32_t field, const struct protobuf *inner);

#endif
