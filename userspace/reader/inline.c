/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.c - how is a question about a file put to the library?
 *
 * Each question makes an object, asks the library and destroys it, so that no handle outlives its question and an
 * answer depends on nothing asked before. (An object's own headers are a few reads; what is expensive, symbols and
 * DWARF, is released after use anyway.)
 */
#include "inline.h"

#include <errno.h>

#include "function_starts.h"
#include "memory.h"
#include "names.h"
#include "unwind.h"

int inline_describe(int fd, struct object_info *ret)
{
	struct object *object;
	int err = object_create(fd, NULL, NULL, &object);

	if (err < 0)
		return err;
	*ret = *object_info(object);
	object_destroy(object);
	return 0;
}

int inline_unwind_table(int fd, enum table_effort effort, struct unwind_table **ret)
{
	struct object *object;
	int err = object_create(fd, NULL, NULL, &object);

	if (err < 0)
		return err;
	err = unwind_table_compile(object, effort, ret);
	object_destroy(object);
	return err;
}

int inline_names(int fd, related_open_fn related, void *related_context, const uint64_t *addrs, size_t nr,
		 names_found_fn found, void *context, struct names_status *status)
{
	struct object *object;
	int err = object_create(fd, related, related_context, &object);

	if (err < 0)
		return err;
	err = names_find(object, addrs, nr, found, context, status);
	object_destroy(object);
	return err;
}

int inline_function_starts(int fd, related_open_fn related, void *related_context, const uint64_t *addrs, size_t nr,
			   uint64_t *starts_ret)
{
	struct object *object;
	int err = object_create(fd, related, related_context, &object);

	if (err < 0)
		return err;
	err = function_starts_find(object, addrs, nr, starts_ret);
	object_destroy(object);
	return err;
}

ssize_t inline_bytes(int fd, uint64_t file_offset, void *ret, size_t size_bytes)
{
	_cleanup_close_ int file = fd;
	ssize_t length;

	do {
		length = pread(file, ret, size_bytes, (off_t)file_offset);
	} while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : length;
}
