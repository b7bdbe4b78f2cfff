/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - what the table of commands in main.c is made of.
 *
 * A command is its option table and one function. It reports its own errors, once, and returns an exit status.
 */
#ifndef EBPROF_COMMANDS_COMMAND_H
#define EBPROF_COMMANDS_COMMAND_H

#include <stddef.h>

#include "option.h"

/* Exit statuses; a command that runs another program uses that program's own instead of DONE. */
enum exit_status {
	STATUS_DONE = 0,
	STATUS_NO = 1,		     /* the answer to the question asked is no */
	STATUS_FAILED = 2,	     /* could not do it; always for a wrong option */
	STATUS_FAILED_COMMAND = 125, /* could not do it, and a program was to be run */
	STATUS_NOT_EXECUTABLE = 126,
	STATUS_NOT_FOUND = 127,
	STATUS_SIGNAL_BASE = 128, /* + the signal that ended it */
};

struct program;

struct command {
	const struct option_table *options;
	/* argv[0] is the command's name. */
	int (*run)(const struct program *program, int argc, char **argv);
};

struct program {
	const struct command *const *commands;
	size_t nr_commands;
};

/* The command of that name, or NULL. */
const struct command *program_find(const struct program *program, const char *name);
/* The command name nearest to a mistyped one, or NULL. */
const char *program_nearest(const struct program *program, const char *name);

extern const struct command record_command;
extern const struct command doctor_command;
extern const struct command help_command;

#endif
