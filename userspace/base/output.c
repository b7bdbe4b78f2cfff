/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.c - how an output file becomes whole at once.
 *
 *     .NAME.xxxxxx  --write, fsync-->  link NAME to NAME.old  -->  rename over NAME  -->  fsync the folder
 *
 * NAME exists and is whole at every moment: the earlier file gets its second name first, and the rename is atomic. Only
 * where the file system has no hard links is NAME missing for an instant between two renames.
 *
 * Everything is done relative to a descriptor of the folder, opened once, so that a folder renamed meanwhile does not
 * matter, and with O_NOFOLLOW, so that a link planted in a shared folder leads nowhere. What is not a regular file is
 * looked at before opening (opening a device can have effects) and again after (it may have been exchanged).
 *
 * A signal handler may have to remove temporary files, so their names live in a fixed table whose entries are published
 * by one store. Entries are made and dropped on one thread; the handler only reads.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "memory.h"
#include "text.h"

enum {
	TEMPORARIES_MAX = 8,
	TEMPORARY_TRIES = 100,
	RESERVE_BYTES = 4096, /* asked of the file system at once: a full disk shows before the work */
	NAME_KEPT = 200,      /* bytes of the name in the temporary one, which has its limit too */
	PATH_SHOWN = 200,
};

struct temporary {
	int used; /* atomic: a handler on any thread may read it at any time */
	int folder_fd;
	char name[NAME_MAX + 1];
};
static struct temporary temporaries[TEMPORARIES_MAX];

struct output {
	int fd;
	bool is_direct; /* a device, a FIFO, standard output: no temporary file */
	int folder_fd;
	char *path; /* as given, for messages */
	char *name; /* last part of path */
	struct temporary *temporary;
};

void output_abandon_all(void)
{
	for (size_t i = 0; i < TEMPORARIES_MAX; i++) {
		if (__atomic_load_n(&temporaries[i].used, __ATOMIC_ACQUIRE))
			unlinkat(temporaries[i].folder_fd, temporaries[i].name, 0);
	}
}

static int path_problem(struct problem *problem, int code, const char *path, const char *what)
{
	char shown[PATH_SHOWN];

	if (strcmp(path, "-") == 0)
		return problem_set(problem, code, "cannot write to standard output: %s", what);
	return problem_set(problem, code, "cannot write '%s': %s", text_printable_path(path, shown, sizeof(shown)),
			   what);
}

static const char *errno_advice(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return "the disk is full: free some space or name another folder with -o";
	case EROFS:
		return "the file system is read-only: name another folder with -o";
	case EACCES:
	case EPERM:
		return "no permission: name another folder with -o";
	case ENOENT:
		return "there is no such folder";
	case ENOTDIR:
		return "a part of the path is not a folder";
	case EPIPE:
		return "its reader has gone";
	default:
		return strerror(error);
	}
}

/* Opens the folder of path and keeps its last part. */
static int open_folder(struct output *output, const char *path, struct problem *problem)
{
	const char *slash = strrchr(path, '/');

	output->name = memory_strdup(slash ? slash + 1 : path);
	if (!output->name[0] || strcmp(output->name, ".") == 0 || strcmp(output->name, "..") == 0)
		return path_problem(problem, -EISDIR, path, "it is a folder: give the name of a file");
	if (strlen(output->name) + strlen(".old") > NAME_MAX)
		return path_problem(problem, -ENAMETOOLONG, path, "the name is too long");
	_cleanup_free_ char *folder = slash ? memory_strdup(path) : memory_strdup(".");

	if (slash)
		folder[slash == path ? 1 : slash - path] = 0;
	output->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->folder_fd < 0)
		return path_problem(problem, -errno, path, errno_advice(errno));
	return 0;
}

