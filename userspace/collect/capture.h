/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture.h - debugging: write each sample's registers and stack beside the frames made of them, so that another
 * unwinder can be asked about the very same moment.
 *
 * The file, in host byte order: 8 bytes "ebprofc2"; then blocks of {uint32_t type, uint32_t size_bytes} and size bytes:
 *
 *   CAPTURE_SAMPLE   struct capture_sample; nr_frames frames as the walker made them, leaf first;
 *                    nr_frames pcs (uint64_t) by the mappings known when it was written, 0 = in none of them;
 *                    stack_bytes from rsp upwards
 *   CAPTURE_MAPPING  struct capture_mapping; the path
 *
 * The mappings of all processes come last, as they were at the end. A sample is written when the ring hands it over,
 * which can be before the news of its process are handled: then the pcs are 0, and the frames have to be placed by the
 * mappings. It holds the target's secrets: mode 0600.
 */
#ifndef EBPROF_COLLECT_CAPTURE_H
#define EBPROF_COLLECT_CAPTURE_H

#include <stdint.h>

#include "message.h"
#include "modules.h"
#include "processes.h"
#include "sample.h"

enum { CAPTURE_SAMPLE = 1, CAPTURE_MAPPING = 2 };

struct capture_sample {
	uint32_t process; /* slot */
	uint32_t pid, tid;
	uint32_t nr_frames; /* 0 where the middle was elided: such a stack can't be compared frame by frame */
	uint32_t stop;      /* enum stop */
	uint32_t stack_bytes;
	uint32_t in_kernel;
	uint32_t nr_walked; /* frames, kept or not */
	uint64_t time_ns;
	uint64_t regs[17]; /* DWARF numbers, rip last */
};

struct capture_mapping {
	uint32_t process; /* slot */
	uint32_t pid;
	uint64_t start, end, file_offset;
	uint64_t module_offset; /* of start */
	uint32_t module;        /* as in the frames */
	uint32_t reserved;
};

struct capture;

int capture_create(const char *path, struct capture **ret, struct problem *problem);
/* NULL is allowed. */
void capture_destroy(struct capture *capture);

/* A write that fails is told once and ends the capture, not the recording. */
void capture_write(struct capture *capture, const struct record_capture *record, const struct processes *processes);
/* The mappings, after the last sample. */
void capture_finish(struct capture *capture, const struct processes *processes, const struct modules *modules);

#endif
