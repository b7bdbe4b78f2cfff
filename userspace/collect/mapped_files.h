/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_files.h - what a process has mapped, as it was reported, as mappings of modules.
 *
 * Two report it: the side band, mapping by mapping, and /proc, all of a process at once. Files that are met here become
 * modules; their unwind tables are asked for when they are met, or, where most processes are never sampled, when
 * somebody walks through them.
 */
#ifndef EBPROF_COLLECT_MAPPED_FILES_H
#define EBPROF_COLLECT_MAPPED_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mappings.h"
#include "modules.h"
#include "sideband.h"
#include "strings.h"
#include "tables.h"

struct mapped_files {
	struct modules *modules; /* borrowed */
	struct tables *tables;
	struct strings paths; /* of mapping.path */
	int proc_folder;
	bool tables_wait; /* for mapped_files_request_tables() */
};

void mapped_files_init(struct mapped_files *files, struct modules *modules, struct tables *tables);
void mapped_files_deinit(struct mapped_files *files);

/* A mapping that the side band tells of. */
struct mapping mapped_files_make(struct mapped_files *files, const struct sideband_record *record);

/*
 * Reads all executable mappings of a process from /proc. What took the place of a file's code is looked for,
 * as long as *budget lasts (see replaced_text.h); ret is empty before. A negative errno when the process can't be read.
 */
int mapped_files_read(struct mapped_files *files, pid_t pid, uint32_t *budget, struct mappings *ret);

/* Asks for the tables of what a running process has mapped. Whatever is wrong with the pid is told elsewhere. */
void mapped_files_prepare(struct mapped_files *files, pid_t pid);

/* Asks for those tables that were not asked for yet. */
void mapped_files_request_tables(struct mapped_files *files, const struct mappings *mappings);

#endif
