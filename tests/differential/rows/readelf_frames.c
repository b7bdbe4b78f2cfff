/* SPDX-License-Identifier: Apache-2.0 */
#include "readelf_frames.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "rows.h"

enum { COLUMNS_MAX = 40 };

static const char *const registers[NR_REGS] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
	"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip",
};

struct readelf_cie {
	uint64_t offset;
	bool is_debug_frame;
	bool is_signal;
	struct readelf_row row;
};

struct parser {
	struct readelf_frames *frames;
	VECTOR(struct readelf_cie) cies;
	bool is_debug_frame;
	bool in_cie;
	bool in_rows; /* below a header of columns */
	unsigned int nr_columns;
	char columns[COLUMNS_MAX]; /* 'a' return address, 'b' rbp, 's' rsp, '-' others */
	uint64_t offset;           /* of the entry being read */
};

static FILE *start_readelf(const char *dump, const char *path, pid_t *ret_pid)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return NULL;
	pid_t pid = fork();

	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		setenv("LC_ALL", "C", 1);
		execlp("readelf", "readelf", "--wide", dump, path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	FILE *stream = pid < 0 ? NULL : fdopen(ends[0], "r");

	if (!stream)
		close(ends[0]);
	*ret_pid = pid;
	return stream;
}

/* The number of a register at the text's start, by name or as r0..r16; NR_REGS: none. */
static uint8_t parse_register(const char *text, const char **ret_end)
{
	if (text[0] == 'r' && text[1] >= '0' && text[1] <= '9') {
		unsigned long number = strtoul(text + 1, (char **)ret_end, 10);

		return number < NR_REGS ? (uint8_t)number : NR_REGS;
	}
	for (uint8_t i = 0; i < NR_REGS; i++) {
		size_t length = strlen(registers[i]);

		if (strncmp(text, registers[i], length) == 0 && (text[length] < '0' || text[length] > '9')) {
			*ret_end = text + length;
			return i;
		}
	}
	return NR_REGS;
}

/* The next word of a row; of "r2 (rcx)" only the first. */
static char *next_word(char *line, char **rest)
{
	char *word;

	do {
		word = strtok_r(line, " \n", rest);
		line = NULL;
	} while (word && word[0] == '(');
	return word;
}

static struct readelf_cell parse_cell(const char *text)
{
	struct readelf_cell cell = {.kind = CELL_OTHER};
	const char *end;

	if (strcmp(text, "u") == 0) {
		cell.kind = CELL_U;
	} else if (strcmp(text, "s") == 0) {
		cell.kind = CELL_SAME;
	} else if (strcmp(text, "exp") == 0) {
		cell.kind = CELL_EXPRESSION;
	} else if (strcmp(text, "vexp") == 0) {
		cell.kind = CELL_VALUE_EXPRESSION;
	} else if ((text[0] == 'c' || text[0] == 'v') && (text[1] == '+' || text[1] == '-')) {
		cell.kind = text[0] == 'c' ? CELL_AT_CFA : CELL_CFA;
		cell.offset = (int32_t)strtol(text + 1, NULL, 10);
	} else {
		cell.reg = parse_register(text, &end);
		if (cell.reg != NR_REGS) {
			cell.kind = CELL_REGISTER;
			cell.offset = (int32_t)strtol(end, NULL, 10);
		}
	}
	return cell;
}

static void parse_header(struct parser *parser, char *line)
{
	char *rest = NULL;

	parser->in_rows = true;
	parser->nr_columns = 0;
	strtok_r(line, " \n", &rest); /* LOC */
	strtok_r(NULL, " \n", &rest); /* CFA */
	for (char *name; (name = strtok_r(NULL, " \n", &rest)) && parser->nr_columns < COLUMNS_MAX;) {
		char column = '-';

		if (strcmp(name, "ra") == 0)
			column = 'a';
		else if (strcmp(name, "rbp") == 0)
			column = 'b';
		else if (strcmp(name, "rsp") == 0)
			column = 's';
		else if (strcmp(name, "rbx") == 0)
			column = 'x';
		parser->columns[parser->nr_columns++] = column;
	}
}

static void parse_row(struct parser *parser, char *line)
{
	struct readelf_row row = {0};
	char *rest = NULL;
	char *text = next_word(line, &rest);

	if (!text) {
		parser->in_rows = false;
		return;
	}
	row.start = strtoull(text, NULL, 16);
	text = next_word(NULL, &rest);
	if (text)
		row.cfa = parse_cell(text);
	for (unsigned int i = 0; i < parser->nr_columns && (text = next_word(NULL, &rest)); i++) {
		if (parser->columns[i] == 'a')
			row.ra = parse_cell(text);
		else if (parser->columns[i] == 'b')
			row.rbp = parse_cell(text);
		else if (parser->columns[i] == 's')
			row.rsp = parse_cell(text);
		else if (parser->columns[i] == 'x')
			row.rbx = parse_cell(text);
	}
	if (parser->in_cie) {
		parser->cies.data[parser->cies.nr - 1].row = row;
		return;
	}
	struct readelf_frames *frames = parser->frames;
	struct readelf_fde *fde = &frames->fdes.data[frames->fdes.nr - 1];

	/* The row of a function that says nothing of its own was only assumed. */
	if (fde->nr_rows == 1 && frames->rows.data[fde->first_row].start == row.start)
		frames->rows.data[fde->first_row] = row;
	else {
		*vector_push(&frames->rows) = row;
		fde->nr_rows++;
	}
}

