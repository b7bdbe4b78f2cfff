/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - how ebprof talks to a person: one line on stderr, "ebprof: what happened: what to do".
 *
 * Commands and the session report, once; libraries return errors. A function that can fail in a way a person has to
 * read about takes a `struct problem *` and fills it; whoever called it decides whether to print it.
 */
#ifndef EBPROF_BASE_MESSAGE_H
#define EBPROF_BASE_MESSAGE_H

#include <stdbool.h>

/* One sentence about why something could not be done. */
struct problem {
	char text[600];
};

/* Fills *problem (NULL is allowed) and returns code, so that `return problem_set(p, -EINVAL, ...)` reads well. */
int problem_set(struct problem *problem, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum message_level { MESSAGE_QUIET, MESSAGE_NORMAL, MESSAGE_VERBOSE };

/* What is shown: errors always, warnings from NORMAL, details from VERBOSE (-v). Set once by main. */
void message_set_level(enum message_level level);
bool message_verbose(void);

void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void message_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void message_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
