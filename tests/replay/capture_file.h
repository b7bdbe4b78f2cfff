/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_file.h - reads what `ebprof record --capture-stacks` wrote.
 *
 * The file is mapped into memory and its blocks are listed once; a sample is copied out when it is asked for, as
 * nothing in the file is aligned. Sizes are checked against the file, so a cut or foreign file is an error and never a
 * fault.
 */
#ifndef EBPROF_REPLAY_CAPTURE_FILE_H
#define EBPROF_REPLAY_CAPTURE_FILE_H

#include <stdint.h>

#include "capture.h"

struct captured_sample {
	struct capture_sample head;
	uint64_t pcs[USER_FRAMES_MAX];  /* leaf first, head.nr_frames of them */
	uint8_t flags[USER_FRAMES_MAX]; /* CAPTURED_* */
	const uint8_t *stack;           /* head.stack_bytes from rsp upwards; borrowed from the file, not aligned */
};

enum { CAPTURED_BY_FP = 1, CAPTURED_EXACT = 2 };

struct captured_mapping {
	struct capture_mapping head;
	char *path; /* "" = not a file */
};

struct capture_file {
	const uint8_t *data;
	size_t size_bytes;
	VECTOR(size_t) samples; /* where each one's body begins in data */
	VECTOR(struct captured_mapping) mappings;
};

/* 0, or a negative errno with *problem. The caller frees with capture_file_close() in either case. */
int capture_file_open(const char *path, struct capture_file *ret, struct problem *problem);
void capture_file_close(struct capture_file *file);

/* Copies a sample; index < samples.nr. */
void capture_file_sample(const struct capture_file *file, size_t index, struct captured_sample *ret);

#endif