static const struct readelf_cie *find_cie(const struct parser *parser, uint64_t offset)
{
	for (size_t i = parser->cies.nr; i > 0; i--) {
		const struct readelf_cie *cie = &parser->cies.data[i - 1];

		if (cie->is_debug_frame == parser->is_debug_frame && cie->offset == offset)
			return cie;
	}
	return NULL;
}

/* "00000014 000000000000001c 00000018 FDE cie=00000000 pc=0000000000001060..0000000000001083" */
static void parse_fde(struct parser *parser, const char *line)
{
	struct readelf_frames *frames = parser->frames;
	unsigned long long cie_offset;
	unsigned long long start;
	unsigned long long end;

	parser->in_cie = false;
	if (sscanf(line, "FDE cie=%llx pc=%llx..%llx", &cie_offset, &start, &end) != 3)
		return;
	const struct readelf_cie *cie = find_cie(parser, cie_offset);
	struct readelf_row row = {0};

	if (cie)
		row = cie->row;
	row.start = start;
	*vector_push(&frames->fdes) = (struct readelf_fde){
		.start = start,
		.end = end,
		.offset = parser->offset,
		.is_debug_frame = parser->is_debug_frame,
		.is_signal = cie && cie->is_signal,
		.first_row = (uint32_t)frames->rows.nr,
		.nr_rows = 1,
	};
	*vector_push(&frames->rows) = row;
}

/* False: no line that says which entry comes now. */
static bool parse_entry(struct parser *parser, const char *line)
{
	static const char contents[] = "Contents of the .";
	const char *kind;

	if (strncmp(line, contents, sizeof(contents) - 1) == 0) {
		parser->is_debug_frame = strstr(line, "debug_frame") != NULL;
		return true;
	}
	if ((kind = strstr(line, " CIE \""))) {
		const char *letters = kind + 6;

		parser->offset = strtoull(line, NULL, 16);
		parser->in_cie = true;
		*vector_push(&parser->cies) = (struct readelf_cie){
			.offset = parser->offset,
			.is_debug_frame = parser->is_debug_frame,
			.is_signal = memchr(letters, 'S', strcspn(letters, "\"")) != NULL,
		};
		return true;
	}
	if ((kind = strstr(line, " FDE cie="))) {
		parser->offset = strtoull(line, NULL, 16);
		parse_fde(parser, kind + 1);
		return true;
	}
	return false;
}

static void parse_interpreted(struct parser *parser, char *line)
{
	if (strncmp(line, "   LOC ", 7) == 0)
		parse_header(parser, line);
	else if (parser->in_rows)
		parse_row(parser, line);
	else
		parse_entry(parser, line);
}

/* "  DW_CFA_expression: r6 (rbp) (DW_OP_breg6 (rbp): 0)", "  DW_CFA_def_cfa_expression (DW_OP_breg6 ...)" */
static void parse_instruction(struct parser *parser, char *line)
{
	char *start = strstr(line, "expression");
	char *text = start ? strstr(start, "(DW_OP") : NULL;
	char *end = strrchr(line, ')');
	char column = 0;

	if (!text || !end || end < text)
		return;
	if (strstr(line, "DW_CFA_def_cfa_expression"))
		column = 'c';
	else if (strstr(line, ": r6 (rbp)"))
		column = 'b';
	else if (strstr(line, ": r16 (rip)"))
		column = 'a';
	if (!column)
		return;
	*end = '\0';
	*vector_push(&parser->frames->expressions) = (struct readelf_expression){
		.offset = parser->offset,
		.is_debug_frame = parser->is_debug_frame,
		.column = column,
		.is_value = strstr(line, "DW_CFA_val_expression") != NULL,
		.text = memory_strdup(text + 1),
	};
}

static void parse_raw(struct parser *parser, char *line)
{
	if (!parse_entry(parser, line))
		parse_instruction(parser, line);
}

static int run_parser(const char *dump, const char *path, struct readelf_frames *frames,
		      void (*parse)(struct parser *parser, char *line))
{
	struct parser parser = {.frames = frames};
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	pid_t pid;
	int status;
	FILE *stream = start_readelf(dump, path, &pid);

	if (!stream)
		return -EIO;
	while (getline(&line, &size, stream) > 0)
		parse(&parser, line);
	fclose(stream);
	vector_free(&parser.cies);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return -EIO;
	return 0;
}

int readelf_frames_read(const char *path, struct readelf_frames *ret)
{
	*ret = (struct readelf_frames){0};
	return run_parser("--debug-dump=no-follow-links,frames-interp", path, ret, parse_interpreted);
}

int readelf_frames_read_expressions(const char *path, struct readelf_frames *frames)
{
	struct readelf_frames raw = {0};
	int err = run_parser("--debug-dump=no-follow-links,frames", path, &raw, parse_raw);

	frames->expressions.data = raw.expressions.data;
	frames->expressions.nr = raw.expressions.nr;
	frames->expressions.capacity = raw.expressions.capacity;
	vector_free(&raw.fdes);
	vector_free(&raw.rows);
	return err;
}

void readelf_frames_deinit(struct readelf_frames *frames)
{
	for (size_t i = 0; i < frames->expressions.nr; i++)
		free(frames->expressions.data[i].text);
	vector_free(&frames->expressions);
	vector_free(&frames->fdes);
	vector_free(&frames->rows);
}