/* Under sudo, the file is the caller's. */
static int give_to_caller(int fd)
{
	const char *uid_text = getenv("SUDO_UID"), *gid_text = getenv("SUDO_GID");
	long long uid, gid;

	if (geteuid() != 0 || !uid_text || !gid_text)
		return 0;
	if (!text_parse_integer(uid_text, &uid) || !text_parse_integer(gid_text, &gid) || uid >= UINT32_MAX ||
	    gid >= UINT32_MAX)
		return 0;
	/* EPERM and EINVAL: a file system without owners, or a container that has no such user. */
	if (fchown(fd, (uid_t)uid, (gid_t)gid) < 0 && errno != EPERM && errno != EINVAL)
		return -errno;
	return 0;
}

static struct temporary *temporary_claim(void)
{
	for (size_t i = 0; i < TEMPORARIES_MAX; i++) {
		if (!temporaries[i].used)
			return &temporaries[i];
	}
	return NULL;
}

/* Writes ".NAME." and six random characters. */
static void temporary_name(const char *name, char ret[NAME_MAX + 1])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz012345"; /* 32: no bias, 30 random bits */
	uint8_t random[6];
	int length = snprintf(ret, NAME_MAX + 1, ".%.*s.", NAME_KEPT, name);

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 0, sizeof(random)); /* O_EXCL is what protects; the name only avoids tries */
	for (size_t i = 0; i < sizeof(random); i++)
		ret[length++] = alphabet[random[i] % 32];
	ret[length] = 0;
}

