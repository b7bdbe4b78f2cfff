/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function_starts_test.c - function starts without symbols, asked of this very program: the compiler says where its
 * functions are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "function_starts.h"
#include "memory.h"

static __attribute__((noinline)) int first_function(volatile int *value)
{
	return *value + 1;
}

static __attribute__((noinline)) int second_function(volatile int *value)
{
	return *value * 3 + first_function(value);
}

static int keep_base(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	*(uint64_t *)context = info->dlpi_addr;
	return 1; /* the program itself comes first */
}

static uint64_t own_addr(const void *function)
{
	uint64_t base = 0;

	dl_iterate_phdr(keep_base, &base);
	return (uint64_t)(uintptr_t)function - base;
}

static struct object *open_self(void)
{
	struct object *object;

	assert_int_equal(object_create(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL, NULL, &object), 0);
	return object;
}

static void test_own_functions(void **state)
{
	(void)state;
	volatile int value = 1;

	assert_int_equal(second_function(&value), 5);
	struct object *object = open_self();
	uint64_t first = own_addr((void *)first_function), second = own_addr((void *)second_function);
	uint64_t addrs[] = { first, first + 1, second, second + 3, 1, 1ull << 60 };
	uint64_t starts[ARRAY_SIZE(addrs)];

	assert_int_equal(function_starts_find(object, addrs, ARRAY_SIZE(addrs), starts), 0);
	assert_int_equal(starts[0], first);
	assert_int_equal(starts[1], first);
	assert_int_equal(starts[2], second);
	assert_int_equal(starts[3], second);
	assert_int_equal(starts[4], 0);
	assert_int_equal(starts[5], 0);
	object_destroy(object);
}

/* A copy of this program with its table's header overwritten. */
static int find_in_damaged(size_t at, uint8_t value)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy = memfd_create("damaged", MFD_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	_cleanup_free_ uint8_t *bytes = memory_new_array(uint8_t, (size_t)size);

	assert_int_equal(pread(fd, bytes, (size_t)size, 0), size);
	close(fd);
	Elf64_Ehdr ehdr;

	memcpy(&ehdr, bytes, sizeof(ehdr));
	for (int i = 0; i < ehdr.e_phnum; i++) {
		Elf64_Phdr phdr;

		memcpy(&phdr, bytes + ehdr.e_phoff + (size_t)i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_GNU_EH_FRAME)
			bytes[phdr.p_offset + at] = value;
	}
	assert_int_equal(write(copy, bytes, (size_t)size), size);
	struct object *object;
	uint64_t addr = own_addr((void *)first_function), start = 77;

	assert_int_equal(object_create(copy, NULL, NULL, &object), 0);
	int error = function_starts_find(object, &addr, 1, &start);

	object_destroy(object);
	return error;
}

static void test_damaged_header(void **state)
{
	(void)state;
	assert_int_equal(find_in_damaged(0, 2), -ENODATA);     /* another version */
	assert_int_equal(find_in_damaged(3, 0x1b), -ENODATA);  /* another form of entries */
	assert_int_equal(find_in_damaged(11, 0xff), -ENODATA); /* four thousand million entries */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_functions),
		cmocka_unit_test(test_damaged_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
