/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_file.c - which ELF files are safe to hand to libelf and libdw, and what do their sections hold?
 *
 * libelf checks that a section lies inside the file, but it allocates whatever size the section has (a sparse file is
 * large for free), and libdw unpacks every compressed debug section as soon as it opens a file, at the size that the
 * compression header claims. So section headers are looked at before anything is read. A section over
 * ELF_SECTION_MAX counts as absent; string tables, which libelf reads behind our back, refuse the file; debug sections
 * that are too large, packed or unpacked, one or all together, cost the file its DWARF and leave its symbols.
 *
 * ELF_C_READ, not ELF_C_READ_MMAP: a file may belong to anybody, and a mapped file that its owner truncates is a SIGBUS
 * here. With pread it is a short read, which libelf reports.
 */
#include "elf_file.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

static const uint64_t ELF_SECTION_MAX = 2ull << 30; /* bytes of one section, unpacked */
static const uint64_t ELF_DEBUG_MAX = 6ull << 30;   /* bytes of all debug sections, unpacked */
static const size_t ELF_SECTION_COUNT_MAX = 1 << 20;
static const uint64_t NOTE_MAX = 1 << 20;

/* What a section will take in memory; old GNU style compression has a header of its own before the stream. */
static uint64_t section_unpacked_size(Elf_Scn *scn, const GElf_Shdr *header, bool is_gnu)
{
	GElf_Chdr packed;
	Elf_Data *data;
	uint64_t size = 0;

	if (header->sh_flags & SHF_COMPRESSED)
		return gelf_getchdr(scn, &packed) ? packed.ch_size : header->sh_size;
	if (!is_gnu || header->sh_size < 12)
		return header->sh_size;
	data = elf_rawdata(scn, NULL);
	if (!data || data->d_size < 12)
		return header->sh_size;
	for (int i = 4; i < 12; i++)
		size = size << 8 | ((const uint8_t *)data->d_buf)[i];
	return size;
}

uint64_t elf_section_unpacked_size(const struct elf_section *section, bool is_gnu)
{
	GElf_Shdr header;

	return gelf_getshdr(section->scn, &header) ? section_unpacked_size(section->scn, &header, is_gnu) : UINT64_MAX;
}

bool elf_file_debug_fits(const struct elf_file *file)
{
	uint64_t sum = 0;
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names) != 0)
		return false;
	while ((scn = elf_nextscn(file->elf, scn))) {
		GElf_Shdr header;
		const char *name;
		uint64_t size;

		if (!gelf_getshdr(scn, &header))
			return false;
		name = elf_strptr(file->elf, names, header.sh_name);
		if (header.sh_type == SHT_NOBITS || !name ||
		    (strncmp(name, ".debug", 6) != 0 && strncmp(name, ".zdebug", 7) != 0 &&
		     strncmp(name, ".gnu.debuglto_", 14) != 0))
			continue;
		/* The packed size first: gelf_getchdr reads the section. */
		if (header.sh_size > ELF_SECTION_MAX)
			return false;
		size = section_unpacked_size(scn, &header, strstr(name, ".zdebug") != NULL);
		sum += size;
		if (size > ELF_SECTION_MAX || sum > ELF_DEBUG_MAX)
			return false;
	}
	return true;
}

/*
 * Whether a string table's last byte is a NUL. Where it is not, libelf looks for the last one that there is, for each
 * name again: 100,000 symbols and a table of 4 MiB without any take 7 seconds, and both can be far larger.
 */
static bool string_table_ends(const struct elf_file *file, int fd, const GElf_Shdr *header)
{
	uint64_t last = header->sh_offset + header->sh_size - 1;
	char byte;

	if (!header->sh_size)
		return true;
	if (last < header->sh_offset || last > INT64_MAX)
		return false;
	if (!file->memory)
		return pread(fd, &byte, 1, (off_t)last) == 1 && byte == '\0';
	size_t size;
	const char *image = elf_rawfile(file->elf, &size);

	return image && last < size && image[last] == '\0';
}

static int file_check_string_tables(const struct elf_file *file, int fd)
{
	Elf *elf = file->elf;
	size_t nr_sections;
	Elf_Scn *scn = NULL;

	if (elf_getshdrnum(elf, &nr_sections) != 0)
		return -EBADMSG;
	if (nr_sections > ELF_SECTION_COUNT_MAX)
		return -E2BIG;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header;

		if (!gelf_getshdr(scn, &header))
			return -EBADMSG;
		/* No linker packs these, and libelf would unpack them unasked. */
		if (header.sh_type == SHT_STRTAB &&
		    (header.sh_size > ELF_SECTION_MAX || header.sh_flags & SHF_COMPRESSED))
			return -E2BIG;
		if (header.sh_type == SHT_STRTAB && !string_table_ends(file, fd, &header))
			return -EBADMSG;
	}
	return 0;
}

/* Whether this is what the rest of the library expects, whatever libelf would also take (archives, foreign orders). */
static bool file_is_sane(Elf *elf)
{
	GElf_Ehdr header;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return false;
	if (header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_ident[EI_VERSION] != EV_CURRENT)
		return false;
	return header.e_type == ET_EXEC || header.e_type == ET_DYN || header.e_type == ET_REL;
}

