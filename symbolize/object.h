/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - an ELF file, given as a descriptor.
 *
 * This library never opens a path: what it needs beside the file itself (a separate debug file) it asks for through
 * a callback. It knows files and addresses; no processes, no policy; it never prints. Everything it reads is
 * treated as hostile: sizes, counts and offsets are checked against the file before use, and a broken part of a
 * file costs that part.
 *
 * Address spaces: `file_addr` is an ELF virtual address as in p_vaddr and st_value; `module offset` is file_addr
 * minus object_info.base_addr.
 */
#ifndef EBPROF_SYMBOLIZE_OBJECT_H
#define EBPROF_SYMBOLIZE_OBJECT_H

#include "facts.h"

struct object;

/* A related file that the library asks its user for. */
enum related_kind {
	RELATED_BUILD_ID,  /* the debug file of this build-id */
	RELATED_DEBUGLINK, /* the debug file of this name and CRC, beside the object or under the usual roots */
	RELATED_ALT,       /* the dwz alternate file of this name and build-id */
};
struct related_file {
	enum related_kind kind;
	const char *name; /* file name as the object has it; NULL for RELATED_BUILD_ID */
	const uint8_t *build_id;
	size_t build_id_size;
	uint32_t crc;
};

/*
 * Returns a descriptor, which the library then owns, or a negative errno (-ENOENT: there is none). May be called
 * several times for the same file. The library checks build-id or CRC itself.
 */
typedef int (*related_open_fn)(const struct related_file *file, void *context);

/*
 * Takes ownership of fd (closed by object_destroy, also on error). related may be NULL. The file is read with pread,
 * never mapped: its owner may truncate it at any time.
 * -ENOEXEC: not an ELF file; -EBADMSG: its headers contradict themselves or the file's size; -EIO and others: reading
 * failed.
 */
int object_create(int fd, related_open_fn related, void *context, struct object **ret);
void object_destroy(struct object *object);

/* Borrowed, lives as long as the object. */
const struct object_info *object_info(const struct object *object);

#endif
