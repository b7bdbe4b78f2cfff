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
	uint64_t frames[USER_FRAMES_MAX]; /* as the walker made them, leaf first, head.nr_frames of them */
	uint64_t pcs[USER_FRAMES_MAX];    /* their runtime addresses; 0 = the process has no such mapping */
	const uint8_t *stack;             /* head.stack_bytes from rsp upwards; borrowed from the file, not aligned */
};

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

/* Copies a sample and places its frames; index < samples.nr. */
void capture_file_sample(const struct capture_file *file, size_t index, struct captured_sample *ret);

#endif
