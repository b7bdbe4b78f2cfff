/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_sections.c - where is a file's call-frame information?
 *
 * .eh_frame is loaded memory: section headers name it, and where they are gone PT_GNU_EH_FRAME still leads to it: that
 * segment is the .eh_frame_hdr section, {version, three encodings, pointer to .eh_frame, ...}. How long .eh_frame is
 * doesn't follow from it; it ends with a zero entry, at the latest where its segment ends.
 *
 * .debug_frame is not loaded, often compressed, and in distributions' packages moved to the separate debug file.
 */
#include "cfi_sections.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>

#include "debug_file.h"
#include "memory.h"
#include "object_private.h"

enum {
	SECTIONS_MAX_BYTES = 256 << 20, /* of all that are taken from a file together */
	SECTIONS_MAX = 8,               /* of one name; linkers make one */
	EH_FRAME_HDR_MAX = 16,          /* bytes up to the end of its first pointer */
	EH_FRAME_HDR_VERSION = 1,
};

void cfi_sections_deinit(struct cfi_sections *sections)
{
	for (size_t i = 0; i < sections->list.nr; i++)
		free(sections->list.data[i].data);
	vector_free(&sections->list);
}

/* Takes ownership of section->data. */
static void add_section(struct cfi_sections *sections, const struct cfi_section *section)
{
	struct cfi_section *added = vector_push(&sections->list);

	*added = *section;
	added->bases.data = section->data;
}

/* What relative pointers other than pc-relative ones count from, where a linker makes any. */
static struct pointer_bases find_bases(const struct object *object, uint64_t file_addr)
{
	const struct object_info *info = object_info(object);
	const struct object_section *text = object_find_section(object, ".text", NULL);
	const struct object_section *got = object_find_section(object, ".got", NULL);

	return (struct pointer_bases){
		.file_addr = file_addr,
		.text_addr = text                ? text->file_addr
			     : info->nr_segments ? info->segments[0].file_addr
						 : 0,
		.data_addr = got ? got->file_addr : 0,
	};
}

/* Several headers may name the same bytes. */
static uint64_t sections_size(const struct cfi_sections *sections)
{
	uint64_t size = 0;

	for (size_t i = 0; i < sections->list.nr; i++)
		size += sections->list.data[i].size;
	return size;
}

static int read_section(struct cfi_sections *sections, const struct object *object, uint64_t offset, uint64_t size,
			struct cfi_section section)
{
	if (size > object_file_size(object))
		return -EBADMSG;
	if (size > SECTIONS_MAX_BYTES - sections_size(sections))
		return -E2BIG;
	_cleanup_free_ uint8_t *data = memory_zalloc(size, 1);
	int err = object_read(object, offset, data, size);

	if (err)
		return err;
	section.size = size;
	section.data = steal_pointer(data);
	add_section(sections, &section);
	return 0;
}

static int add_by_section_headers(struct cfi_sections *sections, const struct object *object)
{
	const struct object_section *header = NULL;
	int result = -ENODATA;

	while (sections->list.nr < SECTIONS_MAX && (header = object_find_section(object, ".eh_frame", header))) {
		if (!(header->flags & SHF_ALLOC) || header->flags & SHF_COMPRESSED)
			continue;
		struct cfi_section section = {.bases = find_bases(object, header->file_addr)};
		int err = read_section(sections, object, header->file_offset, header->size, section);

		if (err && err != -EBADMSG)
			return err;
		if (!err || result == -ENODATA)
			result = err;
	}
	return result;
}

/*
 * A separate debug file keeps all headers of the file that it was made from, but no longer the bytes: those of its
 * .eh_frame, and wherever its program headers lead, are something else.
 */
static bool is_debug_file(const struct object *object)
{
	const struct object_section *header = object_find_section(object, ".eh_frame", NULL);

	return header && header->type == SHT_NOBITS;
}

