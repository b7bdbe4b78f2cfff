/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages.h - what the agent, the reader process and its opener say to each other.
 *
 *     agent  <-- questions, answers -->  reader     parses; without privileges
 *     agent  <-- paths, handles     -->  opener     opens; with the agent's privileges, parses nothing
 *     opener <-- files, requests    -->  reader
 *
 * One build talks to itself, so messages are structs as they lie in memory. Every message has a fixed head that says
 * how much follows; every head is checked by who receives it.
 */
#ifndef EBPROF_READER_MESSAGES_H
#define EBPROF_READER_MESSAGES_H

#include "facts.h"

enum {
	READER_SOCKET = 3, /* the reader process's descriptors */
	OPENER_SOCKET = 4,

	PATH_BYTES_MAX = 8192, /* with the 0; longer ones are not opened */
	FILE_BYTES_MAX = 256,
	ADDRS_MAX = 1 << 24,         /* in one question */
	NAMES_PART_MAX = 16 << 20,   /* bytes of one part of names: one address's chain at its longest, and some */
	NAMES_PART_USUAL = 64 << 10, /* a part is sent once it is larger */
	NAME_FRAMES_MAX = 1024,      /* inlined into each other at one address */
	ROWS_MAX_TOLD = 64 << 20,
	GRANULES_MAX_TOLD = 1 << 22, /* 4 GiB of text */
	RELATED_MAX = 16,            /* other files opened for one question */
	NOBODY = 65534,              /* user and group, everywhere on Linux */
};

/* ---- agent and reader ---- */

/* What the reader does without (bits of hello.refused), with its name for a person. */
#define CONFINEMENTS(CONFINEMENT)                                                                                      \
	CONFINEMENT(user, "a user of its own")                                                                         \
	CONFINEMENT(capabilities, "giving up capabilities")                                                            \
	CONFINEMENT(namespaces, "namespaces of its own")                                                               \
	CONFINEMENT(root, "an empty root folder")                                                                      \
	CONFINEMENT(limits, "resource limits")                                                                         \
	CONFINEMENT(new_privileges, "refusing new privileges")                                                         \
	CONFINEMENT(system_calls, "a filter of system calls")

enum confinement {
#define CONFINEMENT(name, text) CONFINED_##name,
	CONFINEMENTS(CONFINEMENT)
#undef CONFINEMENT
		NR_CONFINEMENTS,
};

/* The reader's first words. */
struct hello {
	uint32_t magic; /* HELLO_MAGIC */
	uint32_t refused;
};
#define HELLO_MAGIC 0x65627072u

enum question_kind {
	QUESTION_INFO,
	QUESTION_QUICK_TABLE,
	QUESTION_TABLE,
	QUESTION_NAMES,
	QUESTION_STARTS,
	QUESTION_BYTES
};

/* nr_addrs uint64_t follow. The file itself comes from the opener. */
struct question {
	uint32_t kind;
	uint32_t nr_addrs;
};

enum part_kind { PART_NAMES, PART_END };

/* An answer is any number of PART_NAMES, to a question for names only, and one PART_END; size_bytes follow each. */
struct part {
	uint32_t kind;
	int32_t error; /* 0 or a negative errno, which nothing follows */
	uint64_t size_bytes;
};

/* What PART_END of QUESTION_INFO holds: object_info without anything that some bytes are no value of. */
struct told_info {
	uint64_t base_addr, entry_addr;
	struct object_segment segments[OBJECT_SEGMENTS_MAX];
	uint32_t nr_segments;
	uint8_t build_id_size;
	uint8_t is_64bit_x86, is_executable, stripped; /* 0 or 1 */
	uint8_t build_id[BUILD_ID_MAX];
	char interpreter[64];
	struct needed_libraries needed;
};

/* What begins PART_END of either question for a table; granules, rows and rules follow. */
struct told_table {
	uint64_t start;
	uint32_t coarser;
	uint32_t nr_granules, nr_rows, nr_rules;
	uint32_t nr_fdes, nr_fdes_broken, nr_rows_unsupported;
	uint32_t reserved;
	struct inferred_stats inferred;
};

/* PART_END of QUESTION_NAMES. */
struct told_status {
	uint8_t has_symtab, has_debug_info, debug_file_used; /* 0 or 1 */
};

/* ---- agent and opener ---- */

enum opener_kind {
	OPENER_FILE,   /* open the file of the handle that comes along, and give it to the reader */
	OPENER_CALLER, /* as OPENER_HANDLE, if who called sudo may read the file */
	OPENER_HANDLE, /* open a handle of the regular file at the path, and give it back: an opener_reply */
};

/* path_size bytes follow, the last one is 0. */
struct opener_request {
	uint32_t kind;
	uint32_t path_size;
};

/* ---- opener and reader; the first also to the agent ---- */

/* A descriptor comes along unless there is an error. The reader gets a second one, without, when it is closed here. */
struct opener_reply {
	int32_t error;
};

/* The reader asks for a related file (object.h); name_size bytes follow, the last one is 0; 0 = no name. */
struct related_request {
	uint32_t kind;
	uint32_t crc;
	uint32_t name_size;
	uint32_t build_id_size;
	uint8_t build_id[BUILD_ID_MAX];
};

/* How the reader process ends when it is not told to. */
enum reader_exit {
	READER_EXIT_NO_MEMORY = 70,
	READER_EXIT_NO_OPENER = 71,
	READER_EXIT_CONFUSED = 72, /* the other sides said what they never say */
};

#endif
