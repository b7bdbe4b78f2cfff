/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inferred_rows_test.c - rows for this program's own assembly, which says nothing of its frames: the assembler makes
 * the bytes, labels name the places, and what the stack looks like there is plain to see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#include "elf_image.h"
#include "memory.h"
#include "unwind.h"

#define LABEL(name)    name ":\n"
#define FUNCTION(name) ".p2align 4\n.globl " name "\n.type " name ", @function\n" LABEL(name)
/* As if stripped: local to this file, and known by no other code. */
#define UNKNOWN(name) ".p2align 4\n" LABEL(name)

/* clang-format off: a line of assembly on each */
__asm__(
	".text\n"
	".p2align 4\n"

	FUNCTION("at_entry")
	"push %rbx\n"
	LABEL("after_push")
	"push %rbp\n"
	"sub $0x28, %rsp\n"
	LABEL("after_sub")
	"mov %rdi, %rbp\n"
	"xor %ebx, %ebx\n"
	LABEL("both_changed")
	"test %edi, %edi\n"
	"je 1f\n"
	"add $0x28, %rsp\n"
	"pop %rbp\n"
	LABEL("rbp_back")
	"pop %rbx\n"
	LABEL("before_return")
	"ret\n"
	"1:\n"
	LABEL("other_branch")
	"call plain_leaf\n"
	"add $0x28, %rsp\n"
	"pop %rbp\n"
	"pop %rbx\n"
	"jmp plain_leaf\n"

	FUNCTION("plain_leaf")
	"ret\n"

	FUNCTION("in_register")
	"mov %rsp, %r9\n"
	"and $-32, %rsp\n"
	LABEL("realigned")
	"sub $64, %rsp\n"
	"mov %r9, 48(%rsp)\n"
	LABEL("spilled")
	"push %rax\n"
	LABEL("spilled_and_pushed")
	"pop %rax\n"
	"mov 48(%rsp), %rsp\n"
	LABEL("reloaded")
	"ret\n"

	FUNCTION("with_frame")
	"push %rbp\n"
	"mov %rsp, %rbp\n"
	"sub %rdi, %rsp\n"
	LABEL("in_frame")
	"call plain_leaf\n"
	"leave\n"
	"ret\n"

	FUNCTION("by_table")
	"push %r12\n"
	"lea 1f(%rip), %rax\n"
	"jmp *%rax\n"
	LABEL("first_case")
	"xor %eax, %eax\n"
	"pop %r12\n"
	"ret\n"
	LABEL("second_case")
	"1:\n"
	"inc %eax\n"
	"pop %r12\n"
	"ret\n"
	/* Its subroutine leaves rcx alone, as it knows. */

	FUNCTION("in_lost_register")
	"mov %rsp, %rcx\n"
	"and $-32, %rsp\n"
	"sub $64, %rsp\n"
	"call plain_leaf\n"
	LABEL("behind_own_call")
	"mov %rcx, %rsp\n"
	"ret\n"
	/* What a thread begins with, and what only looks like it. */

	FUNCTION("thread_start")
	"xor %ebp, %ebp\n"
	"pop %rdi\n"
	LABEL("at_root")
	"call *%r9\n"
	"mov %eax, %edi\n"
	"mov $60, %eax\n"
	LABEL("still_at_root")
	"syscall\n"
	"hlt\n"

	FUNCTION("counting")
	"push %rbp\n"
	"xor %ebp, %ebp\n"
	"call "
	"plain_leaf\n"
	LABEL("at_no_root")
	"pop %rbp\n"
	"ret\n"
	/* The call never returns: what comes behind it is a function that nobody names. */

	FUNCTION("calls_abort")
	"sub $24, %rsp\n"
	"call *%rax\n"

	UNKNOWN("behind_abort")
	"push %r12\n"
	LABEL("in_behind_abort")
	"pop %r12\n"
	"ret\n"
	/* Nobody names it, but it is aligned and returns as a function does. */

	UNKNOWN("unknown_function")
	"push %r13\n"
	LABEL("in_unknown_function")
	"xor %eax, %eax\n"
	"pop %r13\n"
	"ret\n"
	/* Aligned and unknown as well, but what it pops isn't its own. */

	UNKNOWN("no_function")
	"xor %eax, %eax\n"
	"pop %r13\n"
	LABEL("in_no_function")
	"xor %ecx, %ecx\n"
	"ret\n"
	/* Two ways that don't agree on rsp. */

	FUNCTION("two_ways")
	"test %edi, %edi\n"
	"je 1f\n"
	"push %rax\n"
	"1:\n"
	LABEL("joined")
	"xor %eax, %eax\n"
	"2: jmp 2b\n"
	/* Constants that decode to a call, then half an instruction. */
	".p2align 4\n"
	".byte 0x00, 0x80, 0xe8, 0x10, 0x00, 0x00, 0x00, 0x48, 0x81, 0xec, "
	"0x01, 0x02, 0x03, 0x04, 0x48, 0xb8\n"

	FUNCTION("behind_constants")
	"push %rax\n"
	LABEL("in_behind_constants")
	"pop "
	"%rax\n"
	"ret\n"
	".p2ali"
	"gn "
	"4\n");
