/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, times and foreign names: what parsers take and refuse, and what printers make of extremes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include "memory.h"
#include "text.h"

static void test_integers(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
					  " ",
					  "-1",
					  "+1",
					  "1 ",
					  " 1",
					  "0x10",
					  "1e3",
					  "1.0",
					  "abc",
					  "1,2",
					  "\xd9\xa1",
					  "9223372036854775808",
					  "99999999999999999999999"};
	long long number = -7;

	assert_true(text_parse_integer("0", &number) && number == 0);
	assert_true(text_parse_integer("0099", &number) && number == 99);
	assert_true(text_parse_integer("9223372036854775807", &number) && number == INT64_MAX);
	number = -7;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_parse_integer(bad[i], &number));
	assert_int_equal(number, -7);
}

static void test_sizes(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "k", "1kb", "1 k", "-1k", "1.5m", "9007199254740992k", "1t", "1kk"};
	long long number;

	assert_true(text_parse_size("4096", &number) && number == 4096);
	assert_true(text_parse_size("64k", &number) && number == 65536);
	assert_true(text_parse_size("16M", &number) && number == 16777216);
	assert_true(text_parse_size("1g", &number) && number == 1073741824);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_parse_size(bad[i], &number));
}

static void test_seconds(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",    ".",   "-1",    "1e99",     "nan",
		"inf", "0x1", "1.2.3", "5 s",      "5sec",
		"5d",  "s",   "1,5",   "infinity", "11111111111111111111111111111111111111111"};
	double seconds;

	assert_true(text_parse_seconds("10", &seconds) && seconds == 10);
	assert_true(text_parse_seconds("1.5s", &seconds) && seconds == 1.5);
	assert_true(text_parse_seconds("200ms", &seconds) && seconds > 0.1999 && seconds < 0.2001);
	assert_true(text_parse_seconds(".5m", &seconds) && seconds == 30);
	assert_true(text_parse_seconds("2h", &seconds) && seconds == 7200);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_parse_seconds(bad[i], &seconds));
	assert_false(text_parse_decimal("1s", &seconds));
	assert_true(text_parse_decimal("0.1", &seconds));
}

static void assert_duration(double seconds, const char *expected)
{
	char text[TEXT_NUMBER_SIZE];

	assert_string_equal(text_duration(seconds, text), expected);
}

static void test_printed_numbers(void **state)
{
	(void)state;
	char text[TEXT_NUMBER_SIZE];

	assert_string_equal(text_thousands(0, text), "0");
	assert_string_equal(text_thousands(999, text), "999");
	assert_string_equal(text_thousands(1000, text), "1,000");
	assert_string_equal(text_thousands(1234567, text), "1,234,567");
	assert_string_equal(text_thousands(UINT64_MAX, text), "18,446,744,073,709,551,615");
	assert_duration(0, "0 ms");
	assert_duration(0.9996, "1.00 s");
	assert_duration(9.999, "10.0 s");
	assert_duration(59.97, "1 min 0 s");
	assert_duration(75.4, "1 min 15 s");
	assert_duration(3599.7, "1 h 0 min");
	assert_duration(7500, "2 h 5 min");
	assert_duration(-1, "?");
	assert_duration(__builtin_nan(""), "?");
	assert_duration(1e300, "?");
	assert_string_equal(text_seconds_bound(0.001, text), "1ms");
	assert_string_equal(text_seconds_bound(31536000, text), "8760h");
}

static void test_printable_text(void **state)
{
	(void)state;
	char text[64];

	assert_string_equal(text_printable("plain", text, sizeof(text)), "plain");
	assert_string_equal(text_printable("a\033[31m\n\t\x7f!", text, sizeof(text)), "a?[31m?"
										      "?"
										      "?!");
	assert_string_equal(text_printable("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", text, sizeof(text)),
			    "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	/* A C1 control character, a lone continuation byte, a cut sequence, a byte that UTF-8 never has. */
	assert_string_equal(text_printable("\xc2\x9b"
					   "31m \x80 \xe2\x82 \xff",
					   text, sizeof(text)),
			    "??31m ? ?? ?");
	assert_string_equal(text_printable("", text, sizeof(text)), "");
}

static void test_cut_text(void **state)
{
	(void)state;
	char text[16];

	for (size_t size = 4; size <= sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		text_printable("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", text, size);
		size_t length = strlen(text);

		assert_true(length < size);
		assert_string_equal(text + length - 3, "...");
		/* Only whole characters before the dots. */
		assert_int_equal((length - 3) % 3, 0);
	}
	assert_string_equal(text_printable("123456789", text, 10), "123456789");
	assert_string_equal(text_printable("1234567890", text, 10), "123456...");
}

static void test_cut_path(void **state)
{
	(void)state;
	char text[16];

	assert_string_equal(text_printable_path("/short.c", text, 12), "/short.c");
	assert_string_equal(text_printable_path("/a/long/path/file.c", text, 12), "...h/file.c");
	/* The cut falls inside a character, which goes as a whole. */
	assert_string_equal(text_printable_path("/aaaaaaaaaaaa\xe2\x82\xac/12345", text, 12), ".../12345");
}

static void assert_quoted(const char *word, const char *expected)
{
	_cleanup_free_ char *quoted = text_shell_quote(word);

	assert_string_equal(quoted, expected);
}

static void test_shell_words(void **state)
{
	(void)state;
	char *words[] = {"record", "-o", "a b", "--", "sh", "-c", "echo '$HOME'"};

	assert_quoted("-p", "-p");
	assert_quoted("", "''");
	assert_quoted("it's", "'it'\\''s'");
	assert_quoted("$(rm)", "'$(rm)'");
	assert_quoted("~x", "'~x'");
	_cleanup_free_ char *line = text_shell_join(words, ARRAY_SIZE(words));

	assert_string_equal(line, "record -o 'a b' -- sh -c 'echo '\\''$HOME'\\'''");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),       cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_seconds),        cmocka_unit_test(test_printed_numbers),
		cmocka_unit_test(test_printable_text), cmocka_unit_test(test_cut_text),
		cmocka_unit_test(test_cut_path),       cmocka_unit_test(test_shell_words),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
