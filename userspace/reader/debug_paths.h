/* SPDX-License-Identifier: Apache-2.0 */
/* debug_paths.h - where on this host the files with debug information are, by the conventions that distributions
 * follow. */
#ifndef EBPROF_READER_DEBUG_PATHS_H
#define EBPROF_READER_DEBUG_PATHS_H

#include "object.h"

/* One object's search: the context of debug_paths_open(). */
struct debug_paths {
	const char *root;        /* "/usr/lib/debug"; borrowed */
	const char *object_path; /* of the object, "" = unknown; borrowed */
	char *last_path;         /* of the file opened last: alternate files are relative to it; freed by deinit */
};

/* Where distributions put debug files. */
#define DEBUG_ROOT "/usr/lib/debug"

void debug_paths_init(struct debug_paths *paths, const char *root, const char *object_path);
void debug_paths_deinit(struct debug_paths *paths);

/* A related_open_fn: a descriptor of the first regular file among the candidates, else -ENOENT. */
int debug_paths_open(const struct related_file *file, void *context);

/*
 * The same with rights that whoever asks doesn't have: only what is beside the object, reached without symbolic links,
 * and by its name nothing but a debug file (".debug").
 */
int debug_paths_open_private(const struct related_file *file, struct debug_paths *paths);

#endif
