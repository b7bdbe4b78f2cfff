/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the table of commands.
 *
 * A new command is a file in commands/ and a row here; its options, help, man page and completion follow from its
 * table.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "help.h"
#include "memory.h"
#include "process.h"
#include "text.h"

static const struct command *const commands[] = {
	&record_command,
	&doctor_command,
	&help_command,
};

/* Closed standard streams would let a file opened later become stderr and receive messages. */
static void fill_standard_streams(void)
{
	int fd;

	do {
		/* Not writable, so that writing to a closed standard output stays an error. */
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int report_unknown(const struct program *program, const char *name)
{
	const char *near = program_nearest(program, name);
	char shown[64];

	text_printable(name, shown, sizeof(shown));
	if (near)
		message_error("unknown command '%s': did you mean %s?", shown, near);
	else
		message_error("unknown command '%s': see ebprof help", shown);
	return STATUS_FAILED;
}

int main(int argc, char **argv)
{
	/* Not a command of anybody's: ebprof itself starts it. */
	if (argc == 2 && strcmp(argv[1], READER_PROCESS) == 0)
		return reader_process_main();
	const struct program program = {.commands = commands, .nr_commands = ARRAY_SIZE(commands)};

	fill_standard_streams();
	if (argc < 2) {
		help_print_usage(&program, stderr);
		return STATUS_FAILED;
	}
	const char *name = argv[1];

	if (strcmp(name, "--version") == 0) {
		puts("ebprof " EBPROF_VERSION);
		return help_finish();
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		help_print_usage(&program, stdout);
		return help_finish();
	}
	const struct command *command = program_find(&program, name);

	return command ? command->run(&program, argc - 1, argv + 1) : report_unknown(&program, name);
}
