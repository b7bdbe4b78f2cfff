/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replaced_text.h - is it a file's code that lies in memory to which no file is mapped?
 *
 * Programs move their code to huge pages: they copy it aside, map anonymous memory (or a memfd) over it, and copy it
 * back. What the kernel then tells of is executable memory without a file, in the place of the file's code and with its
 * bytes. Unwind rows and names are the file's, so such a mapping is made one of the file.
 *
 * An origin is a file together with the address at which it was loaded. It comes from what lay there before, from the
 * mappings beside it, or from where the file's first page is mapped. Memory in the range of the origin's executable
 * segments may still hold anything, the code that a compiler put there included; so bytes at several places have to be
 * the file's. Not quite all of them: code that is copied may patch itself.
 */
#ifndef EBPROF_COLLECT_REPLACED_TEXT_H
#define EBPROF_COLLECT_REPLACED_TEXT_H

#include <stdint.h>
#include <sys/types.h>

#include "mappings.h"
#include "maps.h"
#include "modules.h"
#include "vector.h"

/* Where a file's first page is mapped. */
struct first_page {
	uint64_t start, end, inode;
	uint32_t major, minor;
	char *path;
};

/* By address, as /proc has them. */
struct first_pages {
	VECTOR(struct first_page) list;
};

void first_pages_add(struct first_pages *pages, const struct map_line *line);
void first_pages_deinit(struct first_pages *pages);

/*
 * Adds a mapping that was reported, and over it the part of it that is a file's code. *budget is how often memory will
 * still be compared with a file, which takes some questions to the reader each time; it is counted down.
 */
void replaced_text_add(struct modules *modules, pid_t pid, struct mapping fresh, struct mappings *mappings,
		       uint32_t *budget);

/*
 * Does the same to all mappings of a process, as they were read with its first pages. May open files that were not
 * known as modules.
 */
void replaced_text_search(struct modules *modules, pid_t pid, const struct first_pages *pages,
			  struct mappings *mappings, uint32_t *budget);

#endif
