/* SPDX-License-Identifier: Apache-2.0 */
/* help.h - the program's own help, man page and shell completion, assembled from the tables of its commands. */
#ifndef EBPROF_COMMANDS_HELP_H
#define EBPROF_COMMANDS_HELP_H

#include <stdio.h>

#include "command.h"

void help_print_usage(const struct program *program, FILE *out);
void help_print_man(const struct program *program, FILE *out);
void help_print_completion(const struct program *program, FILE *out);

/* Flushes stdout; the exit status, with a message where it could not be written. */
int help_finish(void);

#endif
