/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.c - from a command line to the fields of a command's option struct.
 *
 * One pass over argv. A word is a cluster of short options ("-qvp1"), a long option ("--pid=1"), "--", or the first
 * operand, which ends the options. Long options may be cut to any unique prefix; a whole name always wins, so "--label"
 * stays usable when "--label-file" appears one day. A row that takes an argument takes the next word whatever it looks
 * like: "-d -1" is a bad number of seconds, not an unknown option "-1", and the sentence says so.
 */
#include "option.h"

#include <errno.h>
#include <string.h>

#include "memory.h"
#include "text.h"

enum { WORD_SHOWN = 80 }; /* bytes of a person's own word that a message repeats */

const struct option_row option_help_row = {
	.kind = OPTION_FLAG,
	.letter = 'h',
	.name = "help",
	.help = "print this help",
};

struct parser {
	const struct option_table *table;
	char **next; /* the word after the one in work; NULL at the end */
	void *fields;
	struct problem *problem;
	bool help;
};

static bool takes_argument(const struct option_row *row)
{
	return row->argument && row->argument[0] != '[';
}

static bool may_take_argument(const struct option_row *row)
{
	return row->argument != NULL;
}

/* "-p", or "--format" where there is no letter. */
static void spell_short(const struct option_row *row, char *ret, size_t size)
{
	if (row->letter)
		snprintf(ret, size, "-%c", row->letter);
	else
		snprintf(ret, size, "--%s", row->name);
}

/* Fills what comes after "OPTION VALUE: ". */
static int wrong_range(const struct option_row *row, struct problem *problem)
{
	char low[TEXT_NUMBER_SIZE], high[TEXT_NUMBER_SIZE];

	if (row->kind == OPTION_SECONDS)
		return problem_set(problem, -EINVAL, "give a time from %s to %s, such as 10, 1.5s or 5m",
				   text_seconds_bound(row->min, low), text_seconds_bound(row->max, high));
	if (row->kind == OPTION_SIZE)
		return problem_set(problem, -EINVAL, "give a number from %.0f to %.0f, also as 64k or 16m", row->min,
				   row->max);
	return problem_set(problem, -EINVAL, "give a whole number from %.0f to %.0f", row->min, row->max);
}

static int set_number(const struct option_row *row, const char *value, void *field, struct problem *problem)
{
	long long number;
	bool valid = row->kind == OPTION_SIZE ? text_parse_size(value, &number) : text_parse_integer(value, &number);

	if (!valid || (double)number < row->min || (double)number > row->max)
		return wrong_range(row, problem);
	*(long long *)field = number;
	return 0;
}

static int set_seconds(const struct option_row *row, const char *value, void *field, struct problem *problem)
{
	double seconds;

	if (!text_parse_seconds(value, &seconds) || seconds < row->min || seconds > row->max)
		return wrong_range(row, problem);
	*(double *)field = seconds;
	return 0;
}

static int set_value(const struct option_row *row, const char *value, void *field, struct problem *problem)
{
	switch (row->kind) {
	case OPTION_FLAG:
	case OPTION_UNFLAG:
		*(bool *)field = row->kind == OPTION_FLAG;
		return 0;
	case OPTION_STRING:
		if (!value[0])
			return problem_set(problem, -EINVAL, "give a %s that is not empty", row->argument);
		*(const char **)field = value;
		return 0;
	case OPTION_INTEGER:
	case OPTION_SIZE:
		return set_number(row, value, field, problem);
	case OPTION_SECONDS:
		return set_seconds(row, value, field, problem);
	case OPTION_CUSTOM:
		return row->parse(row, value, field, problem);
	case OPTION_GROUP:
		break;
	}
	return problem_set(problem, -EINVAL, "not an option");
}

/* Gives the row its value; a bad one becomes "-F abc: give a whole number ...". */
static int apply(struct parser *parser, const struct option_row *row, const char *value)
{
	if (row == &option_help_row) {
		parser->help = true;
		return 0;
	}
	struct problem advice = {{0}};
	int error = set_value(row, value, (char *)parser->fields + row->offset, &advice);

	if (error) {
		char option[64], shown[WORD_SHOWN];

		spell_short(row, option, sizeof(option));
		text_printable(value ? value : "", shown, sizeof(shown));
		problem_set(parser->problem, error, "%s %s: %s", option, shown[0] ? shown : "''", advice.text);
	}
	return error;
}

/* Takes the next word as the row's argument. */
static int apply_with_next(struct parser *parser, const struct option_row *row)
{
	if (*parser->next)
		return apply(parser, row, *parser->next++);
	char option[64];

	spell_short(row, option, sizeof(option));
	return problem_set(parser->problem, -EINVAL, "%s needs an argument: write %s %s", option, option,
			   row->argument);
}

static const struct option_row *find_letter(const struct option_table *table, char letter)
{
	for (size_t i = 0; i < table->nr_rows; i++) {
		if (table->rows[i].kind != OPTION_GROUP && table->rows[i].letter == letter)
			return &table->rows[i];
	}
	return letter == option_help_row.letter ? &option_help_row : NULL;
}

/* All long names of the table and --help; *nr_ret of them, for free(). */
static const char **list_names(const struct option_table *table, size_t *nr_ret)
{
	const char **names = memory_new_array(const char *, table->nr_rows + 1);
	size_t nr = 0;

	for (size_t i = 0; i < table->nr_rows; i++) {
		if (table->rows[i].kind != OPTION_GROUP && table->rows[i].name)
			names[nr++] = table->rows[i].name;
	}
	names[nr++] = option_help_row.name;
	*nr_ret = nr;
	return names;
}

