/* SPDX-License-Identifier: Apache-2.0 */
/* maps.h - the executable mappings of a process, as /proc/PID/maps tells them, and where its files begin. */
#ifndef EBPROF_COLLECT_MAPS_H
#define EBPROF_COLLECT_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct map_line {
	uint64_t start, end;
	uint64_t file_offset;
	uint64_t inode;
	uint32_t major, minor;
	bool executable; /* false: not executable, but a file's first page, that is where the file was loaded */
	bool deleted;    /* " (deleted)" stood behind the path and was taken off */
	/*
	 * The path with the kernel's \012 escapes undone; "" for anonymous memory; "[vdso]", "[stack]", "//anon",
	 * "/memfd:NAME" and the like as they are. Borrowed until the callback returns.
	 */
	const char *path;
};

typedef void (*map_line_fn)(const struct map_line *line, void *context);

/*
 * Parses text (not NUL-terminated) and calls found for each line of an executable mapping and each of a file's first
 * page. Lines that make no sense
 * (hostile or cut) are skipped and counted in *skipped (may be NULL).
 */
void maps_parse(const char *text, size_t size_bytes, map_line_fn found, void *context, size_t *skipped);

/*
 * Reads /proc/PID/maps below proc_folder (an open "/proc"). -ESRCH: the process is gone or has no memory of its own
 * (an empty file); -E2BIG: over 64 MiB of text.
 */
int maps_read(int proc_folder, pid_t pid, map_line_fn found, void *context, size_t *skipped);

/* Takes the kernel's " (deleted)" off an absolute path, in place; whether it stood there. */
bool maps_cut_deleted(char *path);

#endif