/* Takes over what *file holds; closes it on error. */
static int file_finish(struct elf_file *file, int fd, struct elf_file *ret)
{
	int err = file->elf && file_is_sane(file->elf) ? 0 : -ENOEXEC;

	if (err == 0)
		err = file_check_string_tables(file, fd);
	if (err < 0) {
		elf_file_close(file);
		return err;
	}
	*ret = *file;
	return 0;
}

int elf_file_open(int fd, struct elf_file *ret)
{
	struct elf_file file = {.fd = -1};

	elf_version(EV_CURRENT);
	file.elf = elf_begin(fd, ELF_C_READ, NULL);
	return file_finish(&file, fd, ret);
}

int elf_file_open_owned(int fd, struct elf_file *ret)
{
	struct elf_file file = {.fd = fd};

	elf_version(EV_CURRENT);
	file.elf = elf_begin(fd, ELF_C_READ, NULL);
	return file_finish(&file, fd, ret);
}

int elf_file_open_memory(void *image, size_t size_bytes, struct elf_file *ret)
{
	struct elf_file file = {.fd = -1, .memory = image};

	elf_version(EV_CURRENT);
	file.elf = elf_memory(image, size_bytes);
	return file_finish(&file, -1, ret);
}

void elf_file_close(struct elf_file *file)
{
	if (file->elf)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	free(file->memory);
	*file = (struct elf_file){.fd = -1};
}

static bool section_take(Elf_Scn *scn, const GElf_Shdr *header, struct elf_section *ret)
{
	if (header->sh_type == SHT_NOBITS || header->sh_size == 0 || header->sh_size > ELF_SECTION_MAX)
		return false;
	*ret = (struct elf_section){
		.scn = scn,
		.file_addr = header->sh_addr,
		.size = header->sh_size,
		.type = header->sh_type,
		.link = header->sh_link,
		.entry_size = header->sh_entsize > UINT32_MAX ? UINT32_MAX : (uint32_t)header->sh_entsize,
	};
	return true;
}

bool elf_file_section(const struct elf_file *file, const char *name, struct elf_section *ret)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names) != 0)
		return false;
	while ((scn = elf_nextscn(file->elf, scn))) {
		GElf_Shdr header;
		const char *section_name;

		if (!gelf_getshdr(scn, &header))
			return false;
		section_name = elf_strptr(file->elf, names, header.sh_name);
		if (section_name && strcmp(section_name, name) == 0 && section_take(scn, &header, ret))
			return true;
	}
	return false;
}

bool elf_file_section_of_type(const struct elf_file *file, uint32_t type, struct elf_section *ret)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(file->elf, scn))) {
		GElf_Shdr header;

		if (!gelf_getshdr(scn, &header))
			return false;
		if (header.sh_type == type && section_take(scn, &header, ret))
			return true;
	}
	return false;
}

const void *elf_section_bytes(const struct elf_section *section, size_t *size_ret)
{
	Elf_Data *data = elf_rawdata(section->scn, NULL);

	if (!data || !data->d_buf)
		return NULL;
	*size_ret = data->d_size;
	return data->d_buf;
}

/* True when a note of this section is a build-id; *same_ret says whether it is the one asked for. */
static bool note_section_build_id(Elf_Scn *scn, const uint8_t *build_id, size_t size_bytes, bool *same_ret)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t offset = 0;
	size_t next;
	size_t name;
	size_t desc;
	GElf_Nhdr note;

	if (!data || !data->d_buf)
		return false;
	while ((next = gelf_getnote(data, offset, &note, &name, &desc)) > 0) {
		const char *bytes = data->d_buf;
		size_t kept = note.n_descsz < BUILD_ID_MAX ? note.n_descsz : BUILD_ID_MAX;

		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(bytes + name, "GNU", 4) == 0) {
			*same_ret = kept == size_bytes && memcmp(bytes + desc, build_id, kept) == 0;
			return true;
		}
		offset = next;
	}
	return false;
}

bool elf_file_has_build_id(const struct elf_file *file, const uint8_t *build_id, size_t size_bytes)
{
	Elf_Scn *scn = NULL;
	bool same = false;

	if (size_bytes > BUILD_ID_MAX)
		size_bytes = BUILD_ID_MAX;
	/* Sections, not PT_NOTE: the program headers of a separate debug file point at bytes that it does not have. */
	while ((scn = elf_nextscn(file->elf, scn))) {
		GElf_Shdr header;

		if (!gelf_getshdr(scn, &header))
			return false;
		if (header.sh_type == SHT_NOTE && header.sh_size <= NOTE_MAX &&
		    note_section_build_id(scn, build_id, size_bytes, &same))
			return same && size_bytes > 0;
	}
	return false;
}

bool elf_file_load_addr(const struct elf_file *file, uint64_t *ret)
{
	size_t nr;

	if (elf_getphdrnum(file->elf, &nr) != 0)
		return false;
	for (size_t i = 0; i < nr && i < INT32_MAX; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(file->elf, (int)i, &header))
			return false;
		if (header.p_type == PT_LOAD) {
			*ret = header.p_vaddr;
			return true;
		}
	}
	return false;
}

bool elf_file_has_debug_info(const struct elf_file *file)
{
	struct elf_section section;

	return elf_file_section(file, ".debug_info", &section) || elf_file_section(file, ".zdebug_info", &section);
}
