/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what the library says about files, as plain data.
 *
 * These types cross from whoever reads foreign files to whoever only uses the answers, so there is no handle and no ELF
 * or DWARF type among them.
 */
#ifndef EBPROF_SYMBOLIZE_FACTS_H
#define EBPROF_SYMBOLIZE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rows.h"

enum {
	BUILD_ID_MAX = 20,        /* bytes kept of a build-id; longer ones are cut */
	OBJECT_SEGMENTS_MAX = 16, /* executable PT_LOADs kept; more is -E2BIG (real files have 1 or 2) */
};

struct object_segment {
	uint64_t file_offset; /* p_offset */
	uint64_t file_addr;   /* p_vaddr */
	uint64_t file_size;   /* p_filesz, cut to the file's real size */
	uint64_t size;        /* p_memsz */
};

/* Libraries that a file needs, as a hint: what doesn't fit is left out. */
struct needed_libraries {
	uint32_t size_bytes;
	char names[1020]; /* each with its 0; an empty one behind the last */
	char path[512];   /* where to look for them: folders with colons, $ORIGIN is the file's own; "" = nowhere special */
};

/* What a profiler needs to know of a file before it looks at a single symbol. */
struct object_info {
	uint8_t build_id[BUILD_ID_MAX];
	uint8_t build_id_size; /* 0 = the file has none */
	bool is_64bit_x86;     /* ELFCLASS64 and EM_X86_64 */
	bool is_executable;    /* has an entry point and is ET_EXEC, or ET_DYN with PT_INTERP or DF_1_PIE */
	bool stripped;         /* no .symtab in the file itself */
	uint64_t base_addr;    /* lowest PT_LOAD's p_vaddr, rounded down to 4096 */
	uint64_t entry_addr;   /* e_entry, 0 = none */
	uint32_t nr_segments;
	struct object_segment segments[OBJECT_SEGMENTS_MAX]; /* executable PT_LOADs only, by file_addr */
	char interpreter[64];                                /* PT_INTERP, "" = none or longer than that */
	struct needed_libraries needed;                      /* DT_NEEDED, and DT_RUNPATH or else DT_RPATH */
};

/* Rows that were deduced from instructions, where a file has no call-frame information. */
struct inferred_stats {
	uint64_t bytes;         /* of code that has such rows now */
	uint64_t bytes_unknown; /* that was looked at in vain; constants and padding among it */
	uint64_t bytes_skipped; /* over the ceiling, or over that of TABLE_QUICK */
};

/* How much is done for a file's rows. */
enum table_effort {
	TABLE_QUICK, /* instructions are looked at only where these are few: up to some ms */
	TABLE_WHOLE, /* up to seconds, of libraries full of hand-written code */
};

/* One immutable table per file. */
struct unwind_table {
	uint64_t start; /* module offset of granule 0's first byte, a multiple of GRANULE_SIZE */
	uint32_t coarser; /* a granule is GRANULE_SIZE << this; 0 but for files that describe little of much text */
	uint32_t nr_granules;
	uint32_t nr_rows;
	uint32_t nr_rules; /* at least RULE_FIRST_FREE */
	struct unwind_granule *granules;
	struct unwind_row *rows;
	struct unwind_rule *rules;

	/* What was met on the way, for -v and the tests. */
	uint32_t nr_fdes;
	uint32_t nr_fdes_broken; /* skipped: malformed */
	uint32_t nr_rows_unsupported;
	struct inferred_stats inferred;
};

/* One function at one address. Strings are borrowed until the callback returns; NULL = unknown. */
struct name_frame {
	const char *name;        /* for people: demangled */
	const char *system_name; /* as in the file: mangled */
	const char *file;        /* source path as the debug information has it, made absolute with the unit's folder */
	uint32_t line;           /* 0 = unknown */
	uint32_t start_line;     /* where the function begins, 0 = unknown */
};

/* How well a file could be named: the caller counts these and says what would help. */
struct names_status {
	bool has_symtab;      /* a full symbol table, in the file, its debug file or .gnu_debugdata, or Go's own */
	bool has_debug_info;  /* DWARF with units */
	bool debug_file_used; /* symbols or DWARF came from a separate debug file */
};

/*
 * frames[0] is the innermost inlined function, the last one the real function (profile.proto's order). nr_frames is 0
 * when nothing covers the address. index is the position in the caller's array.
 */
typedef void (*names_found_fn)(size_t index, const struct name_frame *frames, size_t nr_frames, void *context);

struct kernel_symbol {
	const char *name;   /* borrowed, lives as long as the kallsyms */
	const char *module; /* "nf_tables", "bpf"; NULL for the kernel proper */
	uint64_t start;
	uint64_t end; /* the next symbol's start: kallsyms has no sizes */
};

/* Longest name or path handed out; longer ones are cut (viewers break on names over 16 KiB). */
enum { NAME_MAX_BYTES = 4096 };

#endif
