/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.h - which capabilities ebprof lacks, and the exact command that would give them. */
#ifndef EBPROF_COMMANDS_PRIVILEGES_H
#define EBPROF_COMMANDS_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

/* What a recording can make use of. */
struct privilege {
	int number; /* CAP_* */
	bool is_required;
	bool in_sys_admin; /* which contains it */
	const char *name;
	const char *without; /* what is missing then */
};
enum { NR_PRIVILEGES = 6 };
extern const struct privilege privileges[NR_PRIVILEGES];

/* CapEff of this process; 0 when it cannot be read. */
uint64_t privileges_effective(void);
/* A set of capabilities by its name ("CapEff") from a file such as /proc/self/status. */
uint64_t privileges_read(const char *status_path, const char *set);

bool privileges_hold(uint64_t set, const struct privilege *privilege);

/* The command that gives all of them to an executable; free with free(). */
char *privileges_setcap_line(const char *executable);

/*
 * 0 when effective allows to record. -EPERM: not, and *problem names what is missing with the sudo line for this
 * command line (words[0] is ebprof as typed) and the setcap line for the executable. When less would be shown than
 * possible, 0 with *problem saying so; its text is empty otherwise.
 */
int privileges_check(uint64_t effective, char *const *words, size_t nr_words, const char *executable,
		     struct problem *problem);

#endif
