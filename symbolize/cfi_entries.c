/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_entries.c - walks the entries of .eh_frame or .debug_frame.
 *
 * Both are sequences of entries, each with its length in front: common ones (CIE) and functions (FDE), which name the
 * CIE they build upon. .eh_frame names it by the distance back from the name itself, .debug_frame by its offset in the
 * section, possibly ahead; a CIE has 0 or all ones in that place.
 *
 * CIEs are collected first, so each is parsed once, and only at places where an entry begins. A function that points
 * elsewhere is malformed: otherwise a file could have the same bytes parsed again for each of a million functions.
 */
#include "cfi_entries.h"

#include <errno.h>

/* Real files have up to some thousand; in memory one is ten times as large as it may be in a file. */
enum { CIES_MAX = 1 << 18 };

struct entry {
	struct byte_reader body; /* what follows the id */
	uint64_t offset;         /* in the section */
	uint64_t id_offset;
	uint64_t id;
	bool is_cie;
};

/* 1: *ret is an entry; 0: the end; -EBADMSG: its length contradicts the section's, nothing can be found after it. */
static int next_entry(const struct cfi_section *section, struct byte_reader *reader, struct entry *ret)
{
	while (reader_rest(reader)) {
		bool is_64bit = false;

		ret->offset = (uint64_t)(reader->at - section->data);
		uint64_t length = read_u32(reader);

		if (length == 0) {
			if (section->ends_with_terminator)
				return 0;
			continue;
		}
		if (length == UINT32_MAX) {
			length = read_u64(reader);
			/* .eh_frame's id keeps its 4 bytes. */
			is_64bit = section->is_debug_frame;
		}
		ret->body = read_part(reader, length);
		ret->id_offset = (uint64_t)(ret->body.at - section->data);
		ret->id = is_64bit ? read_u64(&ret->body) : read_u32(&ret->body);
		if (ret->body.failed)
			return -EBADMSG;
		uint64_t cie_id = section->is_debug_frame ? is_64bit ? UINT64_MAX : UINT32_MAX : 0;

		ret->is_cie = ret->id == cie_id;
		return 1;
	}
	return 0;
}

/* Steps through augmentation data as the letters after the z say. A letter nobody knows ends what can be known. */
static void read_augmentation(struct cfi_cie *cie, const char *letters, struct byte_reader *data,
			      const struct pointer_bases *bases)
{
	for (; *letters && !data->failed; letters++) {
		switch (*letters) {
		case 'R':
			cie->pointer_encoding = read_u8(data);
			break;
		case 'P': { /* the personality routine: its value is of no interest, so indirect is no obstacle */
			uint8_t encoding = read_u8(data);

			if (encoding != POINTER_OMITTED)
				read_pointer(data, encoding & ~POINTER_INDIRECT, bases);
			break;
		}
		case 'L':
			read_u8(data);
			break;
		case 'S':
			cie->is_signal = true;
			break;
		case 'B': /* of other machines: no data */
		case 'G':
			break;
		default:
			return;
		}
	}
}

static int parse_cie(struct cfi_cie *cie, struct byte_reader *reader, const struct cfi_section *section)
{
	uint8_t version = read_u8(reader);

	if (version != 1 && version != 3 && version != 4)
		return -EBADMSG;
	const char *augmentation = read_text(reader);

	if (version == 4 && (read_u8(reader) != 8 || read_u8(reader) != 0)) /* sizes of addresses and segments */
		return -EBADMSG;
	if (strcmp(augmentation, "eh") == 0) { /* gcc 2: a pointer to a table */
		read_u64(reader);
		augmentation = "";
	}
	cie->code_align = read_uleb(reader);
	cie->data_align = read_sleb(reader);
	cie->ra_column = version == 1 ? read_u8(reader) : read_uleb(reader);
	cie->pointer_encoding = POINTER_ABSOLUTE;
	cie->has_augmentation = *augmentation == 'z';
	if (cie->has_augmentation) {
		struct byte_reader data = read_part(reader, read_uleb(reader));

		read_augmentation(cie, augmentation + 1, &data, &section->bases);
		if (data.failed)
			return -EBADMSG;
	} else if (*augmentation) { /* of unknown length */
		return -EBADMSG;
	}
	if (reader->failed)
		return -EBADMSG;
	return cfi_program_run_cie(cie, *reader, &section->bases);
}

static void collect_cies(struct cfi_entries *entries)
{
	const struct cfi_section *section = entries->section;
	struct byte_reader reader = byte_reader_init(section->data, section->size);
	struct entry entry;

	while (next_entry(section, &reader, &entry) > 0) {
		struct cfi_cie cie = {0};

		if (!entry.is_cie || entries->cies.nr == CIES_MAX || parse_cie(&cie, &entry.body, section))
			continue;
		table_put(&entries->cie_index, &entry.offset, (uint32_t)entries->cies.nr);
		*vector_push(&entries->cies) = cie;
	}
}

void cfi_entries_init(struct cfi_entries *entries, const struct cfi_section *section)
{
	*entries = (struct cfi_entries){
		.section = section,
		.reader = byte_reader_init(section->data, section->size),
	};
	table_init(&entries->cie_index, sizeof(uint64_t));
	collect_cies(entries);
}

void cfi_entries_deinit(struct cfi_entries *entries)
{
	table_deinit(&entries->cie_index);
	vector_free(&entries->cies);
}

/* NULL: nothing there, or nothing that could be parsed. */
static const struct cfi_cie *find_cie(const struct cfi_entries *entries, const struct entry *entry)
{
	uint64_t offset = entries->section->is_debug_frame ? entry->id : entry->id_offset - entry->id;
	uint32_t index;

	return table_get(&entries->cie_index, &offset, &index) ? &entries->cies.data[index] : NULL;
}

static bool parse_fde(const struct cfi_entries *entries, const struct entry *entry, struct cfi_fde *ret)
{
	const struct cfi_cie *cie = find_cie(entries, entry);

	if (!cie)
		return false;
	struct byte_reader reader = entry->body;
	uint64_t start = read_pointer(&reader, cie->pointer_encoding, &entries->section->bases);
	uint64_t size = read_pointer(&reader, cie->pointer_encoding & POINTER_FORMAT_MASK, &entries->section->bases);

	if (cie->has_augmentation)
		read_skip(&reader, read_uleb(&reader));
	if (reader.failed || size > UINT64_MAX - start)
		return false;
	*ret = (struct cfi_fde){
		.cie = cie,
		.start = start,
		.end = start + size,
		.program = reader,
		.bases = &entries->section->bases,
	};
	return true;
}

bool cfi_entries_next(struct cfi_entries *entries, struct cfi_fde *ret)
{
	struct entry entry;
	int got;

	while ((got = next_entry(entries->section, &entries->reader, &entry)) > 0) {
		if (entry.is_cie)
			continue;
		if (parse_fde(entries, &entry, ret))
			return true;
		entries->nr_broken++;
	}
	if (got < 0) {
		entries->nr_broken++;
		entries->reader.at = entries->reader.end;
	}
	return false;
}
