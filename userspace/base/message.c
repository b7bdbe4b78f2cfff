/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

static enum message_level current_level = MESSAGE_NORMAL;

int problem_set(struct problem *problem, int code, const char *format, ...)
{
	va_list args;

	if (problem) {
		va_start(args, format);
		vsnprintf(problem->text, sizeof(problem->text), format, args);
		va_end(args);
	}
	return code;
}

void message_set_level(enum message_level level)
{
	current_level = level;
}

bool message_verbose(void)
{
	return current_level >= MESSAGE_VERBOSE;
}

/* One write per message, so that lines of several threads do not mix. */
static void __attribute__((format(printf, 1, 0))) print_line(const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	fprintf(stderr, "ebprof: %s\n", line);
}

void message_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(format, args);
	va_end(args);
}

void message_warn(const char *format, ...)
{
	va_list args;

	if (current_level < MESSAGE_NORMAL)
		return;
	va_start(args, format);
	print_line(format, args);
	va_end(args);
}

void message_detail(const char *format, ...)
{
	va_list args;

	if (current_level < MESSAGE_VERBOSE)
		return;
	va_start(args, format);
	print_line(format, args);
	va_end(args);
}
