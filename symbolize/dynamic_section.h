/* SPDX-License-Identifier: Apache-2.0 */
/* dynamic_section.h - what a file tells the dynamic linker; private. */
#ifndef EBPROF_SYMBOLIZE_DYNAMIC_SECTION_H
#define EBPROF_SYMBOLIZE_DYNAMIC_SECTION_H

#include "object_private.h"

struct dynamic_section {
	bool is_pie; /* DF_1_PIE */
	struct needed_libraries needed;
};

/* Zeros where the file has no PT_DYNAMIC or none that makes sense. */
void dynamic_section_read(const struct object *object, struct dynamic_section *ret);

#endif
