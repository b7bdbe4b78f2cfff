/* SPDX-License-Identifier: Apache-2.0 */
/* kallsyms_test.c - kallsyms texts as kernels print them, hidden, broken and hostile ones. */
#include "kallsyms.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "memory.h"

static int text_fd(const char *text, size_t size)
{
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct kallsyms *parse(const char *text)
{
	struct kallsyms *kallsyms = NULL;

	assert_int_equal(kallsyms_create(text_fd(text, strlen(text)), &kallsyms), 0);
	return kallsyms;
}

static void assert_symbol(const struct kallsyms *kallsyms, uint64_t pc, const char *name, const char *module)
{
	struct kernel_symbol symbol;

	assert_true(kallsyms_find(kallsyms, pc, &symbol));
	assert_string_equal(symbol.name, name);
	if (module)
		assert_string_equal(symbol.module, module);
	else
		assert_null(symbol.module);
	assert_true(symbol.start <= pc && pc < symbol.end);
}

static const char ORDINARY[] = "0000000000000000 A fixed_percpu_data\n"
			       "0000000000001000 t percpu_function_by_mistake\n"
			       "ffffffff81000000 T startup_64\n"
			       "ffffffff81000000 T _stext\n"
			       "ffffffff81000000 T _text\n"
			       "ffffffff81000100 t do_one_initcall\n"
			       "ffffffff81000300 W weak_one\n"
			       "ffffffff81000300 t local_one\n"
			       "ffffffff81000400 D some_data\n"
			       "ffffffff81000500 T $x.7\n"
			       "ffffffff81000600 T __x64_sys_read\n"
			       "ffffffff81000600 T _x64_sys_read_longer\n"
			       "ffffffff81000800 T _etext\n"
			       "ffffffffc0a02000 t nft_do_chain\t[nf_tables]\n"
			       "ffffffffc0a01000 t nft_first\t[nf_tables]\n"
			       "ffffffffc0b00000 t bpf_prog_6deef7357e7b4530_sd_fw_ingress\t[bpf]";

static void test_ordinary(void **state)
{
	struct kallsyms *kallsyms = parse(ORDINARY);
	struct kernel_symbol symbol;

	(void)state;
	assert_symbol(kallsyms, 0xffffffff81000000, "startup_64", NULL);
	assert_symbol(kallsyms, 0xffffffff810000ff, "startup_64", NULL);
	assert_symbol(kallsyms, 0xffffffff81000100, "do_one_initcall", NULL);
	/* Data and $-symbols do not end a function. */
	assert_symbol(kallsyms, 0xffffffff81000550, "weak_one", NULL);
	assert_symbol(kallsyms, 0xffffffff81000601, "_x64_sys_read_longer", NULL);
	/* Modules are sorted in, whatever their order in the text. */
	assert_symbol(kallsyms, 0xffffffffc0a01fff, "nft_first", "nf_tables");
	assert_symbol(kallsyms, 0xffffffffc0a02000, "nft_do_chain", "nf_tables");
	/* No newline at the end. */
	assert_symbol(kallsyms, 0xffffffffc0b00010, "bpf_prog_6deef7357e7b4530_sd_fw_ingress", "bpf");
	assert_true(kallsyms_find(kallsyms, 0xffffffff81000150, &symbol));
	assert_int_equal(symbol.start, 0xffffffff81000100);
	assert_int_equal(symbol.end, 0xffffffff81000300);
	assert_int_equal(kallsyms_text_start(kallsyms), 0xffffffff81000000);
	assert_int_equal(kallsyms_text_end(kallsyms), 0xffffffff81000800);
	kallsyms_destroy(kallsyms);
}

static void test_outside(void **state)
{
	struct kallsyms *kallsyms = parse(ORDINARY);
	struct kernel_symbol symbol;

	(void)state;
	assert_false(kallsyms_find(kallsyms, 0, &symbol));
	assert_false(kallsyms_find(kallsyms, 0x1000, &symbol));
	assert_false(kallsyms_find(kallsyms, 0xffffffff80ffffff, &symbol));
	/* The last symbol of an area covers 1 MiB, not the way to the modules. */
	assert_true(kallsyms_find(kallsyms, 0xffffffff81000800 + 0xfffff, &symbol));
	assert_false(kallsyms_find(kallsyms, 0xffffffff81000800 + 0x100000, &symbol));
	assert_false(kallsyms_find(kallsyms, UINT64_MAX, &symbol));
	kallsyms_destroy(kallsyms);
}

static void test_stext_alone(void **state)
{
	struct kallsyms *kallsyms = parse("ffffffff81000000 T _stext\nffffffff81000800 t last_of_all\n");

	(void)state;
	assert_int_equal(kallsyms_text_start(kallsyms), 0xffffffff81000000);
	assert_int_equal(kallsyms_text_end(kallsyms), 0);
	kallsyms_destroy(kallsyms);
}

static void test_hidden(void **state)
{
	static const char text[] = "0000000000000000 A fixed_percpu_data\n0000000000000000 T _text\n"
				   "0000000000000000 t nft_do_chain\t[nf_tables]\n";
	struct kallsyms *kallsyms = NULL;

	(void)state;
	assert_int_equal(kallsyms_create(text_fd(text, strlen(text)), &kallsyms), -EPERM);
	assert_null(kallsyms);
}

static void test_nothing(void **state)
{
	static const char *const texts[] = {"",
					    "\n\n\n",
					    "hello\n",
					    "ffffffff81000000\n",
					    "ffffffff81000000 T\n",
					    "ffffffff81000000 T \n",
					    "ffffffff810000000000 T too_many_digits\n",
					    "ffffffff81000000 D data\n",
					    "ffffffff81000000 T m\t[\n"};
	struct kallsyms *kallsyms = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(kallsyms_create(text_fd(texts[i], strlen(texts[i])), &kallsyms), -ENODATA);
	assert_int_equal(kallsyms_create(text_fd("\0\0\0", 3), &kallsyms), -ENODATA);
	assert_int_equal(kallsyms_create(-1, &kallsyms), -EBADF);
}

static void test_broken_lines_cost_themselves(void **state)
{
	struct kallsyms *kallsyms = parse("garbage\nffffffff81000000 T good\nffffffff81000010 T bad\t[unclosed\n"
					  "ffffffff81000020\nffffffff81000030 Tx bad\nffffffff81000040 T second\n");

	(void)state;
	assert_symbol(kallsyms, 0xffffffff81000035, "good", NULL);
	assert_symbol(kallsyms, 0xffffffff81000040, "second", NULL);
	kallsyms_destroy(kallsyms);
}

static void test_long_name(void **state)
{
	char name[3001];
	_cleanup_free_ char *text = NULL;
	struct kallsyms *kallsyms;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	text = memory_format("ffffffff81000000 T %s\t[module]\n", name);
	kallsyms = parse(text);
	assert_symbol(kallsyms, 0xffffffff81000000, name, "module");
	kallsyms_destroy(kallsyms);
}

static void test_too_much(void **state)
{
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	struct kallsyms *kallsyms = NULL;

	(void)state;
	assert_int_equal(ftruncate(fd, (64 << 20) + 1), 0);
	assert_int_equal(kallsyms_create(fd, &kallsyms), -E2BIG);
	/* It was closed. */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_top_of_the_address_space(void **state)
{
	struct kallsyms *kallsyms = parse("fffffffffffffff0 T last\n");

	(void)state;
	assert_symbol(kallsyms, 0xfffffffffffffffe, "last", NULL);
	kallsyms_destroy(kallsyms);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_stext_alone),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_broken_lines_cost_themselves),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_top_of_the_address_space),
	};

	return cmocka_run_group_tests_name("kallsyms", tests, NULL, NULL);
}
