/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c - who answers a question: the reader process, or (for debugging) the library within the caller?
 *
 * The kernel's symbols are an exception: their text comes from the kernel, which is trusted, and reading it takes
 * privileges that the reader process is there not to have. So the caller reads them, once, in either mode.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>

#include "answers.h"
#include "client.h"
#include "debug_paths.h"
#include "inline.h"
#include "kallsyms.h"
#include "memory.h"
#include "opener.h"

static const char KALLSYMS_PATH[] = "/proc/kallsyms";

struct reader {
	struct client *client; /* NULL = in process */
	struct kallsyms *kallsyms;
	int kallsyms_status; /* 1 = not read yet, else what kallsyms_create said */
};

struct reader *reader_create(const struct reader_config *config)
{
	struct reader *reader = memory_new(struct reader);

	reader->kallsyms_status = 1;
	if (config && !config->in_process)
		reader->client = client_create(config);
	return reader;
}

void reader_destroy(struct reader *reader)
{
	if (!reader)
		return;
	client_destroy(reader->client);
	kallsyms_destroy(reader->kallsyms);
	free(reader);
}

void reader_cancel(struct reader *reader)
{
	if (reader->client)
		client_cancel(reader->client);
}

void reader_release(struct reader *reader)
{
	if (reader->client)
		client_release(reader->client);
}

bool reader_lost(int error)
{
	return error == -EPIPE || error == -ETIMEDOUT || error == -EPROTO || error == -EUSERS;
}

const struct reader_failure *reader_failures(const struct reader *reader, size_t *nr_ret)
{
	*nr_ret = 0;
	return reader->client ? client_failures(reader->client, nr_ret) : NULL;
}

int reader_open(struct reader *reader, const char *path)
{
	return reader->client ? client_open(reader->client, path, false) : opener_open_path(path);
}

int reader_open_for_caller(struct reader *reader, const char *path)
{
	return reader->client ? client_open(reader->client, path, true) : opener_open_path(path);
}

int reader_describe(struct reader *reader, const struct reader_file *file, struct object_info *ret)
{
	if (reader->client)
		return client_info(reader->client, file, ret);
	int fd = opener_open_handle(file->fd);

	return fd < 0 ? fd : inline_describe(fd, ret);
}

ssize_t reader_bytes(struct reader *reader, const struct reader_file *file, uint64_t file_offset, void *ret,
		     size_t size_bytes)
{
	if (reader->client)
		return client_bytes(reader->client, file, file_offset, ret, size_bytes);
	int fd = opener_open_handle(file->fd);

	return fd < 0 ? fd : inline_bytes(fd, file_offset, ret, size_bytes);
}

int reader_unwind_table(struct reader *reader, const struct reader_file *file, enum table_effort effort,
			struct unwind_table **ret)
{
	if (reader->client)
		return client_table(reader->client, file, effort, ret);
	int fd = opener_open_handle(file->fd);

	return fd < 0 ? fd : inline_unwind_table(fd, effort, ret);
}

void reader_free_table(struct unwind_table *table)
{
	answer_free_table(table);
}

int reader_names(struct reader *reader, const struct reader_file *file, const uint64_t *addrs, size_t nr,
		 names_found_fn found, void *context, struct names_status *status)
{
	struct debug_paths paths;

	if (reader->client)
		return client_names(reader->client, file, addrs, nr, found, context, status);
	debug_paths_init(&paths, DEBUG_ROOT, file->path);
	int fd = opener_open_handle(file->fd);
	int err = fd < 0 ? fd : inline_names(fd, debug_paths_open, &paths, addrs, nr, found, context, status);

	debug_paths_deinit(&paths);
	return err;
}

int reader_function_starts(struct reader *reader, const struct reader_file *file, const uint64_t *addrs, size_t nr,
			   uint64_t *starts_ret)
{
	struct debug_paths paths;

	if (reader->client)
		return client_starts(reader->client, file, addrs, nr, starts_ret);
	debug_paths_init(&paths, DEBUG_ROOT, file->path);
	int fd = opener_open_handle(file->fd);
	int err = fd < 0 ? fd : inline_function_starts(fd, debug_paths_open, &paths, addrs, nr, starts_ret);

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
