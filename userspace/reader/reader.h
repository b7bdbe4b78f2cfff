/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the one door to foreign files.
 *
 * Everything that ebprof wants to know about an object file is asked here and comes back as plain data, so that the
 * code that parses files anybody may have written can live in a process of its own without the rest noticing. The
 * session knows descriptors, paths for finding debug files, and this interface; never symbolize/ itself.
 *
 * Not thread-safe: one reader per thread.
 */
#ifndef EBPROF_READER_READER_H
#define EBPROF_READER_READER_H

#include "facts.h"

struct reader;

struct reader_file {
	int fd;           /* borrowed; read with pread */
	const char *path; /* as mapped by the target, to look for debug files beside it; "" = unknown */
};

struct reader *reader_create(void);
void reader_destroy(struct reader *reader);

/* Headers and build-id. -ENOEXEC not an ELF file, -EBADMSG its headers are broken. */
int reader_describe(struct reader *reader, const struct reader_file *file, struct object_info *ret);

/* Unwind rows; errors as unwind_table_compile's. Freed with reader_free_table(). */
int reader_unwind_table(struct reader *reader, const struct reader_file *file, struct unwind_table **ret);
void reader_free_table(struct unwind_table *table);

/* Names of file_addrs; separate debug files are found below /usr/lib/debug and beside the file. Contract: names.h. */
int reader_names(struct reader *reader, const struct reader_file *file, const uint64_t *addrs, size_t nr,
		 names_found_fn found, void *context, struct names_status *status);

/* Where the functions begin that cover file_addrs, also without symbols; 0 = not known. As function_starts_find. */
int reader_function_starts(struct reader *reader, const struct reader_file *file, const uint64_t *addrs, size_t nr,
			   uint64_t *starts_ret);

/*
 * The kernel's symbols, read from /proc/kallsyms at the first call. -EPERM: addresses are hidden (kptr_restrict or
 * missing CAP_SYSLOG). -ENOENT: no symbol there.
 */
int reader_kernel_symbol(struct reader *reader, uint64_t pc, struct kernel_symbol *ret);
/* Where the kernel's text begins and ends; both 0 when hidden. */
void reader_kernel_text(struct reader *reader, uint64_t *start_ret, uint64_t *end_ret);

#endif
