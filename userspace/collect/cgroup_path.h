/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_path.h - which container and which systemd unit does the path of a cgroup name?
 *
 * Container managers put an id into the name of a folder: docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope,
 * libpod-ID.scope with systemd, or a folder named ID alone without it (below docker/, kubepods/...); an ID is 64
 * hexadecimal digits. systemd-nspawn's machines have a name: machine-NAME.scope, systemd-nspawn@NAME.service. Units are
 * folders that end in .service or .scope. Of nested ones the innermost counts.
 */
#ifndef EBPROF_COLLECT_CGROUP_PATH_H
#define EBPROF_COLLECT_CGROUP_PATH_H

#include <stdbool.h>

enum { CGROUP_NAME_MAX = 256 };

/* Writes "" where there is none. */
void cgroup_path_container(const char *path, char ret[CGROUP_NAME_MAX]);
void cgroup_path_unit(const char *path, char ret[CGROUP_NAME_MAX]);

/*
 * Whether one folder's name (not a path) is a container's own, and its id or name. False for helpers beside it
 * (libpod-conmon-ID.scope).
 */
bool cgroup_name_container(const char *name, char ret[CGROUP_NAME_MAX]);

#endif
