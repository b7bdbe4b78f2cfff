/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opener.h - opening files that anybody may own.
 *
 * A *handle* is an O_PATH descriptor: it names a file without opening it, so neither getting nor closing it asks the
 * file's file system for anything.
 */
#ifndef EBPROF_READER_OPENER_H
#define EBPROF_READER_OPENER_H

/* A handle of the regular file at a path; -EINVAL when something else stands there, which is not touched. */
int opener_open_path(const char *path);

/* The file of a handle (or of any descriptor) for reading. May take as long as the file's owner likes. */
int opener_open_handle(int handle);

/* The opener process: answers both sides until one of them has gone. */
void opener_serve(int agent, int reader);

#endif
