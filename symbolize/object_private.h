/* SPDX-License-Identifier: Apache-2.0 */
/* object_private.h - what the rest of symbolize/ may ask of an object; not for its users. */
#ifndef EBPROF_SYMBOLIZE_OBJECT_PRIVATE_H
#define EBPROF_SYMBOLIZE_OBJECT_PRIVATE_H

#include "object.h"

/* Borrowed descriptor of the file. */
int object_fd(const struct object *object);
uint64_t object_file_size(const struct object *object);

/* Reads exactly size bytes at a file offset: 0, -EBADMSG when that is outside the file, or -errno. */
int object_read(const struct object *object, uint64_t offset, void *buffer, size_t size);

/*
 * The first offset from this one on that isn't in a hole of the file; the file's size when there is none. Nothing but zeros
 * is in between. Where a file system can't tell, there are no holes.
 */
uint64_t object_next_data(const struct object *object, uint64_t offset);

/* The bytes at a file_addr inside a PT_LOAD (any of them), as object_read. */
int object_read_addr(const struct object *object, uint64_t file_addr, void *buffer, size_t size);

/* Asks the object's callback; -ENOENT where there is none. The descriptor is the caller's. */
int object_related(const struct object *object, const struct related_file *file);

/* A program header, of either ELF class. Its part of the file may lie outside of the file: object_read checks. */
struct object_program_header {
	uint32_t type;	/* PT_* */
	uint32_t flags; /* PF_* */
	uint64_t file_offset;
	uint64_t file_addr;
	uint64_t file_size;
	uint64_t size; /* file_addr + size doesn't overflow */
	uint64_t align;
};

/* A section header, of either ELF class. */
struct object_section {
	uint32_t name;	/* offset in the table of section names */
	uint32_t type;	/* SHT_*; SHT_NOBITS: no bytes in this file */
	uint64_t flags; /* SHF_* */
	uint64_t file_offset;
	uint64_t file_addr; /* 0: not loaded */
	uint64_t size;	    /* in the file */
};

/* The first program header of this type, or NULL; borrowed. */
const struct object_program_header *object_find_header(const struct object *object, uint32_t type);

/* The program header of this type that comes after `after` (NULL: the first one), or NULL; borrowed. */
const struct object_program_header *object_next_header(const struct object *object, uint32_t type,
						       const struct object_program_header *after);

/* The PT_LOAD that holds a file_addr in its part of the file, or NULL; borrowed. */
const struct object_program_header *object_find_load(const struct object *object, uint64_t file_addr);

/* The section of this name that comes after `after` (NULL: the first one), or NULL; borrowed. */
const struct object_section *object_find_section(const struct object *object, const char *name,
						 const struct object_section *after);

/* The section that comes after `after` (NULL: the first one), or NULL; borrowed. */
const struct object_section *object_next_section(const struct object *object, const struct object_section *after);

/* Whether there are section headers at all. */
bool object_has_sections(const struct object *object);

#endif
