/* SPDX-License-Identifier: Apache-2.0 */
/* elf_file.h - one ELF file as libelf sees it, opened with the ceilings that libelf and libdw lack; private. */
#ifndef EBPROF_SYMBOLIZE_ELF_FILE_H
#define EBPROF_SYMBOLIZE_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts.h"

struct Elf;
struct Elf_Scn;

struct elf_file {
	struct Elf *elf;
	int fd;       /* owned, -1 = borrowed or in memory */
	void *memory; /* owned image of a file in memory */
};

/* A section with bytes in the file. */
struct elf_section {
	struct Elf_Scn *scn;
	uint64_t file_addr; /* sh_addr, 0 = not loaded */
	uint64_t size;      /* as stored, maybe compressed */
	uint32_t type;
	uint32_t link;       /* sh_link */
	uint32_t entry_size; /* sh_entsize, cut */
};

/*
 * Reads fd with pread; it stays the caller's. -ENOEXEC: no ELF file that libelf takes; -E2BIG, -EBADMSG: its section
 * headers are beyond use.
 */
int elf_file_open(int fd, struct elf_file *ret);
/* As above; takes ownership of fd, also on error. */
int elf_file_open_owned(int fd, struct elf_file *ret);
/* Takes ownership of image (from malloc), also on error. */
int elf_file_open_memory(void *image, size_t size_bytes, struct elf_file *ret);
void elf_file_close(struct elf_file *file);

/* The first section of that name that has bytes (not SHT_NOBITS, not empty). */
bool elf_file_section(const struct elf_file *file, const char *name, struct elf_section *ret);
/* The first section of that type that has bytes. */
bool elf_file_section_of_type(const struct elf_file *file, uint32_t type, struct elf_section *ret);
/* Its bytes as stored, borrowed until the file is closed; NULL when unreadable. */
const void *elf_section_bytes(const struct elf_section *section, size_t *size_ret);

/* What it will take in memory, by its own account; reads it when it is packed. is_gnu: in the form of .zdebug_*. */
uint64_t elf_section_unpacked_size(const struct elf_section *section, bool is_gnu);

/* Compares the file's build-id with one that may have been cut to BUILD_ID_MAX bytes. */
bool elf_file_has_build_id(const struct elf_file *file, const uint8_t *build_id, size_t size_bytes);

/* p_vaddr of the first PT_LOAD; false when there is none. */
bool elf_file_load_addr(const struct elf_file *file, uint64_t *ret);

/* Whether libdw may open the file: it unpacks all debug sections at once, at the sizes that they claim. */
bool elf_file_debug_fits(const struct elf_file *file);

/* DWARF with units is inside. */
bool elf_file_has_debug_info(const struct elf_file *file);

#endif
