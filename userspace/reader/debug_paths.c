/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_paths.c - under which names may the debug file of an object be lying?
 *
 * Candidates, in this order (gdb's conventions, which distributions install for):
 *   build-id           ROOT/.build-id/ab/cdef.debug
 *   debuglink NAME     DIR/NAME, DIR/.debug/NAME, ROOT/DIR/NAME      with DIR the object's folder
 *   alternate NAME     NAME; or beside the file that names it; ROOT/.dwz/NAME; by build-id
 *
 * Names come out of files that anybody may have written, so what is opened with our rights is limited: a debuglink
 * is one path component, and only regular files are accepted (O_NONBLOCK: opening a FIFO must not hang us). Whether
 * the file belongs to the object is for the library to prove.
 */
#include "debug_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"

void debug_paths_init(struct debug_paths *paths, const char *root, const char *object_path)
{
	*paths = (struct debug_paths){.root = root, .object_path = object_path ? object_path : ""};
}

void debug_paths_deinit(struct debug_paths *paths)
{
	free(paths->last_path);
	paths->last_path = NULL;
}

/* Takes ownership of path. */
static int candidate_open(struct debug_paths *paths, char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		free(path);
		return -ENOENT;
	}
	free(paths->last_path);
	paths->last_path = path;
	return steal_fd(fd);
}

static int open_build_id(struct debug_paths *paths, const uint8_t *build_id, size_t size)
{
	char hex[2 * BUILD_ID_MAX + 1];

	if (size < 2 || size > BUILD_ID_MAX)
		return -ENOENT;
	for (size_t i = 0; i < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", build_id[i]);
	return candidate_open(paths, memory_format("%s/.build-id/%.2s/%s.debug", paths->root, hex, hex + 2));
}

static bool is_component(const char *name)
{
	return name && name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Length of the folder part of a path, without its last slash; "/file" and "file" have none. */
static int folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) : 0;
}

static int open_debuglink(struct debug_paths *paths, const char *name)
{
	const char *object = paths->object_path;
	int length = folder_length(object);
	int fd;

	if (!is_component(name) || object[0] != '/')
		return -ENOENT;
	/* "strip -g" in place leaves the object's own name: the object itself never is its debug file. */
	fd = strcmp(object + length + 1, name) != 0
		     ? candidate_open(paths, memory_format("%.*s/%s", length, object, name))
		     : -ENOENT;
	if (fd < 0)
		fd = candidate_open(paths, memory_format("%.*s/.debug/%s", length, object, name));
	if (fd < 0)
		fd = candidate_open(paths, memory_format("%s%.*s/%s", paths->root, length, object, name));
	return fd;
}

static int open_alt(struct debug_paths *paths, const struct related_file *file)
{
	const char *name = file->name;
	const char *from = paths->last_path ? paths->last_path : paths->object_path;
	const char *base;
	int fd = -ENOENT;

	if (name && name[0] == '/')
		fd = candidate_open(paths, memory_strdup(name));
	else if (name && name[0] && from[0] == '/')
		fd = candidate_open(paths, memory_format("%.*s/%s", folder_length(from), from, name));
	if (fd >= 0)
		return fd;
	base = name ? strrchr(name, '/') : NULL;
	base = base ? base + 1 : name;
	if (is_component(base))
		fd = candidate_open(paths, memory_format("%s/.dwz/%s", paths->root, base));
	return fd >= 0 ? fd : open_build_id(paths, file->build_id, file->build_id_size);
}

/* Takes ownership of path. */
static int private_open(struct debug_paths *paths, char *path)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int handle = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (handle < 0) {
		free(path);
		return -ENOENT;
	}
	_cleanup_free_ char *self = memory_format("/proc/self/fd/%d", handle);
	int fd = candidate_open(paths, memory_strdup(self));

	if (fd < 0) {
		free(path);
		return fd;
	}
	free(paths->last_path);
	paths->last_path = path;
	return fd;
}

int debug_paths_open_private(const struct related_file *file, struct debug_paths *paths)
{
	static const char ending[] = ".debug";
	const char *object = paths->object_path, *name = file->name;
	size_t length = name ? strlen(name) : 0;

	if (file->kind != RELATED_DEBUGLINK || !is_component(name) || object[0] != '/' || length < sizeof(ending) - 1 ||
	    strcmp(name + length - (sizeof(ending) - 1), ending) != 0)
		return -ENOENT;
	int folder = folder_length(object);
	int fd = private_open(paths, memory_format("%.*s/%s", folder, object, name));

	return fd >= 0 ? fd : private_open(paths, memory_format("%.*s/.debug/%s", folder, object, name));
}

int debug_paths_open(const struct related_file *file, void *context)
{
	struct debug_paths *paths = context;

	switch (file->kind) {
	case RELATED_BUILD_ID:
		return open_build_id(paths, file->build_id, file->build_id_size);
	case RELATED_DEBUGLINK:
		return open_debuglink(paths, file->name);
	case RELATED_ALT:
		return open_alt(paths, file);
	}
	return -ENOENT;
}
