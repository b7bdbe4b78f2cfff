/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - numbers, times and foreign names between the machine's form and a person's.
 *
 * Parsers take the whole text or refuse it: no leading blanks or signs, no trailing rest, no exponents and no
 * hexadecimal, because a typing mistake has to be noticed, not guessed at. Printers write into a caller's buffer and
 * return it, so that they can stand among printf's arguments.
 */
#ifndef EBPROF_BASE_TEXT_H
#define EBPROF_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "42" -> 42. False: empty, anything but digits, or over LLONG_MAX. */
bool text_parse_integer(const char *text, long long *ret);
/* "64k" -> 65536; suffixes k, m, g of either case are powers of 1024. */
bool text_parse_size(const char *text, long long *ret);
/* "0.5" -> 0.5: digits with at most one point. */
bool text_parse_decimal(const char *text, double *ret);
/* "1.5s" -> 1.5; suffixes ms, s, m, h; seconds without one. */
bool text_parse_seconds(const char *text, double *ret);

enum { TEXT_NUMBER_SIZE = 32 }; /* bytes that hold any number printed by the functions below */

/* 1234567 -> "1,234,567" */
const char *text_thousands(uint64_t number, char ret[TEXT_NUMBER_SIZE]);
/* 0.0123 -> "12 ms", 9.876 -> "9.88 s", 75 -> "1 min 15 s", 7500 -> "2 h 5 min" */
const char *text_duration(double seconds, char ret[TEXT_NUMBER_SIZE]);
/* A bound as the parsers take it: 0.001 -> "1ms", 7200 -> "2h". */
const char *text_seconds_bound(double seconds, char ret[TEXT_NUMBER_SIZE]);

/*
 * Copies text so that it can neither break a line nor command a terminal: control characters and bytes that are not
 * UTF-8 become '?'. What does not fit in size bytes (at least 4) is cut between characters and ends in "...".
 */
const char *text_printable(const char *text, char *ret, size_t size);

/* The same for a path, which is cut at its front: the end tells more. */
const char *text_printable_path(const char *path, char *ret, size_t size);

/* The word as a shell reads it, in single quotes only where it needs them. Free with free(). */
char *text_shell_quote(const char *word);
/* Words joined by blanks, each quoted. */
char *text_shell_join(char *const *words, size_t nr);

#endif
