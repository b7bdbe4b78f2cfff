/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.h - which capabilities ebprof lacks, and the exact command that would give them. */
#ifndef EBPROF_COMMANDS_PRIVILEGES_H
#define EBPROF_COMMANDS_PRIVILEGES_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"

/* CapEff of this process; 0 when it cannot be read. */
uint64_t privileges_effective(void);

/*
 * 0 when effective allows to record. -EPERM: not, and *problem names what is missing with the sudo line for this
 * command line (words[0] is ebprof as typed) and the setcap line for the executable. When less would be shown than
 * possible, 0 with *problem saying so; its text is empty otherwise.
 */
int privileges_check(uint64_t effective, char *const *words, size_t nr_words, const char *executable,
		     struct problem *problem);

#endif
