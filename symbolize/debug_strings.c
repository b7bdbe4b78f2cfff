/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_strings.c - which of the strings that libdw finds end inside the section that they are in?
 *
 * libdw sees to it that a string starts inside its section, and no more: strlen() then reads on into whatever lies
 * behind. Two kinds of sections have strings. In those that hold nothing else the last byte has to be a NUL, or the
 * file's DWARF isn't read: every producer ends them so, and libdw itself measures names in them (those of line tables).
 * Among the entries (DW_FORM_string) each string is searched for its end as it is asked for.
 *
 * Tricky cases: sections may be packed, so this comes after libdw has unpacked them all. Of the entries' strings libdw
 * measures one by itself, the folder of a unit whose lines it reads; so that one is looked at before.
 */
#include "debug_strings.h"

#include <dwarf.h>
#include <errno.h>
#include <gelf.h>
#include <string.h>

#include "memory.h"

enum section_kind { SECTION_OTHER, SECTION_ENTRIES, SECTION_STRINGS };

static bool skip_prefix(const char **text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	return true;
}

/* Every form of name that libdw knows. */
static enum section_kind kind_of_section(const char *name)
{
	static const struct {
		const char *name;
		enum section_kind kind;
	} kinds[] = {
		{"str", SECTION_STRINGS},
		{"line_str", SECTION_STRINGS},
		{"info", SECTION_ENTRIES},
		{"types", SECTION_ENTRIES},
	};

	skip_prefix(&name, ".gnu.debuglto_");
	if (!skip_prefix(&name, ".debug_") && !skip_prefix(&name, ".zdebug_"))
		return SECTION_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *rest = name;

		if (skip_prefix(&rest, kinds[i].name) && (!*rest || strcmp(rest, ".dwo") == 0))
			return kinds[i].kind;
	}
	return SECTION_OTHER;
}

int debug_strings_add(struct debug_strings *strings, const struct elf_file *file)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names) != 0)
		return -EBADMSG;
	while ((scn = elf_nextscn(file->elf, scn))) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(scn, &header) ? elf_strptr(file->elf, names, header.sh_name) : NULL;
		enum section_kind kind = name ? kind_of_section(name) : SECTION_OTHER;
		Elf_Data *data = kind == SECTION_OTHER ? NULL : elf_rawdata(scn, NULL);

		if (!data || !data->d_buf || data->d_size == 0)
			continue;
		const char *start = data->d_buf, *end = start + data->d_size;

		if (kind == SECTION_STRINGS && end[-1] != '\0')
			return -EBADMSG;
		*vector_push(&strings->sections) = (struct debug_section){start, end};
	}
	return 0;
}

void debug_strings_deinit(struct debug_strings *strings)
{
	vector_free(&strings->sections);
}

const char *debug_string(const struct debug_strings *strings, Dwarf_Attribute *attribute)
{
	const char *text = dwarf_formstring(attribute);

	if (!text)
		return NULL;
	for (size_t i = 0; i < strings->sections.nr; i++) {
		const struct debug_section *section = &strings->sections.data[i];

		if (text >= section->start && text < section->end)
			return memchr(text, '\0', (size_t)(section->end - text)) ? text : NULL;
	}
	return NULL;
}

bool debug_strings_allow_lines(const struct debug_strings *strings, Dwarf_Die *unit)
{
	Dwarf_Attribute attribute;
	Dwarf_Attribute *folder = dwarf_attr(unit, DW_AT_comp_dir, &attribute);

	return !folder || !dwarf_formstring(folder) || debug_string(strings, folder);
}
