/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option_help.c - the same option table as text for --help, as roff for the man page, and as a case of the bash
 * completion function.
 *
 * All three walk the rows in the table's order with the -h row last, so nothing can be documented in one place and
 * missing in another. Help sentences are kept as one line in the table and broken here.
 */
#include <stdbool.h>
#include <string.h>

#include "memory.h"
#include "option.h"

enum { HELP_WIDTH = 98, HELP_COLUMN = 28 };

/* The rows of the table and then -h; NULL behind the last. */
static const struct option_row *row_at(const struct option_table *table, size_t index)
{
	if (index < table->nr_rows)
		return &table->rows[index];
	return index == table->nr_rows ? &option_help_row : NULL;
}

void option_spell(const struct option_row *row, char *ret, size_t size)
{
	const char *argument = row->argument ? row->argument : "";
	const char *blank = argument[0] && argument[0] != '[' ? " " : "";

	if (row->letter && row->name)
		snprintf(ret, size, "-%c, --%s%s%s", row->letter, row->name, blank, argument);
	else if (row->letter)
		snprintf(ret, size, "-%c%s%s", row->letter, blank, argument);
	else
		snprintf(ret, size, "    --%s%s%s", row->name, blank, argument);
}

/* Prints words from column `at` on, lines after the first indented; '\n' in text ends a line. */
static void print_wrapped(FILE *out, const char *text, size_t at, size_t indent)
{
	while (*text) {
		size_t length = strcspn(text, " \n");

		if (at > indent && at + 1 + length > HELP_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		}
		fprintf(out, "%s%.*s", at > indent ? " " : "", (int)length, text);
		at += (at > indent) + length;
		text += length;
		if (*text == '\n' && text[1]) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		}
		text += *text != 0;
	}
	fputc('\n', out);
}

static void print_help_row(const struct option_row *row, FILE *out)
{
	char spelled[80];

	if (row->kind == OPTION_GROUP) {
		fprintf(out, "\n%s:\n", row->help);
		return;
	}
	/* Apart from the last group, which it does not belong to. */
	if (row == &option_help_row)
		fputc('\n', out);
	option_spell(row, spelled, sizeof(spelled));
	fprintf(out, "  %-*s", HELP_COLUMN - 4, spelled);
	if (strlen(spelled) > HELP_COLUMN - 4)
		fprintf(out, "\n%*s", HELP_COLUMN, "");
	else
		fputs("  ", out);
	print_wrapped(out, row->help, HELP_COLUMN, HELP_COLUMN);
}

void option_print_help(const struct option_table *table, FILE *out)
{
	fprintf(out, "Usage: ebprof %s %s\n\n", table->command, table->usage);
	print_wrapped(out, table->description, 0, 0);
	if (!table->nr_rows || table->rows[0].kind != OPTION_GROUP)
		fputs("\nOptions:\n", out);
	for (size_t i = 0; i <= table->nr_rows; i++)
		print_help_row(row_at(table, i), out);
	if (table->nr_examples)
		fputs("\nExamples:\n", out);
	for (size_t i = 0; i < table->nr_examples; i++) {
		fprintf(out, "  %s\n      ", table->examples[i].command);
		print_wrapped(out, table->examples[i].help, 6, 6);
	}
}

/* One line of roff text: a dash must be \- to stay an ASCII dash, and a leading dot would be a request. */
static void print_roff_line(const char *text, size_t length, FILE *out)
{
	if (length && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", out);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\')
			fputs("\\e", out);
		else if (text[i] == '-')
			fputs("\\-", out);
		else
			fputc(text[i], out);
	}
}

void option_print_roff(const char *text, FILE *out)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		/* An empty line is a request of its own. */
		if (!length)
			fputs(".PP", out);
		print_roff_line(text, length, out);
		fputc('\n', out);
		text += length + (text[length] != 0);
	}
}

static void print_man_row(const struct option_row *row, FILE *out)
{
	if (row->kind == OPTION_GROUP) {
		fprintf(out, ".PP\n.I \"%s\"\n", row->help);
		return;
	}
	fputs(".TP\n", out);
	if (row->letter)
		fprintf(out, "\\fB\\-%c\\fR", row->letter);
	if (row->letter && row->name)
		fputs(", ", out);
	if (row->name) {
		fputs("\\fB\\-\\-", out);
		print_roff_line(row->name, strlen(row->name), out);
		fputs("\\fR", out);
	}
	if (row->argument)
		fprintf(out, "%s\\fI%s\\fR", row->argument[0] == '[' ? "" : " ", row->argument);
	fputc('\n', out);
	option_print_roff(row->help, out);
}

void option_print_man(const struct option_table *table, FILE *out)
{
	fprintf(out, ".SS ebprof %s\n", table->command);
	fprintf(out, "\\fBebprof %s\\fR ", table->command);
	option_print_roff(table->usage, out);
	fputs(".PP\n", out);
	option_print_roff(table->description, out);
	for (size_t i = 0; i <= table->nr_rows; i++)
		print_man_row(row_at(table, i), out);
}

/* What compgen needs for the values of a row. */
static void print_completion_values(const char *values, FILE *out)
{
	if (strcmp(values, "<file>") == 0)
		fputs("-f", out);
	else if (strcmp(values, "<folder>") == 0)
		fputs("-d", out);
	else if (strcmp(values, "<pid>") == 0)
		fputs("-W \"$(cd /proc && echo [0-9]*)\"", out);
	else
		fprintf(out, "-W '%s'", values);
}

static void print_completion_case(const struct option_row *row, FILE *out)
{
	if (row->kind == OPTION_GROUP || !row->argument || row->argument[0] == '[')
		return;
	fputs("\t\t", out);
	if (row->letter)
		fprintf(out, "-%c%s", row->letter, row->name ? "|" : "");
	if (row->name)
		fprintf(out, "--%s", row->name);
	fputs(")\n\t\t\t", out);
	/* Without known values: nothing, rather than option names where a number belongs. */
	if (row->values) {
		fputs("COMPREPLY=($(compgen ", out);
		print_completion_values(row->values, out);
		fputs(" -- \"$cur\")); ", out);
	}
	fputs("return ;;\n", out);
}

void option_print_completion(const struct option_table *table, FILE *out)
{
	fprintf(out, "\t%s)\n\t\tcase $prev in\n", table->command);
	for (size_t i = 0; i <= table->nr_rows; i++)
		print_completion_case(row_at(table, i), out);
	fputs("\t\tesac\n\t\twords='", out);
	for (size_t i = 0; i <= table->nr_rows; i++) {
		const struct option_row *row = row_at(table, i);

		if (row->kind == OPTION_GROUP)
			continue;
		if (row->letter)
			fprintf(out, "-%c ", row->letter);
		if (row->name)
			fprintf(out, "--%s ", row->name);
	}
	fprintf(out, "%s'\n\t\t;;\n", table->takes_command ? "--" : "");
}
