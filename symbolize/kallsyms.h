/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kallsyms.h - names of kernel addresses, from the text of /proc/kallsyms (which the caller opens).
 */
#ifndef EBPROF_SYMBOLIZE_KALLSYMS_H
#define EBPROF_SYMBOLIZE_KALLSYMS_H

#include "facts.h"

struct kallsyms;

/*
 * Takes ownership of fd. -EPERM: all addresses read as 0 (kernel.kptr_restrict, or no CAP_SYSLOG). Only text symbols
 * (t, T, w, W) are kept. Ceiling: 64 MiB of text.
 */
int kallsyms_create(int fd, struct kallsyms **ret);
void kallsyms_destroy(struct kallsyms *kallsyms);

/* False when no symbol starts at or below pc within reason (the last symbol of an area covers at most 1 MiB). */
bool kallsyms_find(const struct kallsyms *kallsyms, uint64_t pc, struct kernel_symbol *ret);

/* The addresses of _text (or _stext) and _etext; 0 when absent. */
uint64_t kallsyms_text_start(const struct kallsyms *kallsyms);
uint64_t kallsyms_text_end(const struct kallsyms *kallsyms);

#endif
