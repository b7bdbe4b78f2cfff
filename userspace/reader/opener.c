/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opener.c - how are foreign files opened if opening one, or closing it, may never come back?
 *
 * A file system that a user serves (FUSE), or a network's, is asked by the kernel to look up, open and flush files, and
 * while it doesn't answer, whoever called is stuck, sometimes beyond SIGKILL. So the agent holds handles only, which
 * ask for nothing, and this process, which can be given up at any time, does the rest: it opens the file that the agent
 * means and passes it to the reader, which has no rights of its own. It never reads a byte of a file.
 *
 * It says when it has closed its own copy, and the reader ends no answer before that: if the close hangs, it is this
 * file's question that runs into its deadline, not the next one's.
 *
 * Related files are asked for by the reader, which may be in anybody's hands by then. So they are opened with the
 * rights of the user who called sudo, or else of nobody; with root's only what is a debug file by its name and lies
 * beside the object itself. And only regular files, at the places where debug files are (debug_paths.c), and some per
 * question.
 */
#include "opener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debug_paths.h"
#include "memory.h"
#include "messages.h"
#include "text.h"
#include "wire.h"

enum { STUCK_SECONDS = 120 }; /* longer than any deadline of the agent's: an opener that it could not end goes then */

static const struct wire_wait patient = {.deadline_ns = WIRE_NO_DEADLINE, .cancel_fd = -1};

struct opener {
	int agent, reader;
	char path[PATH_BYTES_MAX]; /* of the question at hand */
	struct debug_paths paths;
	uint32_t nr_related;
	/* Whose rights are used: for the agent's files, for what it looks for on a file's word, and for the reader's.
	 */
	uid_t own_uid, caller_uid, related_uid;
	gid_t own_gid, caller_gid, related_gid;
};

int opener_open_path(const char *path)
{
	_cleanup_close_ int handle = open(path, O_PATH | O_CLOEXEC);
	struct statx status;

	if (handle < 0)
		return -errno;
	/* What the kernel knows already: a file's type never changes, and nobody has to be asked. */
	if (statx(handle, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status))
		return -errno;
	return S_ISREG(status.stx_mode) ? steal_fd(handle) : -EINVAL;
}

int opener_open_handle(int handle)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", handle);
	int fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		return fd;
	int error = errno;

	/* A descriptor that is open for reading already may be of a file that can't be opened again. */
	if ((fcntl(handle, F_GETFL) & (O_PATH | O_ACCMODE)) == O_RDONLY)
		fd = fcntl(handle, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -error : fd;
}

/* Passes a file (or a negative errno) to the reader, lets go of it, and says so. */
static int give_reader(const struct opener *opener, int file)
{
	struct opener_reply reply = {.error = file < 0 ? file : 0};
	int error = wire_send_with_fd(opener->reader, &reply, sizeof(reply), file < 0 ? -1 : file, &patient);

	if (file >= 0)
		close(file);
	reply.error = 0;
	return error ? error : wire_send(opener->reader, &reply, sizeof(reply), &patient);
}

/* The file system's idea of who we are; giving up root's takes its capabilities for files along. */
static void use_rights(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
}

/*
 * A handle of a file that the caller may read. A handle alone asks for no right to read, so the file is opened as well;
 * who exchanges it between the two gains nothing.
 */
static int open_for_caller(const struct opener *opener, const char *path)
{
	struct stat named = {0}, opened = {0};

	use_rights(opener->caller_uid, opener->caller_gid);
	_cleanup_close_ int handle = opener_open_path(path);
	_cleanup_close_ int file = handle < 0 ? handle : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error = handle < 0 ? handle : file < 0 ? -errno : 0;

	use_rights(opener->own_uid, opener->own_gid);
	if (!error && (fstat(handle, &named) || fstat(file, &opened)))
		error = -errno;
	if (!error && (named.st_dev != opened.st_dev || named.st_ino != opened.st_ino))
		error = -ESTALE;
	return error ? error : steal_fd(handle);
}

