/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.c - reads an ELF file's headers: what kind of file is this, where is its code, which build is it?
 *
 * All of it comes from the program headers, because section headers may be gone; they only add whether there is a
 * symbol table, and a build-id for files whose notes no segment covers (separate debug files). Both ELF classes are
 * converted to one form at the door, so that the mappings of 32-bit programs have segments and build-ids as well.
 *
 * Nothing that the file says is believed: tables have to lie inside of the file before they are read, and have
 * ceilings. Without readable program headers there is no way to place the file in memory, so their contradictions are
 * errors. Everything else (a segment that wraps around, notes past the end, section headers) is left out as if it
 * had not been there.
 */
#include "object_private.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "dynamic_section.h"
#include "memory.h"
#include "vector.h"

enum {
	PAGE = 4096,
	HEADERS_MAX_BYTES = 1 << 16, /* exec refuses larger tables of program headers */
	SECTIONS_MAX = 1 << 16,
	SECTION_NAMES_MAX_BYTES = 4 << 20,
	NOTES_MAX_BYTES = 1 << 16, /* of one run of notes */
	NOTE_RUNS_MAX = 64,
};

struct object {
	int fd;
	related_open_fn related;
	void *context;
	uint64_t file_size;
	bool is_64bit;
	struct object_info info;
	VECTOR(struct object_program_header) headers;
	VECTOR(struct object_section) sections;
	char *section_names; /* NUL-terminated, whatever the file says */
	size_t section_names_size;
};

int object_fd(const struct object *object)
{
	return object->fd;
}

uint64_t object_file_size(const struct object *object)
{
	return object->file_size;
}

const struct object_info *object_info(const struct object *object)
{
	return &object->info;
}