static int unknown_name(struct parser *parser, const char *dashes, const char *name)
{
	size_t nr;
	_cleanup_free_ const char **names = list_names(parser->table, &nr);
	const char *near = option_nearest(name, names, nr);
	char shown[WORD_SHOWN];

	text_printable(name, shown, sizeof(shown));
	if (near)
		return problem_set(parser->problem, -EINVAL, "unknown option %s%s: did you mean --%s?", dashes, shown,
				   near);
	return problem_set(parser->problem, -EINVAL, "unknown option %s%s: see ebprof %s --help", dashes, shown,
			   parser->table->command);
}

/* The row of a long name or of its unique prefix; NULL with *problem. */
static const struct option_row *find_name(struct parser *parser, const char *name)
{
	const struct option_row *found = NULL, *second = NULL;

	for (size_t i = 0; i <= parser->table->nr_rows; i++) {
		const struct option_row *row = i < parser->table->nr_rows ? &parser->table->rows[i] : &option_help_row;

		if (row->kind == OPTION_GROUP || !row->name || strncmp(row->name, name, strlen(name)) != 0)
			continue;
		if (strcmp(row->name, name) == 0)
			return row;
		second = found;
		found = row;
	}
	if (!found || !name[0]) {
		unknown_name(parser, "--", name);
		return NULL;
	}
	if (second) {
		problem_set(parser->problem, -EINVAL, "--%s is ambiguous: did you mean --%s or --%s?", name,
			    second->name, found->name);
		return NULL;
	}
	return found;
}

static int parse_long(struct parser *parser, const char *word)
{
	const char *equals = strchr(word, '=');
	_cleanup_free_ char *name = memory_strdup(word);

	if (equals)
		name[equals - word] = 0;
	const struct option_row *row = find_name(parser, name);

	if (!row)
		return -EINVAL;
	if (equals && !may_take_argument(row))
		return problem_set(parser->problem, -EINVAL, "--%s takes no value: leave out '=' and what follows",
				   row->name);
	if (equals || !takes_argument(row))
		return apply(parser, row, equals ? equals + 1 : NULL);
	return apply_with_next(parser, row);
}

/* "-qvp1": flags until an option that takes the rest of the word, or the next word. */
static int parse_cluster(struct parser *parser, const char *letters)
{
	for (const char *c = letters; *c && !parser->help; c++) {
		const struct option_row *row = find_letter(parser->table, *c);
		int error;

		/* The whole word may be a long option with a dash too few, which is the better hint. */
		if (!row)
			return unknown_name(parser, "-", letters[1] ? letters : c);
		if (takes_argument(row))
			return c[1] ? apply(parser, row, c + 1) : apply_with_next(parser, row);
		error = apply(parser, row, NULL);
		if (error)
			return error;
	}
	return 0;
}

static int check_operands(struct parser *parser, bool after_dashes)
{
	char shown[WORD_SHOWN];

	if (!*parser->next || parser->table->takes_command || parser->table->takes_operands)
		return 0;
	text_printable(*parser->next, shown, sizeof(shown));
	return problem_set(parser->problem, -EINVAL, "unexpected argument '%s'%s: see ebprof %s --help", shown,
			   after_dashes ? " after --" : "", parser->table->command);
}

int option_parse(const struct option_table *table, int argc, char **argv, void *fields, struct option_rest *ret,
		 struct problem *problem)
{
	struct parser parser = {.table = table, .next = argv + (argc > 0), .fields = fields, .problem = problem};
	bool dashes = false;
	int error = 0;

	while (*parser.next && !error && !parser.help && !dashes) {
		const char *word = *parser.next;

		if (word[0] != '-' || !word[1])
			break;
		parser.next++;
		dashes = strcmp(word, "--") == 0;
		if (dashes)
			break;
		error = word[1] == '-' ? parse_long(&parser, word + 2) : parse_cluster(&parser, word + 1);
	}
	if (!error && !parser.help)
		error = check_operands(&parser, dashes);
	if (error)
		return error;
	*ret = (struct option_rest){.operands = parser.next, .help = parser.help};
	while (ret->operands[ret->nr_operands])
		ret->nr_operands++;
	return 0;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Edits (insert, delete, replace, swap of neighbours) that turn a into b: the usual table, of which only the last three
 * rows are needed, each one a character of a longer than the one before.
 */
static size_t edit_distance(const char *a, const char *b)
{
	enum { LENGTH_MAX = 40 };
	size_t nr_a = strlen(a), nr_b = strlen(b);
	size_t rows[3][LENGTH_MAX + 1];

	if (nr_a > LENGTH_MAX || nr_b > LENGTH_MAX)
		return LENGTH_MAX;
	for (size_t j = 0; j <= nr_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= nr_a; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *twice = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= nr_b; j++) {
			row[j] = min_size(above[j - 1] + (a[i - 1] != b[j - 1]), min_size(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min_size(row[j], twice[j - 2] + 1);
		}
	}
	return rows[nr_a % 3][nr_b];
}

const char *option_nearest(const char *word, const char *const *candidates, size_t nr)
{
	const char *nearest = NULL;
	/* One edit in three characters: farther words are more often a wrong guess than a typing mistake. */
	size_t best = strlen(word) / 3 + 2;

	if (strlen(word) < 2)
		return NULL;
	for (size_t i = 0; i < nr; i++) {
		size_t distance = edit_distance(word, candidates[i]);

		if (distance < best) {
			best = distance;
			nearest = candidates[i];
		}
	}
	return nearest;
}
