/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rescan.h - what is mapped by process images that nothing else tells of, by /proc.
 *
 *     rescans_init -> rescans_read, of each image -> rescans_check -> what is_same says may be used -> rescans_deinit
 *
 * A pid may have become another image while it was read. So the identities are read afterwards, all of them at once,
 * from the kernel; if one changed, what was read belongs to somebody else.
 */
#ifndef EBPROF_COLLECT_RESCAN_H
#define EBPROF_COLLECT_RESCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "mapped_files.h"
#include "programs.h"
#include "table.h"
#include "vector.h"

struct rescan {
	uint32_t image;   /* the caller's number */
	uint64_t read_ns; /* CLOCK_MONOTONIC, right before */
	bool is_same;
	struct mappings mappings;
};

struct rescans {
	VECTOR(struct rescan) list;
	struct table by_id; /* process_id -> list */
};

void rescans_init(struct rescans *rescans);
void rescans_deinit(struct rescans *rescans);

/* budget: as mapped_files_read(). Nothing is added when the process can't be read. */
void rescans_read(struct rescans *rescans, struct mapped_files *files, const struct process_id *id, pid_t pid,
		  uint32_t image, uint32_t *budget);

/* Sets is_same of all. */
void rescans_check(struct rescans *rescans, struct programs *programs);

#endif
