/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.c - `ebprof help`, and the frame around what option_help.c makes of each command's table.
 *
 * The man page has the sections that readers of man pages expect; only what holds for the whole program is text here:
 * exit statuses, files, other manuals. Options and examples come from the tables.
 */
#include "help.h"

#include <errno.h>
#include <string.h>

#include "memory.h"
#include "text.h"

static const char program_summary[] = "profile running programs, without preparing them";

static const char program_description[] =
	"ebprof records where a process, its children or a command spends CPU time, and writes a profile that go tool\n"
	"pprof, speedscope and others read. Stacks are walked in the kernel, with or without frame pointers, so "
	"nothing\n"
	"has to be rebuilt, restarted or configured. It needs root, or the capabilities that it names when they are\n"
	"missing.";

static const struct {
	const char *status, *meaning;
} exit_statuses[] = {
	{"0", "done"},
	{"1", "the answer is no: more was lost than --strict allows, or doctor finds that recording can't work"},
	{"2", "could not do it; always so for a wrong option"},
	{"N", "with a COMMAND: its own exit status; when that is 0, 1 for losses over --strict"},
	{"125", "with a COMMAND: ebprof itself failed"},
	{"126", "COMMAND cannot be executed"},
	{"127", "COMMAND was not found"},
	{"128+N", "signal N ended COMMAND, or ebprof before it could write the file"},
};

static const struct {
	const char *name, *meaning;
} files[] = {
	{"ebprof.cpu.pb.gz", "the profile, in profile.proto's format, unless -o names another file"},
	{"ebprof.cpu.folded", "the same with --format folded: one line per stack"},
	{"FILE.old", "what FILE was before: an existing regular file is kept under this name"},
	{".FILE.xxxxxx", "the profile while it is written; renamed when it is whole, removed when it cannot be"},
};

const struct command *program_find(const struct program *program, const char *name)
{
	for (size_t i = 0; i < program->nr_commands; i++) {
		if (strcmp(program->commands[i]->options->command, name) == 0)
			return program->commands[i];
	}
	return NULL;
}

const char *program_nearest(const struct program *program, const char *name)
{
	_cleanup_free_ const char **names = memory_new_array(const char *, program->nr_commands);

	for (size_t i = 0; i < program->nr_commands; i++)
		names[i] = program->commands[i]->options->command;
	return option_nearest(name, names, program->nr_commands);
}

void help_print_usage(const struct program *program, FILE *out)
{
	fputs("Usage: ebprof COMMAND [OPTION]...\n\nCommands:\n", out);
	for (size_t i = 0; i < program->nr_commands; i++)
		fprintf(out, "  %-10s%s\n", program->commands[i]->options->command,
			program->commands[i]->options->summary);
	fputs("\nebprof COMMAND --help shows a command's options; ebprof --version the version.\n\nExamples:\n", out);
	for (size_t i = 0; i < program->nr_commands; i++) {
		const struct option_table *table = program->commands[i]->options;

		for (size_t j = 0; j < table->nr_examples && j < 2; j++)
			fprintf(out, "  %s\n", table->examples[j].command);
	}
}

/* A paragraph with a bold or italic head. */
static void print_man_item(const char *head, const char *text, char font, FILE *out)
{
	fprintf(out, ".TP\n\\f%c", font);
	option_print_roff(head, out);
	/* The font ends where the next line begins: the head is a line of its own. */
	fputs("\\fR", out);
	option_print_roff(text, out);
}

static void print_man_examples(const struct program *program, FILE *out)
{
	fputs(".SH EXAMPLES\n", out);
	for (size_t i = 0; i < program->nr_commands; i++) {
		const struct option_table *table = program->commands[i]->options;

		for (size_t j = 0; j < table->nr_examples; j++)
			print_man_item(table->examples[j].command, table->examples[j].help, 'B', out);
	}
}

