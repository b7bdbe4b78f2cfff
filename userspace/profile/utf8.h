/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - make a text of unknown origin valid UTF-8, printable and short. */
#ifndef EBPROF_PROFILE_UTF8_H
#define EBPROF_PROFILE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * NULL when text can stay as it is; else a cleaned copy (free it): bytes that are not part of a well-formed sequence
 * and control characters become U+FFFD, one each, and at most max_bytes are kept, cut between characters. keep_breaks
 * spares tabs and line feeds.
 */
char *utf8_clean(const char *text, size_t max_bytes, bool keep_breaks);

#endif
