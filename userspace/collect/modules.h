/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules.h - the files that code was mapped from, each once however many processes map it and under whatever path.
 *
 * A module is known by its build-id, else by device and inode, which stay taken while its descriptor is held. It is
 * opened through /proc/PID/map_files when first seen, so that it works for containers, deleted and replaced files, and
 * for processes that have exited before anybody asks for a name. Where the process is gone already, the path is tried
 * and believed only if the build-id or the inode agrees.
 */
#ifndef EBPROF_COLLECT_MODULES_H
#define EBPROF_COLLECT_MODULES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "facts.h"
#include "reader.h"
#include "table.h"
#include "vector.h"

/* Where some process has a module mapped. */
struct module_place {
	uint64_t start, end;
	uint64_t file_offset, module_offset; /* of start */
};

struct module {
	int fd;     /* reader_open()'s handle, held for the run */
	char *path; /* as the target sees it, without " (deleted)" */
	struct object_info info;
	bool is_elf;
	bool is_placed; /* place holds where it was met first */
	struct module_place place;
	bool is_table_requested; /* of tables.h */
	bool is_lost; /* a reader process was lost already at its headers: nothing more is asked of it */
};

struct modules {
	VECTOR(struct module) list; /* by module number */
	struct table build_ids;
	struct table inodes;
	struct reader *reader;
	uint32_t max;
	uint32_t vdso, vdso_32bit; /* NO_MODULE until it is met */
	uint64_t nr_unreadable, nr_broken, nr_refused;
};

/* One executable mapping as somebody reported it. */
struct module_source {
	pid_t pid; /* in our namespace; 0 = gone */
	uint64_t start, end;
	const char *path;
	const uint8_t *build_id; /* NULL = not told */
	uint8_t build_id_size;
	uint32_t major, minor;
	uint64_t inode;
};

void modules_init(struct modules *modules, struct reader *reader, uint32_t max);
void modules_deinit(struct modules *modules);

/*
 * Whether the kernel calls memory without a file by this name, which viewers take for a path: "//anon" in its records,
 * and the device of zeros where memory is shared.
 */
bool modules_is_anonymous(const char *path);

/*
 * The module that a mapping shows, NO_MODULE for anonymous memory and for what could not be opened (counted). *added
 * says that it was not known before.
 */
uint32_t modules_find(struct modules *modules, const struct module_source *source, bool *added);

/*
 * The module of a file that will probably be mapped soon, by a path of ours; NO_MODULE when it can't be read. Nothing
 * is counted. for_caller: nor when who called sudo may not read it.
 */
uint32_t modules_add_path(struct modules *modules, const char *path, bool for_caller, bool *added);

/*
 * Where in the module a mapping of file_offset begins, as a module offset; false when no executable segment of the file
 * lies there.
 */
bool module_offset_of(const struct module *module, uint64_t file_offset, uint64_t *ret);

/* The last part of the path. */
const char *module_name(const struct module *module);

#endif
