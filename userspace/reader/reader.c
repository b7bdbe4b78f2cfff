/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c - how does the rest of ebprof ask what a file says, without ever touching a file's bytes itself?
 *
 * This implementation answers within the caller's process: each question makes an object on a copy of the
 * descriptor, asks the library and destroys it, so that no handle outlives its question and an answer depends on
 * nothing asked before. (An object's own headers are a few reads; what is expensive, symbols and DWARF, is released
 * after use anyway.) Only the kernel's symbols are kept.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>

#include "debug_paths.h"
#include "kallsyms.h"
#include "memory.h"
#include "function_starts.h"
#include "names.h"
#include "unwind.h"

static const char DEBUG_ROOT[] = "/usr/lib/debug";
static const char KALLSYMS_PATH[] = "/proc/kallsyms";

struct reader {
	struct kallsyms *kallsyms;
	int kallsyms_status; /* 1 = not read yet, else what kallsyms_create said */
};

struct reader *reader_create(void)
{
	struct reader *reader = memory_new(struct reader);

	reader->kallsyms_status = 1;
	return reader;
}

void reader_destroy(struct reader *reader)
{
	if (!reader)
		return;
	kallsyms_destroy(reader->kallsyms);
	free(reader);
}

static int file_open(const struct reader_file *file, struct debug_paths *paths, struct object **ret)
{
	int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return object_create(fd, paths ? debug_paths_open : NULL, paths, ret);
}

int reader_describe(struct reader *reader, const struct reader_file *file, struct object_info *ret)
{
	struct object *object;
	int err = file_open(file, NULL, &object);

	(void)reader;
	if (err < 0)
		return err;
	*ret = *object_info(object);
	object_destroy(object);
	return 0;
}

int reader_unwind_table(struct reader *reader, const struct reader_file *file, struct unwind_table **ret)
{
	struct object *object;
	int err = file_open(file, NULL, &object);

	(void)reader;
	if (err < 0)
		return err;
	err = unwind_table_compile(object, ret);
	object_destroy(object);
	return err;
}

void reader_free_table(struct unwind_table *table)
{
	unwind_table_destroy(table);
}

int reader_names(struct reader *reader, const struct reader_file *file, const uint64_t *addrs, size_t nr,
		 names_found_fn found, void *context, struct names_status *status)
{
	struct debug_paths paths;
	struct object *object;
	int err;

	(void)reader;
	debug_paths_init(&paths, DEBUG_ROOT, file->path);
	err = file_open(file, &paths, &object);
	if (err == 0) {
		err = names_find(object, addrs, nr, found, context, status);
		object_destroy(object);
	}
	debug_paths_deinit(&paths);
	return err;
}

int reader_function_starts(struct reader *reader, const struct reader_file *file, const uint64_t *addrs, size_t nr,
			   uint64_t *starts_ret)
{
	struct debug_paths paths;
	struct object *object;
	int err;

	(void)reader;
	debug_paths_init(&paths, DEBUG_ROOT, file->path);
	err = file_open(file, &paths, &object);
	if (err == 0) {
		err = function_starts_find(object, addrs, nr, starts_ret);
		object_destroy(object);
	}
	debug_paths_deinit(&paths);
	return err;
}

static int kallsyms_read(struct reader *reader)
{
	if (reader->kallsyms_status == 1) {
		int fd = open(KALLSYMS_PATH, O_RDONLY | O_CLOEXEC);

		reader->kallsyms_status = fd < 0 ? -errno : kallsyms_create(fd, &reader->kallsyms);
	}
	return reader->kallsyms_status;
}

int reader_kernel_symbol(struct reader *reader, uint64_t pc, struct kernel_symbol *ret)
{
	int err = kallsyms_read(reader);

	if (err < 0)
		return err;
	return kallsyms_find(reader->kallsyms, pc, ret) ? 0 : -ENOENT;
}

void reader_kernel_text(struct reader *reader, uint64_t *start_ret, uint64_t *end_ret)
{
	bool known = kallsyms_read(reader) == 0;

	*start_ret = known ? kallsyms_text_start(reader->kallsyms) : 0;
	*end_ret = known ? kallsyms_text_end(reader->kallsyms) : 0;
}
