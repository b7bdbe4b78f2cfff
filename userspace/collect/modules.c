/* SPDX-License-Identifier: Apache-2.0 */
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "message.h"
#include "sample.h"

/* Keys are compared as bytes, so both are packed. */
struct build_id_key {
	uint8_t size;
	uint8_t bytes[BUILD_ID_MAX];
};
struct inode_key {
	uint64_t inode;
	uint32_t major, minor;
};

enum { VDSO_MAX = 64 << 10, PAGE_BYTES = 4096, PATH_BYTES = 4096 };

void modules_init(struct modules *modules, struct reader *reader, uint32_t max)
{
	memset(modules, 0, sizeof(*modules));
	modules->reader = reader;
	modules->max = max < MODULES_MAX ? max : MODULES_MAX;
	modules->vdso = NO_MODULE;
	modules->vdso_32bit = NO_MODULE;
	table_init(&modules->build_ids, sizeof(struct build_id_key));
	table_init(&modules->inodes, sizeof(struct inode_key));
}

void modules_deinit(struct modules *modules)
{
	for (size_t i = 0; i < modules->list.nr; i++) {
		if (modules->list.data[i].fd >= 0)
			close(modules->list.data[i].fd);
		free(modules->list.data[i].path);
	}
	vector_free(&modules->list);
	table_deinit(&modules->build_ids);
	table_deinit(&modules->inodes);
}

const char *module_name(const struct module *module)
{
	const char *slash = strrchr(module->path, '/');

	return slash && slash[1] ? slash + 1 : module->path;
}

bool module_offset_of(const struct module *module, uint64_t file_offset, uint64_t *ret)
{
	if (!module->is_elf) {
		*ret = file_offset;
		return true;
	}
	for (uint32_t i = 0; i < module->info.nr_segments; i++) {
		const struct object_segment *segment = &module->info.segments[i];
		uint64_t first = segment->file_offset & ~(uint64_t)(PAGE_BYTES - 1);

		/* The kernel maps whole pages, so a mapping may begin before its segment. */
		if (file_offset >= first && file_offset < segment->file_offset + segment->file_size) {
			*ret = file_offset - segment->file_offset + segment->file_addr - module->info.base_addr;
			return true;
		}
	}
	return false;
}

static struct build_id_key build_id_key(const uint8_t *bytes, uint8_t size)
{
	struct build_id_key key = {.size = size < BUILD_ID_MAX ? size : BUILD_ID_MAX};

	memcpy(key.bytes, bytes, key.size);
	return key;
}

static int open_mapped(const struct module_source *source, struct reader *reader)
{
	char link[96];

	snprintf(link, sizeof(link), "/proc/%d/map_files/%llx-%llx", source->pid, (unsigned long long)source->start,
		 (unsigned long long)source->end);
	return reader_open(reader, link);
}

/* Through the path, believed only if it is still the same file. */
static int open_by_path(const struct module_source *source, struct reader *reader)
{
	_cleanup_free_ char *inside = memory_format("/proc/%d/root%s", source->pid, source->path);
	_cleanup_close_ int fd = source->pid ? reader_open(reader, inside) : -ENOENT;
	struct object_info info;
	struct statx status;

	/* The path was a process's that may have had another root: nothing is read for it that is not for everybody. */
	if (fd < 0) {
		fd = reader_open(reader, source->path);
		if (fd >= 0 && (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MODE, &status) ||
				!(status.stx_mode & S_IROTH)))
			return -EACCES;
	}
	if (fd < 0)
		return fd;
	if (!source->build_id_size)
		return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) == 0 &&
				       status.stx_ino == source->inode
			       ? steal_fd(fd)
			       : -ESTALE;
	struct reader_file file = {.fd = fd, .path = source->path};

	if (reader_describe(reader, &file, &info) || info.build_id_size != source->build_id_size ||
	    memcmp(info.build_id, source->build_id, info.build_id_size) != 0)
		return -ESTALE;
	return steal_fd(fd);
}

/* Adds a module for an open file, or finds it by build-id. Takes the descriptor. */
static uint32_t add_file(struct modules *modules, int fd, const char *path, bool *added)
{
	struct object_info info = {0};
	struct reader_file file = {.fd = fd, .path = path};
	int error = reader_describe(modules->reader, &file, &info);
	uint32_t id = (uint32_t)modules->list.nr;

	if (id >= modules->max) {
		modules->nr_refused++;
		close(fd);
		return NO_MODULE;
	}
	if (!error && info.build_id_size) {
		struct build_id_key key = build_id_key(info.build_id, info.build_id_size);
		uint32_t held = table_intern(&modules->build_ids, &key, id, added);

		if (!*added) {
			close(fd);
			return held;
		}
	}
	if (error) {
		memset(&info, 0, sizeof(info));
		modules->nr_unreadable += error == -EACCES || error == -EPERM;
		modules->nr_broken += error == -EBADMSG || error == -E2BIG || error == -EIO;
		message_detail("'%s' is not a usable ELF file (%s): no names and no unwind rows from it", path,
			       strerror(-error));
	}
	*added = true;
	*vector_push(&modules->list) = (struct module){
		.fd = fd,
		.path = memory_strdup(path),
		.info = info,
		.is_elf = !error,
		.is_lost = reader_lost(error),
	};
	return id;
}

