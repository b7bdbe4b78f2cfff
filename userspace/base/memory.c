/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <stdarg.h>
#include <string.h>

static void (*exhausted_hook)(void);

void memory_set_exhausted(void (*hook)(void))
{
	exhausted_hook = hook;
}

static void __attribute__((noreturn)) memory_exhausted(void)
{
	if (exhausted_hook)
		exhausted_hook();
	fputs("ebprof: out of memory\n", stderr);
	abort();
}

void *memory_zalloc(size_t nr, size_t size)
{
	void *memory = calloc(nr ? nr : 1, size ? size : 1);

	if (!memory)
		memory_exhausted();
	return memory;
}

void *memory_realloc(void *ptr, size_t nr, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nr, size, &bytes))
		memory_exhausted();
	void *memory = realloc(ptr, bytes ? bytes : 1);

	if (!memory)
		memory_exhausted();
	return memory;
}

char *memory_strdup(const char *text)
{
	return memory_dup(text, strlen(text) + 1);
}

void *memory_dup(const void *data, size_t size_bytes)
{
	void *copy = memory_zalloc(1, size_bytes);

	if (size_bytes)
		memcpy(copy, data, size_bytes);
	return copy;
}

char *memory_format(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	int length = vasprintf(&text, format, args);

	va_end(args);
	if (length < 0)
		memory_exhausted();
	return text;
}
