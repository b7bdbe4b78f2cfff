/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture.h - debugging: write each sample's registers and stack beside the frames made of them, so that another
 * unwinder can be asked about the very same moment.
 *
 * The file, in host byte order: 8 bytes "ebprofc1"; then blocks of {uint32_t type, uint32_t size_bytes} and size bytes:
 *   CAPTURE_SAMPLE   struct capture_sample, then nr_frames pcs (uint64_t, leaf first, 0 = not in a known mapping), then
 *                    nr_frames flag bytes (1 = found by frame pointer, 2 = exact), then stack_bytes from rsp upwards
 *   CAPTURE_MAPPING  struct capture_mapping, then the path
 * The mappings of all processes come last, as they were at the end. It holds the target's secrets: mode 0600.
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
	uint32_t nr_frames;
	uint32_t stop; /* enum stop */
	uint32_t stack_bytes;
	uint32_t in_kernel;
	uint32_t reserved;
	uint64_t time_ns;
	uint64_t regs[17]; /* DWARF numbers, rip last */
};

struct capture_mapping {
	uint32_t process; /* slot */
	uint32_t pid;
	uint64_t start, end, file_offset;
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
