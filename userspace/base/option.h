/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - one table of options from which parsing, help, man page and shell completion all come.
 *
 * A command describes its options as rows; adding an option is adding a row and a field. Long options as in GNU
 * (--name VALUE, --name=VALUE, unique prefixes), short ones as in perf (-p 1, -p1, -qv). Parsing stops at "--" or, for
 * commands that take none, complains about the first operand. Bad input is one sentence in *problem, with "did you mean"
 * for a near miss.
 */
#ifndef EBPROF_BASE_OPTION_H
#define EBPROF_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "message.h"

enum option_kind {
	OPTION_GROUP,   /* not an option: `help` is a heading for the rows that follow */
	OPTION_FLAG,    /* bool: set to true */
	OPTION_UNFLAG,  /* bool: set to false (--no-children) */
	OPTION_STRING,  /* const char *: borrowed from argv */
	OPTION_INTEGER, /* long long: decimal, within [min, max] */
	OPTION_SIZE,    /* long long: decimal, also 64k 16m 1g (powers of 1024), within [min, max] */
	OPTION_SECONDS, /* double: decimal seconds, also 1.5s 200ms 5m 2h, within [min, max] */
	OPTION_CUSTOM,  /* parse(): anything else; may be given several times */
};

struct option_row;
/*
 * 0, or -EINVAL with *problem saying only what to do ("give a number"): option_parse() puts "-p VALUE: " before it.
 */
typedef int (*option_parse_fn)(const struct option_row *row, const char *value, void *target, struct problem *problem);

struct option_row {
	enum option_kind kind;
	char letter;          /* 0 = none */
	const char *name;     /* without dashes; NULL = letter only */
	const char *argument; /* its name in help, "PID[,PID...]"; NULL = takes none. "[=PERCENT]" = optional, with '=' only */
	const char *help;     /* a sentence without a full stop; for the man page and, cut into lines, --help */
	size_t offset;        /* of the field in the command's option struct */
	double min, max;      /* INTEGER, SIZE and SECONDS */
	const char *values;   /* completion: "pprof folded", "<file>", "<pid>", "<folder>"; NULL = none */
	option_parse_fn parse; /* CUSTOM: target is the field; value is NULL where an optional argument is absent */
};

struct option_example {
	const char *command; /* "sudo ebprof record -p 1234 -d 10" */
	const char *help;
};

/* A command's whole description. */
struct option_table {
	const char *command;     /* "record" */
	const char *summary;     /* one line */
	const char *usage;       /* "[TARGET] [OPTION]... [-- COMMAND ARG...]" */
	const char *description; /* paragraphs separated by an empty line, for --help and the man page */
	const struct option_row *rows;
	size_t nr_rows;
	const struct option_example *examples;
	size_t nr_examples;
	bool takes_command;      /* "--" or the first operand starts a command line that is not ours to parse */
	bool takes_operands;     /* FILE... */
};

struct option_rest {
	char **operands; /* borrowed part of argv: what follows the options ("--" removed), NULL-terminated */
	int nr_operands;
	bool help; /* --help or -h was given: nothing else was checked */
};

/* argv[0] is the command's name. 0 or -EINVAL with *problem. Fields are written in the order given. */
int option_parse(const struct option_table *table, int argc, char **argv, void *fields, struct option_rest *ret,
		 struct problem *problem);

/* "-p, --pid PID" as a person types it, for help; the longest row fits 80 bytes. */
void option_spell(const struct option_row *row, char *ret, size_t size);

/* The row of -h, --help, which every command has beside its table. */
extern const struct option_row option_help_row;

/* --help: at most 100 columns wide. */
void option_print_help(const struct option_table *table, FILE *out);
/* The command's part of a man page (roff), and of bash completion (cases of one function). */
void option_print_man(const struct option_table *table, FILE *out);
void option_print_completion(const struct option_table *table, FILE *out);

/* A paragraph as roff text: backslashes, dashes and leading dots made literal. */
void option_print_roff(const char *text, FILE *out);

/* The candidate nearest to word by edit distance, or NULL when none is near. */
const char *option_nearest(const char *word, const char *const *candidates, size_t nr);

#endif