static int serve_agent(struct opener *opener)
{
	struct opener_request request;
	_cleanup_close_ int handle = -1;
	int error = wire_receive_with_fd(opener->agent, &request, sizeof(request), &handle, &patient);

	if (error)
		return error;
	if (!request.path_size || request.path_size > sizeof(opener->path))
		return -EPROTO;
	char path[PATH_BYTES_MAX];

	error = wire_receive(opener->agent, path, request.path_size, &patient);
	if (error)
		return error;
	path[request.path_size - 1] = 0;
	if (request.kind == OPENER_FILE) {
		memcpy(opener->path, path, request.path_size);
		debug_paths_deinit(&opener->paths);
		debug_paths_init(&opener->paths, DEBUG_ROOT, opener->path);
		opener->nr_related = 0;
		return give_reader(opener, handle < 0 ? -EBADF : opener_open_handle(handle));
	}
	_cleanup_close_ int opened =
		request.kind == OPENER_CALLER ? open_for_caller(opener, path) : opener_open_path(path);
	struct opener_reply reply = {.error = opened < 0 ? opened : 0};

	return wire_send_with_fd(opener->agent, &reply, sizeof(reply), opened < 0 ? -1 : opened, &patient);
}

/* A number in the environment that sudo left there; `other` without. */
static uint32_t caller_id(const char *variable, uint32_t other)
{
	const char *text = getenv(variable);
	long long id;

	return text && text_parse_integer(text, &id) && id > 0 && id < UINT32_MAX ? (uint32_t)id : other;
}

/* Who isn't root opens everything with its own rights. */
static void find_rights(struct opener *opener)
{
	bool is_root = geteuid() == 0;

	opener->own_uid = geteuid();
	opener->own_gid = getegid();
	/* Without sudo a command runs with the same rights, and could read all of this itself. */
	opener->caller_uid = is_root ? caller_id("SUDO_UID", opener->own_uid) : opener->own_uid;
	opener->caller_gid = is_root ? caller_id("SUDO_GID", opener->own_gid) : opener->own_gid;
	opener->related_uid = is_root ? caller_id("SUDO_UID", NOBODY) : opener->own_uid;
	opener->related_gid = is_root ? caller_id("SUDO_GID", NOBODY) : opener->own_gid;
	/* Root needs no groups to open files, and nobody is to have them. */
	if (is_root)
		(void)!setgroups(0, NULL);
}

static int open_related(struct opener *opener, const struct related_file *file)
{
	if (opener->nr_related++ >= RELATED_MAX)
		return -ENOENT;
	use_rights(opener->related_uid, opener->related_gid);
	int opened = debug_paths_open(file, &opener->paths);

	use_rights(opener->own_uid, opener->own_gid);
	/* A program under development often lies where only its owner may look, and so does its debug file. */
	return opened >= 0 ? opened : debug_paths_open_private(file, &opener->paths);
}

static int serve_reader(struct opener *opener)
{
	struct related_request request;
	char name[NAME_MAX_BYTES + 1];
	int error = wire_receive(opener->reader, &request, sizeof(request), &patient);

	if (error)
		return error;
	if (request.name_size > sizeof(name) || request.build_id_size > BUILD_ID_MAX || request.kind > RELATED_ALT)
		return -EPROTO;
	error = wire_receive(opener->reader, name, request.name_size, &patient);
	if (error)
		return error;
	if (request.name_size)
		name[request.name_size - 1] = 0;
	const struct related_file file = {
		.kind = (enum related_kind)request.kind,
		.name = request.name_size ? name : NULL,
		.build_id = request.build_id,
		.build_id_size = request.build_id_size,
		.crc = request.crc,
	};
	return give_reader(opener, open_related(opener, &file));
}

void opener_serve(int agent, int reader)
{
	struct opener *opener = memory_new(struct opener);
	struct pollfd fds[] = {{.fd = agent, .events = POLLIN}, {.fd = reader, .events = POLLIN}};
	int error = 0;

	opener->agent = agent;
	opener->reader = reader;
	find_rights(opener);
	debug_paths_init(&opener->paths, DEBUG_ROOT, "");
	while (!error) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			error = errno == EINTR ? 0 : -errno;
		else {
			alarm(STUCK_SECONDS);
			if (fds[0].revents)
				error = serve_agent(opener);
			if (!error && fds[1].revents)
				error = serve_reader(opener);
			alarm(0);
		}
	}
	debug_paths_deinit(&opener->paths);
	free(opener);
}