/* The vdso is no file: our own copy is everybody's (of 64-bit processes on this kernel). */
static int vdso_file(void)
{
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
	_cleanup_close_ int fd = memfd_create("[vdso]", MFD_CLOEXEC);
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end, size = 0;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start == (unsigned long)vdso)
			size = end - start;
	if (maps)
		fclose(maps);
	if (fd < 0 || !vdso || !size || size > VDSO_MAX || write(fd, vdso, size) != (ssize_t)size)
		return -ENOENT;
	return steal_fd(fd);
}

/* That of a 32-bit process, from its memory. */
static int vdso_file_of(const struct module_source *source)
{
	_cleanup_close_ int fd = memfd_create("[vdso]", MFD_CLOEXEC);
	size_t size = (size_t)(source->end - source->start);
	_cleanup_free_ void *bytes = size <= VDSO_MAX ? memory_zalloc(size, 1) : NULL;
	struct iovec local = {.iov_base = bytes, .iov_len = size};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)source->start, .iov_len = size};

	if (fd < 0 || !bytes || process_vm_readv(source->pid, &local, 1, &remote, 1, 0) != (ssize_t)size ||
	    write(fd, bytes, size) != (ssize_t)size)
		return -ENOENT;
	return steal_fd(fd);
}

static uint32_t find_vdso_32bit(struct modules *modules, const struct module_source *source, bool *added)
{
	if (modules->vdso_32bit == NO_MODULE && source->pid) {
		int fd = vdso_file_of(source);

		if (fd >= 0)
			modules->vdso_32bit = add_file(modules, fd, "[vdso]", added);
	}
	return modules->vdso_32bit;
}

static uint32_t find_vdso(struct modules *modules, bool *added)
{
	if (modules->vdso == NO_MODULE) {
		int fd = vdso_file();

		if (fd >= 0)
			modules->vdso = add_file(modules, fd, "[vdso]", added);
	}
	return modules->vdso;
}

static bool find_known(const struct modules *modules, const struct module_source *source, uint32_t *ret)
{
	if (source->build_id_size) {
		struct build_id_key key = build_id_key(source->build_id, source->build_id_size);

		return table_get(&modules->build_ids, &key, ret);
	}
	struct inode_key key = {.inode = source->inode, .major = source->major, .minor = source->minor};

	return source->inode && table_get(&modules->inodes, &key, ret);
}

static void remember_inode(struct modules *modules, const struct module_source *source, uint32_t id)
{
	struct inode_key key = {.inode = source->inode, .major = source->major, .minor = source->minor};

	if (source->inode)
		table_put(&modules->inodes, &key, id);
}

bool modules_is_anonymous(const char *path)
{
	return strncmp(path, "//anon", 6) == 0 || strcmp(path, "/dev/zero") == 0;
}

uint32_t modules_find(struct modules *modules, const struct module_source *source, bool *added)
{
	uint32_t id;

	*added = false;
	if (strcmp(source->path, "[vdso]") == 0)
		return source->end <= UINT32_MAX ? find_vdso_32bit(modules, source, added) : find_vdso(modules, added);
	if (source->path[0] != '/' || modules_is_anonymous(source->path))
		return NO_MODULE;
	if (find_known(modules, source, &id))
		return id;
	if (modules->list.nr >= modules->max) {
		modules->nr_refused++;
		return NO_MODULE;
	}
	int fd = source->pid ? open_mapped(source, modules->reader) : -ESRCH;

	if (fd < 0)
		fd = open_by_path(source, modules->reader);
	if (fd < 0) {
		modules->nr_unreadable += !reader_lost(fd);
		message_detail("cannot open '%s' as mapped by process %d (%s)", source->path, source->pid,
			       strerror(-fd));
		/* A device stays one; a process may map it at each of its pages. */
		if (fd == -EINVAL)
			remember_inode(modules, source, NO_MODULE);
		return NO_MODULE;
	}
	id = add_file(modules, fd, source->path, added);
	remember_inode(modules, source, id);
	return id;
}

/* The path of an open file, as the kernel has it: whoever serves its file system isn't asked. */
static int path_of_handle(int fd, char ret[PATH_BYTES])
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, ret, PATH_BYTES - 1);

	if (length < 0)
		return -errno;
	ret[length] = '\0';
	return 0;
}

uint32_t modules_add_path(struct modules *modules, const char *path, bool for_caller, bool *added)
{
	char full[PATH_BYTES];
	struct module_source source = {.path = full};
	struct statx status;

	*added = false;
	if (modules->list.nr >= modules->max)
		return NO_MODULE;
	_cleanup_close_ int handle =
		for_caller ? reader_open_for_caller(modules->reader, path) : reader_open(modules->reader, path);

	if (handle < 0 || path_of_handle(handle, full))
		return NO_MODULE;
	int fd = steal_fd(handle);

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) == 0) {
		source.inode = status.stx_ino;
		source.major = status.stx_dev_major;
		source.minor = status.stx_dev_minor;
	}
	uint32_t id = add_file(modules, fd, full, added);

	/* A file without a build-id would be taken for another one when it is mapped. */
	if (id != NO_MODULE)
		remember_inode(modules, &source, id);
	return id;
}
