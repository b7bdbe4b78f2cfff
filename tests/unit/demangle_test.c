/* SPDX-License-Identifier: Apache-2.0 */
/* demangle_test.c - C++ and Rust names as compilers write them, and names that are bombs. */
#include "demangle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"

static void test_names(void **state)
{
	static const struct {
		const char *mangled;
		const char *expected; /* NULL = is not mangled */
	} cases[] = {
		{"main", NULL},
		{"", NULL},
		{"_", NULL},
		{"_start", NULL},
		{"_Z", NULL},
		{"_R", NULL},
		{"_Znothing", NULL},
		{"__Z3foov", NULL},
		{"ZN3fooE", NULL},
		{"foo.cold", NULL},
		{"_Z3sumii", "sum(int, int)"},
		{"_ZN5outer5stackIlLi4EE4pushERKl", "outer::stack<long, 4>::push(long const&)"},
		{"_ZN12_GLOBAL__N_16hiddenEi", "(anonymous namespace)::hidden(int)"},
		{"_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()(int) const"},
		{"_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int> >::push_back(int&&)"},
		{"_ZN1AC4Ev", "A::A()"},
		/* Clones */
		{"_Z3sumii.cold", "sum(int, int) [clone .cold]"},
		{"_Z3sumii.constprop.0", "sum(int, int) [clone .constprop.0]"},
		{"_Z3sumii.part.0.isra.1", "sum(int, int) [clone .part.0] [clone .isra.1]"},
		/* Versions and stubs */
		{"_Z3sumii@plt", "sum(int, int)@plt"},
		{"_Z3sumii@@GLIBCXX_3.4", "sum(int, int)@@GLIBCXX_3.4"},
		/* Rust: legacy with its hash, v0 */
		{"_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE", "core::fmt::Formatter::write_str"},
		{"_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
		 "<Test + 'static as foo::Bar<Test>>::bar"},
		{"_RNvC6_123foo3bar", "123foo::bar"},
		{"_RINvNtC3std3mem8align_ofjE", "std::mem::align_of::<usize>"},
		/* Looks like legacy Rust and is not: no 16 hex digits. */
		{"_ZN3foo3bar17hzzzzzzzzzzzzzzzzE", "foo::bar::hzzzzzzzzzzzzzzzz"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = demangle(cases[i].mangled);

		if (!cases[i].expected) {
			assert_null(text);
			continue;
		}
		assert_non_null(text);
		assert_string_equal(text, cases[i].expected);
	}
}

static void test_length(void **state)
{
	char name[4200];
	char *text;

	(void)state;
	/* One identifier that makes the name exactly as long as allowed, and one byte longer. */
	memset(name, 'a', sizeof(name));
	memcpy(name, "_RNvC1b4085", 11);
	name[4096] = '\0';
	text = demangle(name);
	assert_non_null(text);
	assert_int_equal(strlen(text), strlen("b::") + 4085);
	free(text);

	memset(name, 'a', sizeof(name));
	memcpy(name, "_RNvC1b4086", 11);
	name[4097] = '\0';
	assert_null(demangle(name));

	/* libiberty's limit for C++. */
	memset(name, 'a', sizeof(name));
	memcpy(name, "_Z1017", 6);
	memcpy(name + 6 + 1017, "v", 2);
	text = demangle(name);
	assert_non_null(text);
	assert_int_equal(strlen(text), 1017 + strlen("()"));
	free(text);
}

/* Each argument is a pair of the one before: 2^n types from n times a few bytes. */
static void test_bomb(void **state)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[4096] = "_Z1f1AIiiE";
	size_t length = strlen(name);
	char *text;

	(void)state;
	for (int i = 0; i < 30; i++) {
		char id = digits[i];

		length += (size_t)snprintf(name + length, sizeof(name) - length, "S_IS%c_S%c_E", id, id);
	}
	text = demangle(name);
	assert_true(!text || strlen(text) <= 64 << 10);
	free(text);
}

static void test_deep(void **state)
{
	static const char *const openings[] = {"P", "F", "N1a", "I", "1AI", "DpT_", "XcvT_", "Z1fvE"};
	static const char *const rust[] = {"NvC1a", "INv", "YNv", "MNv", "TT", "FF", "RR"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(openings) + ARRAY_SIZE(rust); i++) {
		bool is_rust = i >= ARRAY_SIZE(openings);
		const char *opening = is_rust ? rust[i - ARRAY_SIZE(openings)] : openings[i];
		char name[4097] = "";
		size_t length = 0;

		strcpy(name, is_rust ? "_R" : "_Z1f");
		length = strlen(name);
		while (length + strlen(opening) < sizeof(name) - 1) {
			strcpy(name + length, opening);
			length += strlen(opening);
		}
		/* Whatever the answer: there is one, without a crash. */
		_cleanup_free_ char *text = demangle(name);

		assert_true(!text || strlen(text) <= 64 << 10);
	}
}

/* Random bytes behind the prefixes, and cut and changed real names. */
static void test_noise(void **state)
{
	static const char real[] =
		"_ZNSt8_Rb_treeISsSt4pairIKSsN5outer5stackIlLi4EEEESt10_Select1stIS4_ESt4lessISsESaIS4_EE"
		"24_M_get_insert_unique_posERS1_";
	static const char alphabet[] = "_ZNSITRKPF0123456789EivlsLXaAbBDpdcC1C2D0.$";
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char name[200];
		size_t length = sizeof(real) - 1;

		strcpy(name, real);
		for (int change = 0; change < 3; change++) {
			seed = seed * 1664525 + 1013904223;
			name[2 + (seed >> 8) % (length - 2)] = alphabet[(seed >> 20) % (sizeof(alphabet) - 1)];
		}
		if (i % 3 == 0)
			name[1] = 'R';
		name[2 + (seed >> 5) % (length - 2)] = i % 2 ? '\0' : 'E';
		_cleanup_free_ char *text = demangle(name);

		assert_true(!text || strlen(text) <= 64 << 10);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_length), cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_deep),  cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests_name("demangle", tests, NULL, NULL);
}
