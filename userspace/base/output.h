/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - an output file that is whole or not there.
 *
 * Bytes go to a temporary file in the same folder; output_commit() syncs it and renames it over the name, after an
 * existing regular file was renamed to NAME.old. Symlinks are refused, FIFOs and character devices are written directly,
 * "-" is standard output. Under sudo the file belongs to the caller (SUDO_UID, SUDO_GID). An uncommitted output leaves
 * nothing behind, also when the program is ended by a signal handler that calls output_abandon_all().
 */
#ifndef EBPROF_BASE_OUTPUT_H
#define EBPROF_BASE_OUTPUT_H

#include <stddef.h>

#include "message.h"

struct output;

/* Opens at once, so that a bad path or a full disk shows before the work, not after. */
int output_create(const char *path, struct output **ret, struct problem *problem);

/* All bytes or a negative errno. */
int output_write(struct output *output, const void *data, size_t size_bytes);

/* The sentence for an error that writing to output gave (a negative errno, returned again). */
int output_problem(const struct output *output, int error, struct problem *problem);

/* Sync and rename; also destroys. On failure nothing is left and an earlier file keeps its name. */
int output_commit(struct output *output, struct problem *problem);

/* Drops an uncommitted output. NULL is allowed. */
void output_destroy(struct output *output);

/* Unlinks the temporary files of all open outputs; async-signal-safe. */
void output_abandon_all(void);

#endif
