/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_file.c - where else are this object's symbols and DWARF, and do they really belong to it?
 *
 * Three places: a separate debug file (found by build-id, which is the stronger claim, else by the name and CRC-32 in
 * .gnu_debuglink), dwz's alternate file that several debug files share, and an xz-packed ELF file with the names of
 * local functions in .gnu_debugdata. The first two are asked for through the object's callback, never opened by path,
 * and believed only after their build-id or CRC is what the asking file says: a debug file of another build names
 * every address plausibly and wrongly.
 *
 * The CRC needs the whole file, read in pieces with pread.
 */
#include "debug_file.h"

#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "memory.h"

enum {
	LINK_NAME_MAX = 255, /* a file name */
	ALT_NAME_MAX = 4095, /* a path */
	CRC_PIECE_BYTES = 1 << 16,
	UNPACK_MAX_BYTES = 256 << 20,  /* real ones have a few hundred KiB */
	UNPACK_MEMORY_MAX = 256 << 20, /* the decoder's dictionary */
	UNPACK_FIRST_BYTES = 1 << 20,
};
static const int64_t CRC_FILE_MAX_BYTES = 4ll << 30;

/* --- separate debug file --------------------------------------------------------------------------------------------
 */

static int file_crc(int fd, uint32_t *ret)
{
	_cleanup_free_ uint8_t *piece = memory_new_array(uint8_t, CRC_PIECE_BYTES);
	uLong crc = crc32(0, NULL, 0);
	struct stat st;
	off_t offset = 0;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > CRC_FILE_MAX_BYTES)
		return -E2BIG;
	for (;;) {
		ssize_t got = pread(fd, piece, CRC_PIECE_BYTES, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		crc = crc32(crc, piece, (uInt)got);
		offset += got;
		/* It may grow while it is read. */
		if (offset > CRC_FILE_MAX_BYTES)
			return -E2BIG;
	}
	*ret = (uint32_t)crc;
	return 0;
}

static int open_by_build_id(const struct object *object, struct elf_file *ret)
{
	const struct object_info *info = object_info(object);
	struct related_file wanted = {
		.kind = RELATED_BUILD_ID,
		.build_id = info->build_id,
		.build_id_size = info->build_id_size,
	};
	struct elf_file file;
	int fd;
	int err;

	if (info->build_id_size == 0)
		return -ENOENT;
	fd = object_related(object, &wanted);
	if (fd < 0)
		return fd;
	err = elf_file_open_owned(fd, &file);
	if (err < 0)
		return err;
	if (!elf_file_has_build_id(&file, info->build_id, info->build_id_size)) {
		elf_file_close(&file);
		return -ENOENT;
	}
	*ret = file;
	return 0;
}

/* .gnu_debuglink: a name, NUL, padding to 4 bytes, CRC-32. */
static bool debuglink_parse(const struct elf_file *main, struct related_file *ret)
{
	struct elf_section section;
	const char *bytes;
	size_t size;
	size_t length;
	size_t crc_offset;

	if (!elf_file_section(main, ".gnu_debuglink", &section))
		return false;
	bytes = elf_section_bytes(&section, &size);
	if (!bytes)
		return false;
	length = strnlen(bytes, size < LINK_NAME_MAX + 1 ? size : LINK_NAME_MAX + 1);
	crc_offset = (length + 4) & ~(size_t)3;
	if (length == 0 || length > LINK_NAME_MAX || crc_offset + 4 > size)
		return false;
	/* A name is all that this section may hold: with a slash it would lead out of the folders that are searched. */
	if (memchr(bytes, '/', length) || strcmp(bytes, ".") == 0 || strcmp(bytes, "..") == 0)
		return false;
	ret->kind = RELATED_DEBUGLINK;
	ret->name = bytes;
	memcpy(&ret->crc, bytes + crc_offset, sizeof(ret->crc));
	return true;
}

static int open_by_debuglink(const struct object *object, const struct elf_file *main, struct elf_file *ret)
{
	struct related_file wanted = {0};
	uint32_t crc = 0;
	int fd;
	int err;

	if (!debuglink_parse(main, &wanted))
		return -ENOENT;
	fd = object_related(object, &wanted);
	if (fd < 0)
		return fd;
	err = file_crc(fd, &crc);
	if (err == 0 && crc != wanted.crc)
		err = -ENOENT;
	if (err < 0) {
		close(fd);
		return err;
	}
	return elf_file_open_owned(fd, ret);
}

