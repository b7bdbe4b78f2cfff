/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits; *end is the first character behind them. */
static bool parse_digits(const char *text, const char **end, long long *ret)
{
	char *stop;

	if (!is_digit(text[0]))
		return false;
	errno = 0;
	long long value = strtoll(text, &stop, 10);

	if (errno)
		return false;
	*end = stop;
	*ret = value;
	return true;
}

bool text_parse_integer(const char *text, long long *ret)
{
	const char *end;
	long long value;

	if (!parse_digits(text, &end, &value) || *end)
		return false;
	*ret = value;
	return true;
}

bool text_parse_size(const char *text, long long *ret)
{
	static const char suffixes[] = "kmg";
	const char *end;
	long long value;

	if (!parse_digits(text, &end, &value))
		return false;
	if (*end) {
		const char *suffix = strchr(suffixes, tolower((unsigned char)*end));

		if (!suffix || end[1])
			return false;
		if (__builtin_mul_overflow(value, 1ll << (10 * (suffix - suffixes + 1)), &value))
			return false;
	}
	*ret = value;
	return true;
}

/* Reads digits with at most one point; *end is the first character behind them. */
static bool parse_decimal(const char *text, const char **end, double *ret)
{
	const char *c = text;
	int points = 0, digits = 0;

	for (; is_digit(*c) || *c == '.'; c++) {
		points += *c == '.';
		digits += *c != '.';
	}
	/* Longer ones are no number that anybody means, and would not fit the copy below. */
	if (!digits || points > 1 || c - text > 40)
		return false;
	char number[48];

	/* strtod() alone would also read "1e9", "0x1p3", "inf". */
	memcpy(number, text, (size_t)(c - text));
	number[c - text] = 0;
	*ret = strtod(number, NULL);
	*end = c;
	return true;
}

bool text_parse_decimal(const char *text, double *ret)
{
	const char *end;
	double value;

	if (!parse_decimal(text, &end, &value) || *end)
		return false;
	*ret = value;
	return true;
}

bool text_parse_seconds(const char *text, double *ret)
{
	static const struct {
		const char *suffix;
		double seconds;
	} units[] = {{"", 1}, {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
	const char *end;
	double value;

	if (!parse_decimal(text, &end, &value))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].suffix) == 0) {
			*ret = value * units[i].seconds;
			return true;
		}
	}
	return false;
}

const char *text_thousands(uint64_t number, char ret[TEXT_NUMBER_SIZE])
{
	char digits[TEXT_NUMBER_SIZE];
	int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
	char *out = ret;

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = 0;
	return ret;
}

const char *text_duration(double seconds, char ret[TEXT_NUMBER_SIZE])
{
	/* The bounds lie where rounding would reach the next unit: never "1000 ms" or "60.0 s". */
	if (!(seconds >= 0) || seconds > 1e12)
		snprintf(ret, TEXT_NUMBER_SIZE, "?");
	else if (seconds < 0.9995)
		snprintf(ret, TEXT_NUMBER_SIZE, "%.0f ms", seconds * 1000);
	else if (seconds < 9.995)
		snprintf(ret, TEXT_NUMBER_SIZE, "%.2f s", seconds);
	else if (seconds < 59.95)
		snprintf(ret, TEXT_NUMBER_SIZE, "%.1f s", seconds);
	else if (seconds < 3599.5)
		snprintf(ret, TEXT_NUMBER_SIZE, "%d min %d s", (int)(seconds + 0.5) / 60, (int)(seconds + 0.5) % 60);
	else
		snprintf(ret, TEXT_NUMBER_SIZE, "%lld h %lld min", (long long)(seconds / 60 + 0.5) / 60,
			 (long long)(seconds / 60 + 0.5) % 60);
	return ret;
}

const char *text_seconds_bound(double seconds, char ret[TEXT_NUMBER_SIZE])
{
	if (seconds < 1)
		snprintf(ret, TEXT_NUMBER_SIZE, "%gms", seconds * 1000);
	else if (seconds < 3600)
		snprintf(ret, TEXT_NUMBER_SIZE, "%gs", seconds);
	else
		snprintf(ret, TEXT_NUMBER_SIZE, "%gh", seconds / 3600);
	return ret;
}

/* Bytes of the well-formed, harmless character at text; 0 = there is none. */
static size_t character_length(const unsigned char *text)
{
	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	size_t length = text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc2 ? 2 : 0;

	if (text[0] >= 0xf5)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	/* U+0080..U+009F are control characters too: terminals take them as escape sequences. */
	if (text[0] == 0xc2 && text[1] < 0xa0)
		return 0;
	return length;
}

const char *text_printable(const char *text, char *ret, size_t size)
{
	size_t used = 0, cut = 0;

	while (*text) {
		size_t length = character_length((const unsigned char *)text);
		size_t step = length ? length : 1;

		if (used + step + 1 > size) {
			memcpy(ret + cut, "...", 4);
			return ret;
		}
		if (length)
			memcpy(ret + used, text, length);
		else
			ret[used] = '?';
		used += step;
		text += step;
		if (used + 4 <= size)
			cut = used;
	}
	ret[used] = 0;
	return ret;
}

const char *text_printable_path(const char *path, char *ret, size_t size)
{
	size_t length = strlen(path);

	if (length + 1 <= size)
		return text_printable(path, ret, size);
	const char *tail = path + length - (size - 4);

	while (((unsigned char)*tail & 0xc0) == 0x80)
		tail++;
	memcpy(ret, "...", 4);
	text_printable(tail, ret + 3, size - 3);
	return ret;
}

char *text_shell_quote(const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%^";

	/* A leading = or an assignment-like word is only safe behind the command's name, where these words stand. */
	if (word[0] && strspn(word, safe) == strlen(word))
		return memory_strdup(word);
	/* Each quote becomes '\'' : end the quotes, a literal quote, begin them again. */
	char *quoted = memory_zalloc(strlen(word) + 1, 4);
	char *out = quoted;

	*out++ = '\'';
	for (; *word; word++) {
		if (*word == '\'') {
			memcpy(out, "'\\''", 4);
			out += 4;
		} else {
			*out++ = *word;
		}
	}
	*out = '\'';
	return quoted;
}

char *text_shell_join(char *const *words, size_t nr)
{
	char *line = memory_strdup("");

	for (size_t i = 0; i < nr; i++) {
		_cleanup_free_ char *word = text_shell_quote(words[i]);
		_cleanup_free_ char *before = line;

		line = memory_format("%s%s%s", before, i ? " " : "", word);
	}
	return line;
}