static int open_temporary(struct output *output, const char *path, struct problem *problem)
{
	struct temporary *temporary = temporary_claim();

	if (!temporary)
		return path_problem(problem, -EMFILE, path, "too many outputs are open");
	for (int i = 0; i < TEMPORARY_TRIES; i++) {
		temporary_name(output->name, temporary->name);
		output->fd = openat(output->folder_fd, temporary->name,
				    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (output->fd >= 0 || errno != EEXIST)
			break;
	}
	if (output->fd < 0)
		return path_problem(problem, -errno, path, errno_advice(errno));
	temporary->folder_fd = output->folder_fd;
	__atomic_store_n(&temporary->used, 1, __ATOMIC_RELEASE);
	output->temporary = temporary;

	int error = give_to_caller(output->fd);

	if (error)
		return path_problem(problem, error, path, errno_advice(-error));
	/* Other errors only say that this file system cannot reserve. */
	if (fallocate(output->fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE_BYTES) < 0 && (errno == ENOSPC || errno == EDQUOT))
		return path_problem(problem, -errno, path, errno_advice(errno));
	return 0;
}

static int open_direct(struct output *output, const char *path, mode_t type, struct problem *problem)
{
	struct stat stat;

	output->is_direct = true;
	output->fd = openat(output->folder_fd, output->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	if (output->fd < 0 || fstat(output->fd, &stat) < 0)
		return path_problem(problem, -errno, path, errno_advice(errno));
	if ((stat.st_mode & S_IFMT) != type)
		return path_problem(problem, -EBUSY, path, "it was exchanged while being opened");
	return 0;
}

/* By what the path names now: nothing or a regular file, something to write into directly, something refused. */
static int open_path(struct output *output, const char *path, struct problem *problem)
{
	struct stat stat;
	int error = open_folder(output, path, problem);

	if (error)
		return error;
	if (fstatat(output->folder_fd, output->name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return open_temporary(output, path, problem);
		return path_problem(problem, -errno, path, errno_advice(errno));
	}
	switch (stat.st_mode & S_IFMT) {
	case S_IFREG:
		return open_temporary(output, path, problem);
	case S_IFIFO:
	case S_IFCHR:
		return open_direct(output, path, stat.st_mode & S_IFMT, problem);
	case S_IFLNK:
		return path_problem(problem, -ELOOP, path, "it is a symbolic link: name the file that it points to");
	case S_IFDIR:
		return path_problem(problem, -EISDIR, path, "it is a folder: give the name of a file");
	default:
		return path_problem(problem, -EINVAL, path, "it is neither a file nor a pipe nor a character device");
	}
}

static int open_stdout(struct output *output, struct problem *problem)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	output->is_direct = true;
	/* What was closed when ebprof started has been filled with a descriptor that cannot be written to. */
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return path_problem(problem, -EBADF, "-", "it is closed: redirect it, or name a file with -o");
	output->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (output->fd < 0)
		return path_problem(problem, -errno, "-", strerror(errno));
	return 0;
}

int output_create(const char *path, struct output **ret, struct problem *problem)
{
	struct output *output = memory_new(struct output);
	int error;

	output->fd = -1;
	output->folder_fd = -1;
	output->path = memory_strdup(path);
	if (strcmp(path, "-") == 0)
		error = open_stdout(output, problem);
	else
		error = open_path(output, path, problem);
	if (error) {
		output_destroy(output);
		return error;
	}
	*ret = output;
	return 0;
}

void output_destroy(struct output *output)
{
	if (!output)
		return;
	if (output->temporary) {
		unlinkat(output->folder_fd, output->temporary->name, 0);
		__atomic_store_n(&output->temporary->used, 0, __ATOMIC_RELEASE);
	}
	if (output->fd >= 0)
		close(output->fd);
	if (output->folder_fd >= 0)
		close(output->folder_fd);
	free(output->name);
	free(output->path);
	free(output);
}

int output_write(struct output *output, const void *data, size_t size_bytes)
{
	const char *bytes = data;

	while (size_bytes) {
		ssize_t written = write(output->fd, bytes, size_bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes += written;
		size_bytes -= (size_t)written;
	}
	return 0;
}

/* Gives an earlier regular file the name NAME.old; *moved_ret when it lost the name NAME by that. */
static int keep_earlier(struct output *output, const char *old_name, bool *moved_ret)
{
	struct stat stat;
	int folder = output->folder_fd;

	*moved_ret = false;
	if (fstatat(folder, output->name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(stat.st_mode))
		return 0;
	if (unlinkat(folder, old_name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (linkat(folder, output->name, folder, old_name, 0) == 0)
		return 0;
	if (renameat(folder, output->name, folder, old_name) < 0)
		return -errno;
	*moved_ret = true;
	return 0;
}

static int replace(struct output *output, struct problem *problem)
{
	_cleanup_free_ char *old_name = memory_format("%s.old", output->name);
	bool moved;
	int error = keep_earlier(output, old_name, &moved);

	if (error) {
		char shown[PATH_SHOWN];

		return problem_set(problem, error, "cannot keep the earlier '%s' as .old: %s",
				   text_printable_path(output->path, shown, sizeof(shown)), strerror(-error));
	}
	if (renameat(output->folder_fd, output->temporary->name, output->folder_fd, output->name) < 0) {
		error = -errno;
		if (moved)
			renameat(output->folder_fd, old_name, output->folder_fd, output->name);
		return path_problem(problem, error, output->path, errno_advice(-error));
	}
	__atomic_store_n(&output->temporary->used, 0, __ATOMIC_RELEASE);
	output->temporary = NULL;
	return 0;
}

/* The bytes, the names, then the folder: each has to be on disk before the next makes sense. */
static int finish(struct output *output, struct problem *problem)
{
	int error;

	if (output->is_direct)
		return 0;
	if (fsync(output->fd) < 0)
		return path_problem(problem, -errno, output->path, errno_advice(errno));
	error = replace(output, problem);
	if (error)
		return error;
	/* The file is there and whole; a file system that cannot sync a folder (EINVAL) is no reason to say otherwise.
	 */
	if (fsync(output->folder_fd) < 0 && errno != EINVAL)
		return path_problem(problem, -errno, output->path, errno_advice(errno));
	return 0;
}

int output_commit(struct output *output, struct problem *problem)
{
	int error = finish(output, problem);

	output_destroy(output);
	return error;
}

int output_problem(const struct output *output, int error, struct problem *problem)
{
	return path_problem(problem, error, output->path, errno_advice(-error));
}
