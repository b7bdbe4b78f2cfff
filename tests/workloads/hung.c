/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hung.c - executes code of a file whose file system stops answering.
 *
 * hung SECONDS lookup|open|read|close: serves a file system of one file by /dev/fuse, maps a page of code of it, and from then
 * on leaves every request of that kind (and what would come after it) without an answer. "mounted PATH", "ready", and
 * at the end "spun NANOSECONDS" of CPU time in the code. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "work.h"

enum { FILE_NODE = 2, FILE_BYTES = 1 << 20, CODE_AT = 64 << 10, REQUEST_BYTES = 1 << 20 };

/* mov ecx, 100000; loop: dec ecx; jnz loop; ret */
static const unsigned char code[] = {0xb9, 0xa0, 0x86, 0x01, 0x00, 0xff, 0xc9, 0x75, 0xfc, 0xc3};

/* Set for the server, which is a process of its own: opcode that is left without an answer. */
static volatile unsigned int *mute;

static void answer(int device, const struct fuse_in_header *request, int error, const void *data, size_t size)
{
	static char reply[sizeof(struct fuse_out_header) + FILE_BYTES];
	struct fuse_out_header head = {
		.len = (unsigned int)(sizeof(head) + (error ? 0 : size)), .error = -error, .unique = request->unique};

	memcpy(reply, &head, sizeof(head));
	if (!error && size)
		memcpy(reply + sizeof(head), data, size);
	if (write(device, reply, head.len) < 0 && errno != ENOENT)
		_exit(1);
}

static struct fuse_attr attributes_of(unsigned long long node)
{
	struct fuse_attr attributes = {.ino = node, .nlink = 1, .blksize = 4096};

	attributes.mode = node == FILE_NODE ? S_IFREG | 0755 : S_IFDIR | 0755;
	attributes.size = node == FILE_NODE ? FILE_BYTES : 0;
	return attributes;
}

static void answer_read(int device, const struct fuse_in_header *request, const struct fuse_read_in *read_in)
{
	static char content[FILE_BYTES];
	size_t size = read_in->size;

	memcpy(content + CODE_AT, code, sizeof(code));
	if (read_in->offset >= FILE_BYTES)
		size = 0;
	else if (size > FILE_BYTES - read_in->offset)
		size = FILE_BYTES - read_in->offset;
	answer(device, request, 0, content + read_in->offset, size);
}

static void serve_one(int device, const struct fuse_in_header *request)
{
	struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
	struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = attributes_of(FILE_NODE)};
	struct fuse_attr_out attributes = {.attr = attributes_of(request->nodeid)};
	struct fuse_open_out opened = {.open_flags = FOPEN_KEEP_CACHE};

	switch (request->opcode) {
	case FUSE_INIT:
		answer(device, request, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		answer(device, request, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		answer(device, request, 0, &attributes, sizeof(attributes));
		break;
	case FUSE_OPEN:
		answer(device, request, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		answer_read(device, request, (const struct fuse_read_in *)(request + 1));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(device, request, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(device, request, ENOSYS, NULL, 0);
	}
}

static void serve(int device)
{
	static char buffer[REQUEST_BYTES];
	const struct fuse_in_header *request = (const struct fuse_in_header *)buffer;

	while (read(device, buffer, sizeof(buffer)) >= (ssize_t)sizeof(*request))
		if (!*mute || request->opcode != *mute)
			serve_one(device, request);
	_exit(0);
}

static unsigned int opcode_of(const char *name)
{
	if (strcmp(name, "lookup") == 0)
		return FUSE_LOOKUP;
	return strcmp(name, "open") == 0 ? FUSE_OPEN : strcmp(name, "read") == 0 ? FUSE_READ : FUSE_FLUSH;
}

static pid_t mount_file(char *folder)
{
	int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[100];

	if (device < 0 || !mkdtemp(folder))
		return -1;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
	if (mount("hung", folder, "fuse", MS_NOSUID | MS_NODEV, options))
		return -1;
	pid_t server = fork();

	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(device);
	}
	close(device);
	return server;
}

static void (*map_code(const char *folder))(void)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/program", folder);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	void *mapped = file < 0 ? MAP_FAILED
				: mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_POPULATE, file, CODE_AT);

	if (file >= 0)
		close(file);
	return mapped == MAP_FAILED ? NULL : (void (*)(void))mapped;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/ebprof-hung-XXXXXX";

	if (argc != 3)
		return 2;
	mute = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t server = mount_file(folder);
	void (*spin)(void) = server > 0 ? map_code(folder) : NULL;

	if (spin) {
		*mute = opcode_of(argv[2]);
		printf("mounted %s/program\nready\n", folder);
		fflush(stdout);
		uint64_t end_ns = thread_cpu_ns() + (uint64_t)(atof(argv[1]) * 1e9);

		while (thread_cpu_ns() < end_ns)
			spin();
	}
	umount2(folder, MNT_DETACH);
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	rmdir(folder);
	return spin ? 0 : 77;
}
