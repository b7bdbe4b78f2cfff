/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this text fit for a profile, and if not, what comes nearest?
 *
 * protobuf strings must be UTF-8: some readers are lax, others refuse the whole file for one bad byte in one symbol
 * name. Well-formed means what Unicode's table of byte sequences allows: no overlong form, no surrogate, nothing above
 * U+10FFFF. Those exceptions all show in the second byte, so its range depends on the first one and the rest
 * are 80..BF:
 *
 *     00..7F
 *     C2..DF  80..BF
 *     E0      A0..BF  80..BF            (E0 80..9F would be overlong)
 *     ED      80..9F  80..BF            (ED A0..BF would be surrogates)
 *     E1..EF  80..BF  80..BF
 *     F0      90..BF  80..BF  80..BF    (F0 80..8F would be overlong)
 *     F4      80..8F  80..BF  80..BF    (F4 90..BF would exceed U+10FFFF)
 *     F1..F3  80..BF  80..BF  80..BF
 *
 * Control characters (C0, DEL, C1) are replaced too: a symbol name or a thread name is chosen by whoever made the file,
 * and is printed on an administrator's terminal.
 */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

#include "memory.h"

static const char REPLACEMENT[] = "\xef\xbf\xbd";

static bool is_between(uint8_t byte, uint8_t low, uint8_t high)
{
	return byte >= low && byte <= high;
}

/* The length of the well-formed sequence at bytes, 0 = there is none. Never looks past a NUL. */
static size_t sequence_length(const uint8_t *bytes)
{
	uint8_t first = bytes[0];
	uint8_t low = 0x80, high = 0xbf;
	size_t length;

	if (first < 0x80)
		return 1;
	if (is_between(first, 0xc2, 0xdf))
		length = 2;
	else if (is_between(first, 0xe0, 0xef))
		length = 3;
	else if (is_between(first, 0xf0, 0xf4))
		length = 4;
	else
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (!is_between(bytes[1], low, high))
		return 0;
	for (size_t i = 2; i < length; i++) {
		if (!is_between(bytes[i], 0x80, 0xbf))
			return 0;
	}
	return length;
}

static bool is_control(const uint8_t *bytes, bool keep_breaks)
{
	if (keep_breaks && (bytes[0] == '\n' || bytes[0] == '\t'))
		return false;
	return bytes[0] < 0x20 || bytes[0] == 0x7f || (bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

/* The bytes that stay as they are at the start of text, at most max_bytes. */
static size_t clean_length(const uint8_t *bytes, size_t max_bytes, bool keep_breaks)
{
	size_t nr = 0;

	while (bytes[nr]) {
		size_t length = sequence_length(bytes + nr);

		if (!length || nr + length > max_bytes || is_control(bytes + nr, keep_breaks))
			break;
		nr += length;
	}
	return nr;
}

char *utf8_clean(const char *text, size_t max_bytes, bool keep_breaks)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t nr = clean_length(bytes, max_bytes, keep_breaks);

	if (!bytes[nr])
		return NULL;
	char *clean = memory_zalloc(max_bytes + 1, 1);

	memcpy(clean, text, nr);
	for (size_t from = nr; bytes[from];) {
		size_t length = sequence_length(bytes + from);
		bool keep = length && !is_control(bytes + from, keep_breaks);
		size_t written = keep ? length : strlen(REPLACEMENT);

		if (nr + written > max_bytes)
			break;
		memcpy(clean + nr, keep ? text + from : REPLACEMENT, written);
		nr += written;
		from += length ? length : 1;
	}
	return clean;
}