int object_read(const struct object *object, uint64_t offset, void *buffer, size_t size)
{
	uint8_t *bytes = buffer;

	if (offset > object->file_size || size > object->file_size - offset)
		return -EBADMSG;
	while (size) {
		ssize_t got = pread(object->fd, bytes, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0) /* its owner has cut it meanwhile */
			return -EBADMSG;
		bytes += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

uint64_t object_next_data(const struct object *object, uint64_t offset)
{
	off_t next = lseek(object->fd, (off_t)offset, SEEK_DATA);

	if (next < 0)
		return errno == ENXIO ? object->file_size : offset;
	return (uint64_t)next > offset ? (uint64_t)next : offset;
}

int object_read_addr(const struct object *object, uint64_t file_addr, void *buffer, size_t size)
{
	const struct object_program_header *load = object_find_load(object, file_addr);

	if (!load || size > load->file_size - (file_addr - load->file_addr))
		return -EBADMSG;
	return object_read(object, load->file_offset + (file_addr - load->file_addr), buffer, size);
}

int object_related(const struct object *object, const struct related_file *file)
{
	return object->related ? object->related(file, object->context) : -ENOENT;
}

const struct object_program_header *object_next_header(const struct object *object, uint32_t type,
						       const struct object_program_header *after)
{
	for (size_t i = after ? (size_t)(after - object->headers.data) + 1 : 0; i < object->headers.nr; i++)
		if (object->headers.data[i].type == type)
			return &object->headers.data[i];
	return NULL;
}

const struct object_program_header *object_find_header(const struct object *object, uint32_t type)
{
	return object_next_header(object, type, NULL);
}

bool object_has_sections(const struct object *object)
{
	return object->sections.nr != 0;
}

const struct object_program_header *object_find_load(const struct object *object, uint64_t file_addr)
{
	for (size_t i = 0; i < object->headers.nr; i++) {
		const struct object_program_header *header = &object->headers.data[i];

		if (header->type == PT_LOAD && file_addr >= header->file_addr &&
		    file_addr - header->file_addr < header->file_size)
			return header;
	}
	return NULL;
}

const struct object_section *object_next_section(const struct object *object, const struct object_section *after)
{
	size_t next = after ? (size_t)(after - object->sections.data) + 1 : 0;

	return next < object->sections.nr ? &object->sections.data[next] : NULL;
}

const struct object_section *object_find_section(const struct object *object, const char *name,
						 const struct object_section *after)
{
	size_t first = after ? (size_t)(after - object->sections.data) + 1 : 0;

	for (size_t i = first; i < object->sections.nr; i++) {
		const struct object_section *section = &object->sections.data[i];

		if (section->name < object->section_names_size &&
		    strcmp(object->section_names + section->name, name) == 0)
			return section;
	}
	return NULL;
}

/* The parts of the file header that are used, of either class. */
struct file_header {
	uint16_t type;
	uint16_t machine;
	uint64_t entry;
	uint64_t headers_offset;
	uint16_t nr_headers;
	uint16_t header_size;
	uint64_t sections_offset;
	uint16_t nr_sections;
	uint16_t section_size;
	uint16_t names_index;
};

#define FILE_HEADER(ehdr)                                                                                              \
	((struct file_header){                                                                                         \
		.type = (ehdr).e_type,                                                                                 \
		.machine = (ehdr).e_machine,                                                                           \
		.entry = (ehdr).e_entry,                                                                               \
		.headers_offset = (ehdr).e_phoff,                                                                      \
		.nr_headers = (ehdr).e_phnum,                                                                          \
		.header_size = (ehdr).e_phentsize,                                                                     \
		.sections_offset = (ehdr).e_shoff,                                                                     \
		.nr_sections = (ehdr).e_shnum,                                                                         \
		.section_size = (ehdr).e_shentsize,                                                                    \
		.names_index = (ehdr).e_shstrndx,                                                                      \
	})

#define PROGRAM_HEADER(phdr)                                                                                           \
	((struct object_program_header){                                                                               \
		.type = (phdr).p_type,                                                                                 \
		.flags = (phdr).p_flags,                                                                               \
		.file_offset = (phdr).p_offset,                                                                        \
		.file_addr = (phdr).p_vaddr,                                                                           \
		.file_size = (phdr).p_filesz,                                                                          \
		.size = (phdr).p_memsz,                                                                                \
		.align = (phdr).p_align,                                                                               \
	})

#define SECTION(shdr)                                                                                                  \
	((struct object_section){                                                                                      \
		.name = (shdr).sh_name,                                                                                \
		.type = (shdr).sh_type,                                                                                \
		.flags = (shdr).sh_flags,                                                                              \
		.file_offset = (shdr).sh_offset,                                                                       \
		.file_addr = (shdr).sh_addr,                                                                           \
		.size = (shdr).sh_size,                                                                                \
	})

static int read_file_header(struct object *object, struct file_header *ret)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr elf64;
		Elf32_Ehdr elf32;
	} header = {0};

	if (object->file_size < EI_NIDENT)
		return -ENOEXEC;
	int err = object_read(object, 0, header.ident, EI_NIDENT);

	if (err)
		return err;
	if (memcmp(header.ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if (header.ident[EI_CLASS] != ELFCLASS64 && header.ident[EI_CLASS] != ELFCLASS32)
		return -EBADMSG;
	object->is_64bit = header.ident[EI_CLASS] == ELFCLASS64;
	if (header.ident[EI_DATA] == ELFDATA2MSB) /* a foreign machine's: nothing in it is of use here */
		return 0;
	if (header.ident[EI_DATA] != ELFDATA2LSB)
		return -EBADMSG;
	err = object_read(object, 0, &header, object->is_64bit ? sizeof(header.elf64) : sizeof(header.elf32));
	if (err)
		return err;
	*ret = object->is_64bit ? FILE_HEADER(header.elf64) : FILE_HEADER(header.elf32);
	return 0;
}

static int read_program_headers(struct object *object, const struct file_header *file)
{
	size_t size = object->is_64bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (!file->nr_headers)
		return 0;
	if (file->header_size != size || file->nr_headers * size > HEADERS_MAX_BYTES)
		return -EBADMSG;
	_cleanup_free_ uint8_t *table = memory_zalloc(file->nr_headers, size);
	int err = object_read(object, file->headers_offset, table, file->nr_headers * size);

	if (err)
		return err;
	for (size_t i = 0; i < file->nr_headers; i++) {
		Elf64_Phdr elf64;
		Elf32_Phdr elf32;

		memcpy(object->is_64bit ? (void *)&elf64 : (void *)&elf32, table + i * size, size);
		struct object_program_header header = object->is_64bit ? PROGRAM_HEADER(elf64) : PROGRAM_HEADER(elf32);

		if (header.size > UINT64_MAX - header.file_addr)
			continue;
		*vector_push(&object->headers) = header;
	}
	return 0;
}

/* Bytes of a segment that are in the file and in memory. */
static uint64_t segment_file_size(const struct object *object, const struct object_program_header *header)
{
	uint64_t size = header->file_size < header->size ? header->file_size : header->size;

	if (header->file_offset >= object->file_size)
		return 0;
	uint64_t rest = object->file_size - header->file_offset;

	return size < rest ? size : rest;
}

static int add_segment(struct object *object, const struct object_program_header *header)
{
	struct object_info *info = &object->info;
	uint32_t place = info->nr_segments;

	if (info->nr_segments == OBJECT_SEGMENTS_MAX)
		return -E2BIG;
	while (place && info->segments[place - 1].file_addr > header->file_addr)
		place--;
	memmove(&info->segments[place + 1], &info->segments[place],
		(info->nr_segments - place) * sizeof(info->segments[0]));
	info->segments[place] = (struct object_segment){
		.file_offset = header->file_offset,
		.file_addr = header->file_addr,
		.file_size = header->file_size,
		.size = header->size,
	};
	info->nr_segments++;
	return 0;
}

static int find_segments(struct object *object)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < object->headers.nr; i++) {
		struct object_program_header *header = &object->headers.data[i];

		if (header->type != PT_LOAD)
			continue;
		header->file_size = segment_file_size(object, header);
		if (header->file_addr < lowest)
			lowest = header->file_addr;
		int err = header->flags & PF_X ? add_segment(object, header) : 0;

		if (err)
			return err;
	}
	object->info.base_addr = lowest == UINT64_MAX ? 0 : lowest & ~(uint64_t)(PAGE - 1);
	return 0;
}

