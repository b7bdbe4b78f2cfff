/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroups.h - the groups of the cgroup hierarchy (version 2): their numbers and their paths.
 *
 * The kernel knows a group by a 64-bit number, which is its folder's inode; samples carry the lower half. Names come
 * from the folders that are there when a recording begins, and from the side band for those that are made meanwhile.
 */
#ifndef EBPROF_COLLECT_CGROUPS_H
#define EBPROF_COLLECT_CGROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"
#include "session.h"

struct cgroups;

/* Reads the hierarchy; empty where there is none. */
struct cgroups *cgroups_create(void);
/* The same of another mountinfo than /proc/self/mountinfo. */
struct cgroups *cgroups_create_from(const char *mountinfo_path);
void cgroups_destroy(struct cgroups *cgroups); /* NULL is allowed */

/* A group that was made. */
void cgroups_add(struct cgroups *cgroups, uint64_t id, const char *path);

/* "/system.slice/cron.service", from the hierarchy's root as it is mounted here; borrowed. NULL = unknown. */
const char *cgroups_path(const struct cgroups *cgroups, uint32_t id_low);

/*
 * What the user named: a path below /sys/fs/cgroup, or as /proc/PID/cgroup has it. -ENOENT, -ENOTSUP (version 1 only)
 * with a sentence.
 */
int cgroups_resolve(const char *path, struct session_cgroup *ret, struct problem *problem);

/* The container whose id, or whose machine's name, begins so. -ENOENT, -ENOTUNIQ, -ENOTSUP with a sentence. */
int cgroups_find_container(const char *prefix, struct session_cgroup *ret, struct problem *problem);

#endif