/* Decodes the pointer to .eh_frame. */
static int read_eh_frame_hdr(const struct object *object, const struct object_program_header *header, uint64_t *ret)
{
	uint8_t bytes[EH_FRAME_HDR_MAX];
	size_t size = header->file_size < sizeof(bytes) ? header->file_size : sizeof(bytes);
	int err = object_read(object, header->file_offset, bytes, size);

	if (err)
		return err;
	struct byte_reader reader = byte_reader_init(bytes, size);
	struct pointer_bases bases = {
		.data = bytes,
		.file_addr = header->file_addr,
		.data_addr = header->file_addr,
	};
	uint8_t version = read_u8(&reader);
	uint8_t encoding = read_u8(&reader);

	read_skip(&reader, 2); /* the encodings of a count and of a search table */
	*ret = read_pointer(&reader, encoding, &bases);
	return reader.failed || version != EH_FRAME_HDR_VERSION ? -EBADMSG : 0;
}

static int add_by_program_header(struct cfi_sections *sections, const struct object *object)
{
	const struct object_program_header *header = object_find_header(object, PT_GNU_EH_FRAME);
	uint64_t file_addr;

	if (!header)
		return -ENODATA;
	int err = read_eh_frame_hdr(object, header, &file_addr);

	if (err)
		return err;
	const struct object_program_header *load = object_find_load(object, file_addr);

	if (!load)
		return -EBADMSG;
	uint64_t skipped = file_addr - load->file_addr;
	struct cfi_section section = {
		.ends_with_terminator = true,
		.bases = find_bases(object, file_addr),
	};
	return read_section(sections, object, load->file_offset + skipped, load->file_size - skipped, section);
}

int cfi_sections_add_eh_frame(struct cfi_sections *sections, const struct object *object)
{
	if (is_debug_file(object))
		return -ENODATA;
	int found = add_by_section_headers(sections, object);

	if (found != -ENODATA && found != -EBADMSG)
		return found;
	int err = add_by_program_header(sections, object);

	return err == -ENODATA ? found : err;
}

/* Finds .debug_frame and unpacks it; what it claims to become is looked at before libelf allocates as much. */
static int find_debug_frame(const struct elf_file *file, uint64_t max, struct elf_section *ret)
{
	bool is_gnu = false; /* the name and form before compression was part of the standard */
	GElf_Shdr header;

	if (!elf_file_section(file, ".debug_frame", ret)) {
		is_gnu = true;
		if (!elf_file_section(file, ".zdebug_frame", ret))
			return -ENODATA;
	}
	if (!gelf_getshdr(ret->scn, &header))
		return -ENODATA;
	/* As it is stored first: finding out the other size reads the section. */
	if (ret->size > max || elf_section_unpacked_size(ret, is_gnu) > max)
		return -E2BIG;
	if (is_gnu)
		return elf_compress_gnu(ret->scn, 0, 0) >= 0 ? 0 : -ENODATA;
	return !(header.sh_flags & SHF_COMPRESSED) || elf_compress(ret->scn, 0, 0) >= 0 ? 0 : -ENODATA;
}

static int add_debug_frame_of(struct cfi_sections *sections, const struct elf_file *file)
{
	uint64_t max = SECTIONS_MAX_BYTES - sections_size(sections);
	struct elf_section found;
	size_t size;
	int err = find_debug_frame(file, max, &found);

	if (err)
		return err;
	const void *bytes = elf_section_bytes(&found, &size);

	if (!bytes)
		return -ENODATA;
	if (size > max)
		return -E2BIG;
	struct cfi_section section = {
		.data = memory_dup(bytes, size),
		.size = size,
		.is_debug_frame = true,
	};
	add_section(sections, &section);
	return 0;
}

static void cleanup_elf_file(struct elf_file *file)
{
	elf_file_close(file);
}

int cfi_sections_add_debug_frame(struct cfi_sections *sections, const struct object *object)
{
	_cleanup_(cleanup_elf_file) struct elf_file file = {.fd = -1};
	_cleanup_(cleanup_elf_file) struct elf_file debug_file = {.fd = -1};

	if (elf_file_open(object_fd(object), &file))
		return -ENODATA;
	int err = add_debug_frame_of(sections, &file);

	if (err != -ENODATA || debug_file_open(object, &file, &debug_file))
		return err;
	/* A prelinked file has moved away from its debug file's addresses. */
	uint64_t bias = debug_file_bias(&debug_file, &file);

	return bias ? -ENODATA : add_debug_frame_of(sections, &debug_file);
}
