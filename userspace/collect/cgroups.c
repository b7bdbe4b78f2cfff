/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_path.h"
#include "memory.h"
#include "strings.h"
#include "table.h"
#include "vector.h"

enum {
	DEPTH_MAX = 64,
	GROUPS_MAX = 1 << 20,
	PATH_BYTES = 4096,
	CANDIDATES_SHOWN = 4,
};

struct cgroup {
	uint32_t path; /* in paths */
	uint32_t level;
	uint64_t id;
};

struct cgroups {
	char *mount; /* NULL = no hierarchy of version 2 is mounted */
	VECTOR(struct cgroup) list;
	struct table by_id; /* lower half -> list */
	struct strings paths;
};

/* Where the hierarchy is mounted: "36 25 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw". */
static char *find_mount(const char *mountinfo_path)
{
	_cleanup_fclose_ FILE *file = fopen(mountinfo_path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		const char *type = strstr(line, " - cgroup2 ");
		char path[PATH_BYTES];

		if (type && sscanf(line, "%*s %*s %*s %*s %4095s", path) == 1)
			return memory_strdup(path);
	}
	return NULL;
}

static void add(struct cgroups *cgroups, uint64_t id, uint32_t level, const char *path)
{
	uint32_t low = (uint32_t)id;
	struct cgroup group = {.path = strings_intern(&cgroups->paths, path), .level = level, .id = id};

	if (cgroups->list.nr >= GROUPS_MAX)
		return;
	/* A number that comes again is another group's. */
	table_put(&cgroups->by_id, &low, (uint32_t)cgroups->list.nr);
	*vector_push(&cgroups->list) = group;
}

/* path: from the hierarchy's root, "" for itself. Takes fd. */
static void read_folder(struct cgroups *cgroups, int fd, const char *path, uint32_t level)
{
	DIR *folder = fdopendir(fd);
	const struct dirent *entry;
	struct stat status;

	if (!folder) {
		close(fd);
		return;
	}
	if (fstat(fd, &status) == 0)
		add(cgroups, status.st_ino, level, path[0] ? path : "/");
	while (level < DEPTH_MAX && (entry = readdir(folder))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		_cleanup_free_ char *below = memory_format("%s/%s", path, entry->d_name);
		int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (child >= 0)
			read_folder(cgroups, child, below, level + 1);
	}
	closedir(folder);
}

struct cgroups *cgroups_create_from(const char *mountinfo_path)
{
	struct cgroups *cgroups = memory_new(struct cgroups);
	int fd;

	strings_init(&cgroups->paths);
	table_init(&cgroups->by_id, sizeof(uint32_t));
	cgroups->mount = find_mount(mountinfo_path);
	fd = cgroups->mount ? open(cgroups->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0)
		read_folder(cgroups, fd, "", 0);
	return cgroups;
}

struct cgroups *cgroups_create(void)
{
	return cgroups_create_from("/proc/self/mountinfo");
}

void cgroups_destroy(struct cgroups *cgroups)
{
	if (!cgroups)
		return;
	vector_free(&cgroups->list);
	table_deinit(&cgroups->by_id);
	strings_deinit(&cgroups->paths);
	free(cgroups->mount);
	free(cgroups);
}

static void cgroups_cleanup(struct cgroups **cgroups)
{
	cgroups_destroy(*cgroups);
}

void cgroups_add(struct cgroups *cgroups, uint64_t id, const char *path)
{
	uint32_t level = 0;

	for (const char *at = path; *at; at++)
		level += at[0] == '/' && at[1];
	add(cgroups, id, level, path);
}

const char *cgroups_path(const struct cgroups *cgroups, uint32_t id_low)
{
	uint32_t index;

	return table_get(&cgroups->by_id, &id_low, &index)
		       ? strings_text(&cgroups->paths, cgroups->list.data[index].path)
		       : NULL;
}

static int explain_missing_hierarchy(struct problem *problem)
{
	return problem_set(problem, -ENOTSUP,
			   "no cgroup hierarchy of version 2 is mounted here: version 1 knows no group of a process as "
			   "such; boot with systemd.unified_cgroup_hierarchy=1, or name processes with -p or --comm");
}

/* The path from the hierarchy's root of what the user wrote, "/" at its end cut off. */
static char *path_within(const struct cgroups *cgroups, const char *path)
{
	size_t mount = strlen(cgroups->mount);
	bool has_mount = strncmp(path, cgroups->mount, mount) == 0 && (path[mount] == '/' || !path[mount]);
	char *within = memory_format("%s%s", path[0] == '/' ? "" : "/", has_mount ? path + mount : path);
	size_t length = strlen(within);

	while (length && within[length - 1] == '/')
		within[--length] = '\0';
	return within;
}

int cgroups_resolve(const char *path, struct session_cgroup *ret, struct problem *problem)
{
	_cleanup_(cgroups_cleanup) struct cgroups *cgroups = cgroups_create();

	if (!cgroups->mount)
		return explain_missing_hierarchy(problem);
	_cleanup_free_ char *within = path_within(cgroups, path);

	for (size_t i = 0; i < cgroups->list.nr; i++) {
		const struct cgroup *group = &cgroups->list.data[i];

		if (strcmp(strings_text(&cgroups->paths, group->path), within[0] ? within : "/") != 0)
			continue;
		*ret = (struct session_cgroup){.id = group->id, .level = group->level};
		return 0;
	}
	return problem_set(problem, -ENOENT,
			   "there is no cgroup '%s' in the hierarchy at %s: `systemd-cgls`, or the line '0::' in "
			   "/proc/PID/cgroup, shows the paths",
			   within[0] ? within : "/", cgroups->mount);
}

/* Adds a candidate's name to a list of some. */
static void list_candidate(char *list, size_t size, unsigned nr, const char *name)
{
	size_t length = strlen(list);

	if (nr <= CANDIDATES_SHOWN)
		snprintf(list + length, size - length, "%s%.64s", nr > 1 ? ", " : "", name);
	else if (nr == CANDIDATES_SHOWN + 1)
		snprintf(list + length, size - length, ", ...");
}

int cgroups_find_container(const char *prefix, struct session_cgroup *ret, struct problem *problem)
{
	_cleanup_(cgroups_cleanup) struct cgroups *cgroups = cgroups_create();
	char candidates[CANDIDATES_SHOWN * 80] = "", found[CGROUP_NAME_MAX] = "";
	unsigned nr = 0;

	if (!cgroups->mount)
		return explain_missing_hierarchy(problem);
	for (size_t i = 0; i < cgroups->list.nr; i++) {
		const struct cgroup *group = &cgroups->list.data[i];
		const char *path = strings_text(&cgroups->paths, group->path);
		char name[CGROUP_NAME_MAX];

		if (!cgroup_name_container(strrchr(path, '/') + 1, name) || strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		/* What a container's own groups are called after lies below it. */
		if (nr && strcmp(name, found) == 0)
			continue;
		snprintf(found, sizeof(found), "%s", name);
		*ret = (struct session_cgroup){.id = group->id, .level = group->level};
		/* The full name is nobody else's prefix. */
		if (strcmp(name, prefix) == 0)
			return 0;
		list_candidate(candidates, sizeof(candidates), ++nr, name);
	}
	if (nr > 1)
		return problem_set(problem, -ENOTUNIQ, "'%s' begins the ids of %u containers (%s): give more of it",
				   prefix, nr, candidates);
	if (!nr)
		return problem_set(problem, -ENOENT,
				   "no container's id begins with '%s': `docker ps`, `podman ps`, `crictl ps` or "
				   "`machinectl` list them",
				   prefix);
	return 0;
}