void help_print_man(const struct program *program, FILE *out)
{
	fprintf(out, ".TH EBPROF 1 \"\" \"ebprof %s\" \"User Commands\"\n.SH NAME\nebprof \\- %s\n.SH SYNOPSIS\n",
		EBPROF_VERSION, program_summary);
	for (size_t i = 0; i < program->nr_commands; i++) {
		const struct option_table *table = program->commands[i]->options;

		fprintf(out, "%s\\fBebprof %s\\fR ", i ? ".br\n" : "", table->command);
		option_print_roff(table->usage, out);
	}
	fputs(".SH DESCRIPTION\n", out);
	option_print_roff(program_description, out);
	fputs(".SH OPTIONS\n", out);
	for (size_t i = 0; i < program->nr_commands; i++)
		option_print_man(program->commands[i]->options, out);
	fputs(".SH \"EXIT STATUS\"\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(exit_statuses); i++)
		print_man_item(exit_statuses[i].status, exit_statuses[i].meaning, 'B', out);
	fputs(".SH FILES\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		print_man_item(files[i].name, files[i].meaning, 'I', out);
	print_man_examples(program, out);
	fputs(".SH \"SEE ALSO\"\n.BR perf (1),\n.BR gdb (1),\n.BR capabilities (7),\n.BR perf_event_open (2)\n", out);
}

void help_print_completion(const struct program *program, FILE *out)
{
	fputs("# bash completion for ebprof; made by `ebprof help --completion`.\n"
	      "_ebprof()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= i\n"
	      "\tCOMPREPLY=()\n"
	      "\t# --option=value reaches us as three words.\n"
	      "\tif [[ $cur == '=' ]]; then\n"
	      "\t\tcur=\n"
	      "\telif [[ $prev == '=' ]]; then\n"
	      "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\tfi\n"
	      "\t# Behind -- stands another program's command line.\n"
	      "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	      "\t\tif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
	      "\t\t\tif ((i + 1 == COMP_CWORD)); then\n"
	      "\t\t\t\tCOMPREPLY=($(compgen -c -- \"$cur\"))\n"
	      "\t\t\telse\n"
	      "\t\t\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
	      "\t\t\tfi\n"
	      "\t\t\treturn\n"
	      "\t\tfi\n"
	      "\tdone\n"
	      "\tif ((COMP_CWORD == 1)); then\n\t\tCOMPREPLY=($(compgen -W '",
	      out);
	for (size_t i = 0; i < program->nr_commands; i++)
		fprintf(out, "%s ", program->commands[i]->options->command);
	fputs("--help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n", out);
	for (size_t i = 0; i < program->nr_commands; i++)
		option_print_completion(program->commands[i]->options, out);
	fputs("\tesac\n"
	      "\tif [[ $cur == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "\telse\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\") $(compgen -f -- \"$cur\"))\n"
	      "\tfi\n"
	      "}\n"
	      "complete -o filenames -F _ebprof ebprof\n",
	      out);
}

int help_finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return STATUS_DONE;
	message_error("cannot write to standard output: %s", strerror(errno));
	return STATUS_FAILED;
}

struct help_options {
	bool man, completion;
};

static const struct option_row help_rows[] = {
	{
		.kind = OPTION_FLAG,
		.name = "man",
		.help = "print the man page (roff)",
		.offset = offsetof(struct help_options, man),
	},
	{
		.kind = OPTION_FLAG,
		.name = "completion",
		.help = "print the bash completion",
		.offset = offsetof(struct help_options, completion),
	},
};

static const struct option_table help_table = {
	.command = "help",
	.summary = "show what ebprof can do, or a command's options",
	.usage = "[COMMAND] [--man] [--completion]",
	.description = "Shows the commands, or one COMMAND's options.",
	.rows = help_rows,
	.nr_rows = ARRAY_SIZE(help_rows),
	.takes_operands = true,
};

static int help_on_command(const struct program *program, const char *name)
{
	const struct command *command = program_find(program, name);
	char shown[64];

	if (!command) {
		const char *near = program_nearest(program, name);

		message_error("no command '%s': %s%s%s", text_printable(name, shown, sizeof(shown)),
			      near ? "did you mean " : "see ebprof help", near ? near : "", near ? "?" : "");
		return STATUS_FAILED;
	}
	option_print_help(command->options, stdout);
	return help_finish();
}

static int help_run(const struct program *program, int argc, char **argv)
{
	struct help_options options = {0};
	struct option_rest rest;
	struct problem problem;

	if (option_parse(&help_table, argc, argv, &options, &rest, &problem)) {
		message_error("%s", problem.text);
		return STATUS_FAILED;
	}
	if (rest.nr_operands > 1) {
		message_error("help takes one COMMAND: leave out what follows it");
		return STATUS_FAILED;
	}
	if (rest.help)
		return help_on_command(program, help_table.command);
	if (rest.nr_operands)
		return help_on_command(program, rest.operands[0]);
	if (options.man)
		help_print_man(program, stdout);
	else if (options.completion)
		help_print_completion(program, stdout);
	else
		help_print_usage(program, stdout);
	return help_finish();
}

const struct command help_command = {.options = &help_table, .run = help_run};