/* clang-format on */

#define PLACE(name) extern const char name[] __asm__(#name)
PLACE(at_entry);
PLACE(after_push);
PLACE(after_sub);
PLACE(both_changed);
PLACE(rbp_back);
PLACE(before_return);
PLACE(other_branch);
PLACE(plain_leaf);
PLACE(realigned);
PLACE(spilled);
PLACE(spilled_and_pushed);
PLACE(reloaded);
PLACE(in_frame);
PLACE(first_case);
PLACE(second_case);
PLACE(behind_own_call);
PLACE(at_root);
PLACE(still_at_root);
PLACE(at_no_root);
PLACE(in_behind_abort);
PLACE(unknown_function);
PLACE(in_unknown_function);
PLACE(no_function);
PLACE(in_no_function);
PLACE(joined);
PLACE(in_behind_constants);

static struct unwind_table *table;
static uint64_t load_addr;

static int keep_base(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	*(uint64_t *)context = info->dlpi_addr;
	return 1; /* the program itself comes first */
}

static int set_up(void **state)
{
	(void)state;
	struct object *object;

	dl_iterate_phdr(keep_base, &load_addr);
	assert_int_equal(object_create(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL, NULL, &object), 0);
	assert_int_equal(unwind_table_compile(object, TABLE_WHOLE, &table), 0);
	load_addr += object_info(object)->base_addr;
	object_destroy(object);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unwind_table_destroy(table);
	return 0;
}

static struct unwind_rule rule_of(const char *place)
{
	return *unwind_table_find(table, (uint64_t)(uintptr_t)place - load_addr);
}

static void check(const char *place, struct unwind_rule expected)
{
	struct unwind_rule rule = rule_of(place);

	expected.flags = RULE_INFERRED;
	expected.ra = VALUE_AT_CFA;
	expected.ra_offset = -8;
	assert_memory_equal(&rule, &expected, sizeof(rule));
}

static void check_unknown(const char *place)
{
	assert_int_equal(rule_of(place).cfa, CFA_NONE);
}

static struct unwind_rule by_rsp(int32_t offset)
{
	return (struct unwind_rule){.cfa = CFA_REGISTER, .cfa_reg = DWARF_RSP, .cfa_offset = offset};
}

static void test_pushes(void **state)
{
	(void)state;
	struct unwind_rule rule = by_rsp(64);

	check(at_entry, by_rsp(8));
	check(after_push, by_rsp(16));
	check(after_sub, by_rsp(64));
	rule.rbp = VALUE_AT_CFA;
	rule.rbp_offset = -24;
	rule.rbx_offset = -16;
	check(both_changed, rule);
	check(other_branch, rule);
	rule = by_rsp(16);
	rule.rbx_offset = -16;
	check(rbp_back, rule);
	check(before_return, by_rsp(8));
	check(plain_leaf, by_rsp(8));
}

static void test_realigned(void **state)
{
	(void)state;

	check(realigned, (struct unwind_rule){.cfa = CFA_REGISTER, .cfa_reg = DWARF_R9, .cfa_offset = 8});
	check(spilled, (struct unwind_rule){.cfa = CFA_MEMORY, .cfa_reg = DWARF_RSP, .cfa_offset = 48, .cfa_add = 8});
	check(spilled_and_pushed,
	      (struct unwind_rule){.cfa = CFA_MEMORY, .cfa_reg = DWARF_RSP, .cfa_offset = 56, .cfa_add = 8});
	check(reloaded, by_rsp(8));
}

static void test_frame_pointer(void **state)
{
	(void)state;

	check(in_frame, (struct unwind_rule){.cfa = CFA_REGISTER,
					     .cfa_reg = DWARF_RBP,
					     .cfa_offset = 16,
					     .rbp = VALUE_AT_CFA,
					     .rbp_offset = -16});
}

/* Places behind an indirect jump, the second one behind a return, too. */
static void test_indirect_jump(void **state)
{
	(void)state;

	check(first_case, by_rsp(16));
	check(second_case, by_rsp(16));
}

static void test_own_subroutine(void **state)
{
	(void)state;

	check(behind_own_call, (struct unwind_rule){.cfa = CFA_REGISTER, .cfa_reg = DWARF_RCX, .cfa_offset = 8});
}