int debug_file_open(const struct object *object, const struct elf_file *main, struct elf_file *ret)
{
	if (open_by_build_id(object, ret) == 0 || open_by_debuglink(object, main, ret) == 0)
		return 0;
	return -ENOENT;
}

uint64_t debug_file_bias(const struct elf_file *file, const struct elf_file *main)
{
	uint64_t file_load;
	uint64_t main_load;

	if (!elf_file_load_addr(file, &file_load) || !elf_file_load_addr(main, &main_load))
		return 0;
	return file_load - main_load;
}

/* --- alternate file -------------------------------------------------------------------------------------------------
 */

int debug_file_open_alt(const struct object *object, const struct elf_file *file, struct elf_file *ret)
{
	struct related_file wanted = {.kind = RELATED_ALT};
	struct elf_section section;
	struct elf_file alt;
	const char *bytes;
	size_t length;
	size_t size;
	int fd;
	int err;

	if (!elf_file_section(file, ".gnu_debugaltlink", &section))
		return -ENODATA;
	bytes = elf_section_bytes(&section, &size);
	if (!bytes)
		return -ENOENT;
	length = strnlen(bytes, size < ALT_NAME_MAX + 1 ? size : ALT_NAME_MAX + 1);
	if (length == 0 || length > ALT_NAME_MAX || length + 1 >= size)
		return -ENOENT;
	wanted.name = bytes;
	wanted.build_id = (const uint8_t *)bytes + length + 1;
	wanted.build_id_size = size - length - 1;
	if (wanted.build_id_size > BUILD_ID_MAX)
		wanted.build_id_size = BUILD_ID_MAX;
	fd = object_related(object, &wanted);
	if (fd < 0)
		return -ENOENT;
	err = elf_file_open_owned(fd, &alt);
	if (err < 0)
		return err;
	if (!elf_file_has_build_id(&alt, wanted.build_id, wanted.build_id_size)) {
		elf_file_close(&alt);
		return -ENOENT;
	}
	*ret = alt;
	return 0;
}

/* --- packed symbols -------------------------------------------------------------------------------------------------
 */

/* Unpacks into a growing buffer, which is the caller's to free() also on error. */
static int xz_unpack(lzma_stream *stream, uint8_t **buffer_ret, size_t *size_ret)
{
	size_t capacity = UNPACK_FIRST_BYTES;
	lzma_ret status;

	*buffer_ret = memory_realloc(NULL, capacity, 1);
	stream->next_out = *buffer_ret;
	stream->avail_out = capacity;
	while ((status = lzma_code(stream, LZMA_FINISH)) == LZMA_OK) {
		/* Input is all there: without progress possible, only a full buffer brings us here. */
		if (stream->avail_out > 0)
			return -EBADMSG;
		if (capacity >= UNPACK_MAX_BYTES)
			return -E2BIG;
		*buffer_ret = memory_realloc(*buffer_ret, capacity, 2);
		stream->next_out = *buffer_ret + capacity;
		stream->avail_out = capacity;
		capacity *= 2;
	}
	*size_ret = capacity - stream->avail_out;
	if (status == LZMA_MEMLIMIT_ERROR)
		return -E2BIG;
	return status == LZMA_STREAM_END ? 0 : -EBADMSG;
}

int debug_file_unpack_symbols(const struct elf_file *main, struct elf_file *ret)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	_cleanup_free_ uint8_t *image = NULL;
	struct elf_section section;
	const void *packed;
	size_t packed_size;
	size_t size;
	int err;

	if (!elf_file_section(main, ".gnu_debugdata", &section))
		return -ENODATA;
	packed = elf_section_bytes(&section, &packed_size);
	if (!packed)
		return -EBADMSG;
	if (lzma_stream_decoder(&stream, UNPACK_MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	stream.next_in = packed;
	stream.avail_in = packed_size;
	err = xz_unpack(&stream, &image, &size);
	lzma_end(&stream);
	if (err < 0)
		return err;
	return elf_file_open_memory(steal_pointer(image), size, ret);
}
