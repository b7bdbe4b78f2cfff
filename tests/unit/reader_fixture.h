/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_fixture.h - questions to a reader about the test program itself, and what it says of those that failed.
 *
 * The group's set-up is open_own(), its tear-down close_own(). Includes cmocka.
 */
#ifndef EBPROF_TESTS_READER_FIXTURE_H
#define EBPROF_TESTS_READER_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"
#include "reader.h"

static int own_file;

static inline struct reader_file own(void)
{
	return (struct reader_file){.fd = own_file, .path = "/own/file"};
}

static inline int ask_info(struct reader *reader)
{
	const struct reader_file file = own();
	struct object_info info;

	return reader_describe(reader, &file, &info);
}

static inline int ask_table(struct reader *reader)
{
	const struct reader_file file = own();
	struct unwind_table *table = NULL;
	int error = reader_unwind_table(reader, &file, TABLE_WHOLE, &table);

	reader_free_table(table);
	return error;
}

static inline size_t nr_failures(const struct reader *reader)
{
	size_t nr;

	reader_failures(reader, &nr);
	return nr;
}

static inline void assert_failure(const struct reader *reader, size_t index, const char *wanted, const char *reason)
{
	size_t nr;
	const struct reader_failure *failures = reader_failures(reader, &nr);

	assert_true(index < nr);
	assert_string_equal(failures[index].path, "/own/file");
	assert_string_equal(failures[index].wanted, wanted);
	assert_string_equal(failures[index].reason, reason);
}

static inline int open_own(void **state)
{
	(void)state;
	own_file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return own_file < 0;
}

static inline int close_own(void **state)
{
	(void)state;
	return close(own_file);
}

#endif