static size_t section_header_size(const struct object *object)
{
	return object->is_64bit ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

/* Decodes a section header; link_ret may be NULL. */
static struct object_section decode_section(const struct object *object, const uint8_t *bytes, uint32_t *link_ret)
{
	Elf64_Shdr elf64;
	Elf32_Shdr elf32;

	memcpy(object->is_64bit ? (void *)&elf64 : (void *)&elf32, bytes, section_header_size(object));
	if (link_ret)
		*link_ret = object->is_64bit ? elf64.sh_link : elf32.sh_link;
	return object->is_64bit ? SECTION(elf64) : SECTION(elf32);
}

static void read_section_names(struct object *object, size_t index)
{
	if (index >= object->sections.nr)
		return;
	const struct object_section *names = &object->sections.data[index];

	if (names->type != SHT_STRTAB || names->size > SECTION_NAMES_MAX_BYTES || names->size > object->file_size)
		return;
	_cleanup_free_ char *text = memory_zalloc(names->size + 1, 1);

	if (object_read(object, names->file_offset, text, names->size))
		return;
	object->section_names = steal_pointer(text);
	object->section_names_size = names->size;
}

/* Absent, past the end of the file or beyond the ceiling: the file counts as having no sections. */
static void read_sections(struct object *object, const struct file_header *file)
{
	size_t size = section_header_size(object);
	uint8_t first[sizeof(Elf64_Shdr)];
	uint32_t names_index;

	if (!file->sections_offset || file->section_size != size ||
	    object_read(object, file->sections_offset, first, size))
		return;
	/* Numbers that don't fit the file header are in section 0. */
	uint64_t nr = decode_section(object, first, &names_index).size;

	if (file->nr_sections)
		nr = file->nr_sections;
	if (file->names_index != SHN_XINDEX)
		names_index = file->names_index;
	if (nr > SECTIONS_MAX || nr * size > object->file_size)
		return;
	_cleanup_free_ uint8_t *table = memory_zalloc(nr, size);

	if (object_read(object, file->sections_offset, table, nr * size))
		return;
	vector_reserve(&object->sections, nr);
	for (size_t i = 0; i < nr; i++)
		*vector_push(&object->sections) = decode_section(object, table + i * size, NULL);
	read_section_names(object, names_index);
}

/*
 * Looks through a run of ELF notes. Each is {name size, descriptor size, type}, name, descriptor, both parts padded
 * to the alignment of the notes: 4, or 8 in segments that say so.
 */
static void find_build_id_note(struct object *object, uint64_t offset, uint64_t size, uint64_t align)
{
	struct object_info *info = &object->info;

	if (info->build_id_size || size > NOTES_MAX_BYTES)
		return;
	_cleanup_free_ uint8_t *notes = memory_zalloc(size, 1);

	if (object_read(object, offset, notes, size))
		return;
	uint64_t padding = align == 8 ? 7 : 3;

	for (uint64_t at = 0; size - at >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr note;

		memcpy(&note, notes + at, sizeof(note));
		uint64_t descriptor = (at + sizeof(note) + note.n_namesz + padding) & ~padding;
		uint64_t end = descriptor + note.n_descsz;

		if (end > size)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && note.n_descsz &&
		    memcmp(notes + at + sizeof(note), "GNU", 4) == 0) {
			info->build_id_size = note.n_descsz < BUILD_ID_MAX ? (uint8_t)note.n_descsz : BUILD_ID_MAX;
			memcpy(info->build_id, notes + descriptor, info->build_id_size);
			return;
		}
		at = (end + padding) & ~padding;
		if (at > size)
			return;
	}
}

