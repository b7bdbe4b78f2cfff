/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the one door to foreign files.
 *
 * Everything that ebprof wants to know about an object file is asked here and comes back as plain data. What parses the
 * file is a process of its own without privileges, so that a file made to break or to hang it costs that file's answers
 * and nothing else. The session knows descriptors, paths for finding debug files, and this interface; never symbolize/
 * itself.
 *
 * Not thread-safe: one reader per thread.
 */
#ifndef EBPROF_READER_READER_H
#define EBPROF_READER_READER_H

#include <sys/types.h>

#include "facts.h"

struct reader;

struct reader_config {
	bool in_process;      /* parse within the caller, for debugging; nothing of the below then */
	const char *program;  /* of the reader process; NULL = the running program. Borrowed, as are all here */
	const char *argument; /* what makes it one; NULL = READER_PROCESS of process.h, for which main() has to look */
	uint32_t patience_ms; /* for tests: the longest that any question may take; 0 = by question and size */
};

struct reader_file {
	int fd;           /* borrowed: reader_open's handle, or open for reading */
	const char *path; /* as mapped by the target, to look for debug files beside it; "" = unknown */
};

/* A file at which a reader process was lost. */
struct reader_failure {
	const char *path;
	const char *wanted; /* "its names" */
	const char *reason; /* "crashed (SIGSEGV)", "took longer than 10 s", ... */
};

/* Starts the process and returns while it loads. NULL = in process. */
struct reader *reader_create(const struct reader_config *config);
void reader_destroy(struct reader *reader);

/* From any thread: the question at hand and all later ones end at once, with -ECANCELED. */
void reader_cancel(struct reader *reader);

/* Nothing more will be asked: its process ends while the caller goes on. Kernel symbols and failures stay. */
void reader_release(struct reader *reader);

/* Whether an error of a question says that the process was lost, not what the file is like. */
bool reader_lost(int error);

/* All files at which that happened, in order. Valid until the next question. */
const struct reader_failure *reader_failures(const struct reader *reader, size_t *nr_ret);

/*
 * A handle (O_PATH) of the regular file at a path, which need not be answered for: neither opening, holding nor closing
 * it waits for the file's owner. -EINVAL: something else stands there.
 */
int reader_open(struct reader *reader, const char *path);
/*
 * The same, if who called sudo may read the file: for paths that a file of the caller's names. -EACCES and others. In
 * process, where nothing is kept from a file anyway, as reader_open.
 */
int reader_open_for_caller(struct reader *reader, const char *path);

/*
 * What all questions below may return besides: -EACCES and others of open(); those of reader_lost(); -ECANCELED.
 */

/* Headers and build-id. -ENOEXEC not an ELF file, -EBADMSG its headers are broken. */
int reader_describe(struct reader *reader, const struct reader_file *file, struct object_info *ret);

/* Up to size_bytes (at most READER_BYTES_MAX) from an offset in the file; how many. */
enum { READER_BYTES_MAX = 256 };
ssize_t reader_bytes(struct reader *reader, const struct reader_file *file, uint64_t file_offset, void *ret,
		     size_t size_bytes);

/*
 * Unwind rows; errors as unwind_table_compile's. Freed with reader_free_table(). The rows are well-formed: granules
 * divide them among themselves in order, offsets rise, rules exist.
 */
int reader_unwind_table(struct reader *reader, const struct reader_file *file, enum table_effort effort,
			struct unwind_table **ret);
void reader_free_table(struct unwind_table *table);

/*
 * Names of file_addrs; separate debug files are found below /usr/lib/debug and beside the file. Contract: names.h. When
 * the process is lost, some may have been found before.
 */
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