static void test_roots(void **state)
{
	(void)state;
	struct unwind_rule rule = by_rsp(16);

	assert_int_equal(rule_of(at_root).cfa, CFA_ROOT);
	assert_int_equal(rule_of(still_at_root).cfa, CFA_ROOT);
	rule.rbp = VALUE_AT_CFA;
	rule.rbp_offset = -16;
	check(at_no_root, rule);
}

static void test_call_without_return(void **state)
{
	(void)state;

	check(in_behind_abort, by_rsp(16));
}

static void test_unknown_starts(void **state)
{
	(void)state;

	check(unknown_function, by_rsp(8));
	check(in_unknown_function, by_rsp(16));
	check_unknown(no_function);
	check_unknown(in_no_function);
}

static void test_contradiction(void **state)
{
	(void)state;

	check_unknown(joined);
}

static void test_constants(void **state)
{
	(void)state;

	check(in_behind_constants, by_rsp(16));
}

static void test_statistics(void **state)
{
	(void)state;

	/* The assembly above and little else: the start-up code's. */
	assert_in_range(table->inferred.bytes, 150, 2000);
	assert_in_range(table->inferred.bytes_unknown, 16, 2000);
	assert_int_equal(table->inferred.bytes_skipped, 0);
}

/* Bytes of any kind, as the code of a file that says nothing: it ends, and every row has a rule. */
static void test_random_code(void **state)
{
	(void)state;
	uint32_t seed = 1;

	for (int round = 0; round < 200; round++) {
		struct elf_image image = image_create(IMAGE_SIZE);
		struct unwind_table *random_table = NULL;
		struct object *object;

		for (size_t i = 0; i < IMAGE_CODE_SIZE; i++) {
			seed = seed * 1664525u + 1013904223u;
			/* Few different bytes make many short instructions, jumps above all. */
			image.bytes[IMAGE_CODE + i] =
				round % 2 ? (uint8_t)(seed >> 24)
					  : (uint8_t) "\x50\x58\x74\xeb\xe8\xc3\x90\xff"[seed >> 29];
		}
		assert_int_equal(object_create(image_fd(&image), NULL, NULL, &object), 0);
		if (unwind_table_compile(object, TABLE_WHOLE, &random_table) == 0) {
			assert_in_range(random_table->inferred.bytes, 1, IMAGE_CODE_SIZE);
			for (uint32_t i = 0; i < random_table->nr_rows; i++)
				assert_in_range(random_table->rows[i].rule, 0, random_table->nr_rules - 1);
		}
		unwind_table_destroy(random_table);
		object_destroy(object);
		image_destroy(&image);
	}
}

/* More code than takes no time is left for later, and little is not. */
static void test_quick(void **state)
{
	static const uint8_t function[16] = {0x53, 0x5b, 0xc3, 0x90}; /* push %rbx, pop %rbx, ret */

	(void)state;
	for (int is_much = 0; is_much <= 1; is_much++) {
		struct elf_image image = image_create(IMAGE_SIZE);
		struct unwind_table *tables[2];
		struct object *object;

		for (size_t at = IMAGE_CODE; at < IMAGE_SIZE; at += sizeof(function))
			memcpy(image.bytes + at, function, sizeof(function));
		if (is_much)
			image_add_segment(&image, PT_LOAD, PF_R | PF_X, IMAGE_DEBUG, IMAGE_SIZE - IMAGE_DEBUG);
		else
			image_segment(&image, 0)->p_filesz = image_segment(&image, 0)->p_memsz = 0x1000;
		assert_int_equal(object_create(image_fd(&image), NULL, NULL, &object), 0);
		assert_int_equal(unwind_table_compile(object, TABLE_QUICK, &tables[0]), 0);
		assert_int_equal(unwind_table_compile(object, TABLE_WHOLE, &tables[1]), 0);
		assert_int_equal(tables[0]->nr_granules > 0, !is_much);
		assert_int_equal(tables[0]->inferred.bytes_skipped > 0, is_much);
		assert_int_equal(tables[1]->inferred.bytes_skipped, 0);
		assert_int_equal(unwind_table_find(tables[1], 16 + 1)->cfa_offset, 16);
		assert_int_equal(unwind_table_find(tables[!is_much ? 0 : 1], 16 + 2)->cfa_offset, 8);
		unwind_table_destroy(tables[0]);
		unwind_table_destroy(tables[1]);
		object_destroy(object);
		image_destroy(&image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pushes),
		cmocka_unit_test(test_realigned),
		cmocka_unit_test(test_frame_pointer),
		cmocka_unit_test(test_indirect_jump),
		cmocka_unit_test(test_own_subroutine),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_call_without_return),
		cmocka_unit_test(test_unknown_starts),
		cmocka_unit_test(test_contradiction),
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_random_code),
		cmocka_unit_test(test_quick),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