/* Headers may name the same notes again and again: not all of them are followed. */
static void find_build_id(struct object *object)
{
	unsigned int nr_runs = 0;

	for (size_t i = 0; i < object->headers.nr; i++) {
		const struct object_program_header *header = &object->headers.data[i];

		if (header->type == PT_NOTE && nr_runs++ < NOTE_RUNS_MAX)
			find_build_id_note(object, header->file_offset, header->file_size, header->align);
	}
	for (size_t i = 0; i < object->sections.nr; i++) {
		const struct object_section *section = &object->sections.data[i];

		if (section->type == SHT_NOTE && nr_runs++ < NOTE_RUNS_MAX)
			find_build_id_note(object, section->file_offset, section->size, 4);
	}
}

static void find_interpreter(struct object *object)
{
	const struct object_program_header *header = object_find_header(object, PT_INTERP);
	struct object_info *info = &object->info;

	if (!header || header->file_size >= sizeof(info->interpreter))
		return;
	if (object_read(object, header->file_offset, info->interpreter, header->file_size))
		memset(info->interpreter, 0, sizeof(info->interpreter));
}

/* A static PIE has no interpreter; the linker left a flag. */
static bool is_executable(const struct object *object, const struct file_header *file, bool is_pie)
{
	if (!file->entry)
		return false;
	if (file->type == ET_EXEC)
		return true;
	return file->type == ET_DYN && (object_find_header(object, PT_INTERP) || is_pie);
}

static bool has_symtab(const struct object *object)
{
	for (size_t i = 0; i < object->sections.nr; i++)
		if (object->sections.data[i].type == SHT_SYMTAB)
			return true;
	return false;
}

static int object_load(struct object *object)
{
	struct file_header file = {0};
	struct object_info *info = &object->info;
	struct dynamic_section dynamic;
	int err = read_file_header(object, &file);

	if (!err)
		err = read_program_headers(object, &file);
	if (!err)
		err = find_segments(object);
	if (err)
		return err;
	read_sections(object, &file);
	find_build_id(object);
	find_interpreter(object);
	info->is_64bit_x86 = object->is_64bit && file.machine == EM_X86_64;
	dynamic_section_read(object, &dynamic);
	info->needed = dynamic.needed;
	info->is_executable = is_executable(object, &file, dynamic.is_pie);
	info->stripped = !has_symtab(object);
	info->entry_addr = file.entry;
	return 0;
}

int object_create(int fd, related_open_fn related, void *context, struct object **ret)
{
	struct object *object = memory_new(struct object);
	struct stat status;
	int err;

	object->fd = fd;
	object->related = related;
	object->context = context;
	if (fstat(fd, &status)) {
		err = -errno;
	} else if (!S_ISREG(status.st_mode)) {
		err = -ENOEXEC;
	} else {
		object->file_size = (uint64_t)status.st_size;
		err = object_load(object);
	}
	if (err) {
		object_destroy(object);
		return err;
	}
	*ret = object;
	return 0;
}

void object_destroy(struct object *object)
{
	if (!object)
		return;
	vector_free(&object->headers);
	vector_free(&object->sections);
	free(object->section_names);
	if (object->fd >= 0)
		close(object->fd);
	free(object);
}
