/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - texts of unknown size, as files of /proc are: read whole. */
#ifndef EBPROF_BASE_INPUT_H
#define EBPROF_BASE_INPUT_H

#include <stddef.h>

/*
 * Reads from where fd stands to its end. *ret is NUL-terminated behind *ret_size bytes; free with free(). -E2BIG: more
 * than max_bytes.
 */
int input_read(int fd, size_t max_bytes, char **ret, size_t *ret_size);

#endif
