/* SPDX-License-Identifier: Apache-2.0 */
/* kind_remap.h - replaces the memory below a program's code while it runs; a library, so as not to lie in it. */
#ifndef EBPROF_WORKLOADS_KIND_REMAP_H
#define EBPROF_WORKLOADS_KIND_REMAP_H

#include <stddef.h>

enum remap_how {
	REMAP_COPY,   /* copied aside, anonymous memory mapped over it, copied back, protected */
	REMAP_MREMAP, /* copied to anonymous memory, which is then moved over it */
	REMAP_SHARED, /* copied to a memfd, which is mapped over it */
	REMAP_JIT,    /* as REMAP_COPY, but with the code overwritten by `code` afterwards */
};

/* Whole pages. Returns 0, or -1. */
int remap_text(char *start, size_t size, enum remap_how how, const void *code, size_t code_size);

#endif
