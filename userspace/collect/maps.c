/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps.c - reads lines such as
 *
 *     55d0c8a01000-55d0c8a05000 r-xp 00002000 fe:00 1234   /usr/bin/cat
 *
 * The path is everything behind the spaces that follow the inode: it may hold spaces, and its newlines stand as \012.
 * Only these are undone: the kernel does not escape backslashes, so any other escape is the name itself (and a file
 * whose name really holds the four characters \012 can't be told from one with a newline). A text without a final
 * newline ends in a line that was cut: its path would be plausible and wrong, so it is skipped.
 *
 * The kernel gives at most a page per read and continues at the address where it stopped: a mapping that exists
 * throughout is seen exactly once, one that comes or goes meanwhile may be seen or not.
 */
#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "input.h"
#include "memory.h"

enum {
	TEXT_MAX = 64 << 20, /* bytes of one maps file: ten times of what the default limit of 65,530 mappings needs */
};

/* What is left of a line. */
struct cursor {
	const char *at;
	const char *end;
};

/* A buffer for the path of the current line, reused. */
struct path_buffer {
	char *data;
	size_t capacity;
};

static bool take_char(struct cursor *cursor, char wanted)
{
	if (cursor->at == cursor->end || *cursor->at != wanted)
		return false;
	cursor->at++;
	return true;
}

static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return 16;
}

/* A number without a sign, at most max. */
static bool take_number(struct cursor *cursor, unsigned base, uint64_t max, uint64_t *ret)
{
	const char *first = cursor->at;
	uint64_t value = 0;

	for (; cursor->at < cursor->end; cursor->at++) {
		unsigned digit = (unsigned)digit_value(*cursor->at);

		if (digit >= base)
			break;
		if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value) ||
		    value > max)
			return false;
	}
	*ret = value;
	return cursor->at > first;
}

static bool take_permissions(struct cursor *cursor, bool *ret_executable)
{
	static const char set[] = "rwxp", clear[] = "---s";
	const char *text = cursor->at;

	if (cursor->end - cursor->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		if (text[i] != set[i] && text[i] != clear[i])
			return false;
	}
	*ret_executable = text[2] == 'x';
	cursor->at += 4;
	return true;
}

/* Everything before the path. */
static bool take_fields(struct cursor *cursor, struct map_line *line)
{
	uint64_t major, minor;

	if (!take_number(cursor, 16, UINT64_MAX, &line->start) || !take_char(cursor, '-') ||
	    !take_number(cursor, 16, UINT64_MAX, &line->end) || !take_char(cursor, ' '))
		return false;
	if (!take_permissions(cursor, &line->executable) || !take_char(cursor, ' '))
		return false;
	if (!take_number(cursor, 16, UINT64_MAX, &line->file_offset) || !take_char(cursor, ' '))
		return false;
	if (!take_number(cursor, 16, UINT32_MAX, &major) || !take_char(cursor, ':') ||
	    !take_number(cursor, 16, UINT32_MAX, &minor) || !take_char(cursor, ' '))
		return false;
	line->major = (uint32_t)major;
	line->minor = (uint32_t)minor;
	if (!take_number(cursor, 10, UINT64_MAX, &line->inode))
		return false;
	return line->start < line->end && (cursor->at == cursor->end || *cursor->at == ' ');
}

/* Copies the path to buffer, newlines restored. */
static void take_path(struct cursor *cursor, struct path_buffer *buffer)
{
	size_t room = (size_t)(cursor->end - cursor->at) + 1;
	char *to;

	if (room > buffer->capacity) {
		buffer->data = memory_realloc(buffer->data, room, 1);
		buffer->capacity = room;
	}
	while (take_char(cursor, ' '))
		;
	to = buffer->data;
	while (cursor->at < cursor->end) {
		if (*cursor->at == '\\' && cursor->end - cursor->at >= 4 && memcmp(cursor->at, "\\012", 4) == 0) {
			*to++ = '\n';
			cursor->at += 4;
		} else {
			*to++ = *cursor->at++;
		}
	}
	*to = '\0';
}

bool maps_cut_deleted(char *path)
{
	static const char mark[] = " (deleted)";
	size_t length = strlen(path);

	if (path[0] != '/' || length < sizeof(mark) || strcmp(path + length - (sizeof(mark) - 1), mark) != 0)
		return false;
	path[length - (sizeof(mark) - 1)] = '\0';
	return true;
}

/* False when the line makes no sense. */
static bool parse_line(struct cursor cursor, struct path_buffer *buffer, map_line_fn found, void *context)
{
	struct map_line line = {0};

	if (!take_fields(&cursor, &line) || memchr(cursor.at, '\0', (size_t)(cursor.end - cursor.at)))
		return false;
	if (!line.executable && (line.file_offset || !line.inode))
		return true;
	take_path(&cursor, buffer);
	line.deleted = maps_cut_deleted(buffer->data);
	line.path = buffer->data;
	found(&line, context);
	return true;
}

void maps_parse(const char *text, size_t size_bytes, map_line_fn found, void *context, size_t *skipped)
{
	const char *end = text + size_bytes;
	struct path_buffer buffer = {0};
	_cleanup_free_ char *to_free = NULL;
	size_t nr_skipped = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		if (!newline) {
			nr_skipped++;
			break;
		}
		if (!parse_line((struct cursor){text, newline}, &buffer, found, context))
			nr_skipped++;
		text = newline + 1;
	}
	to_free = buffer.data;
	if (skipped)
		*skipped = nr_skipped;
}

/* The whole file as *ret. */
int maps_read(int proc_folder, pid_t pid, map_line_fn found, void *context, size_t *skipped)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	char name[32];
	size_t size = 0;
	int error;

	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	fd = openat(proc_folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	error = input_read(fd, TEXT_MAX, &text, &size);
	if (error < 0)
		return error;
	if (size == 0)
		return -ESRCH;
	maps_parse(text, size, found, context, skipped);
	return 0;
}
