/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instruction_compare.c - are instructions as long as objdump says?
 *
 *     objdump -d -w FILE | instruction_compare NAME
 *
 * Each line that objdump understood is decoded from the bytes that it shows, with other bytes behind them so that a
 * decoder which reads on is caught. Also compared: whether it is a call, jump or return, and the target of a direct
 * one. Prefixes alone, which objdump shows as a line of their own, are left out. In tables of numbers amidst code
 * objdump also names what every processor refuses: those needn't be decoded.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "instruction.h"

enum { LINE_MAX_BYTES = 4096, SHOWN_MAX = 20 };

struct line {
	uint64_t addr;
	uint8_t bytes[2 * INSTRUCTION_MAX_BYTES];
	size_t size;
	const char *text; /* mnemonic and operands */
};

static bool parse_line(char *text, struct line *ret)
{
	char *end;

	ret->addr = strtoull(text, &end, 16);
	ret->size = 0;
	if (end == text || strncmp(end, ":\t", 2) != 0)
		return false;
	text = end + 2;
	while (ret->size < INSTRUCTION_MAX_BYTES) {
		unsigned long byte = strtoul(text, &end, 16);

		if (end != text + 2)
			break;
		ret->bytes[ret->size++] = (uint8_t)byte;
		text = end + 1;
	}
	text = strchr(text, '\t');
	if (!text)
		return false;
	ret->text = text + 1;
	/* To objdump, fwait and the instruction behind it are one. */
	if (ret->bytes[0] == 0x9b && ret->size > 1) {
		ret->addr++;
		ret->size--;
		memmove(ret->bytes, ret->bytes + 1, ret->size);
	}
	return true;
}

/* The mnemonic behind prefixes that objdump spells out; empty if there is none. */
static const char *find_mnemonic(const struct line *line)
{
	static const char *const prefixes[] = {"bnd", "notrack", "data16", "addr32", "cs",    "ds",  "es",
					       "fs",  "gs",      "ss",     "repz",   "repnz", "rep", "lock"};
	const char *text = line->text;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t length = strcspn(text, " \n");
		bool is_prefix = length == strlen(prefixes[i]) && strncmp(text, prefixes[i], length) == 0;

		if (is_prefix || strncmp(text, "rex", 3) == 0) {
			text += length + strspn(text + length, " \n");
			i = (size_t)-1;
		}
	}
	return text;
}

/* "(bad)", data, prefixes alone, and jumps of 16 bits, which Intel's processors don't have. */
static bool is_no_instruction(const struct line *line)
{
	const char *mnemonic = find_mnemonic(line);

	return strstr(line->text, "(bad)") || line->text[0] == '.' || !*mnemonic || strncmp(mnemonic, "jmpw", 4) == 0 ||
	       strncmp(mnemonic, "callw", 5) == 0;
}

static bool starts_with_any(const char *text, const char *const *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (strncmp(text, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* Whether the last operand, which is the one that is written, is a register. */
static bool writes_register(const char *operands)
{
	const char *comma = memrchr(operands, ',', strcspn(operands, "#\n"));
	const char *last = comma ? comma + 1 : operands + strspn(operands, " ");

	return *last == '%' && !strchr(last, ':');
}

/* lock of what can't be locked, segment registers that are none or can't be loaded, REX before VEX, and a 287's. */
static bool is_refused(const struct line *line)
{
	static const char *const lockable[] = {"add", "adc", "and", "bt",  "cmpxchg", "dec",  "inc", "neg",
					       "not", "or",  "sbb", "sub", "xor",     "xadd", "xchg"};
	const char *mnemonic = find_mnemonic(line);
	bool is_locked = strncmp(line->text, "lock ", 5) == 0 || strstr(line->text, " lock ");

	if (is_locked && (!starts_with_any(mnemonic, lockable, sizeof(lockable) / sizeof(lockable[0])) ||
			  writes_register(mnemonic + strcspn(mnemonic, " \n"))))
		return true;
	return strstr(line->text, "%?") || strstr(line->text, ",%cs") || strncmp(mnemonic, "frstpm", 6) == 0 ||
	       (strncmp(line->text, "rex", 3) == 0 && mnemonic[0] == 'v');
}

static bool is_kind_right(const struct line *line, const struct instruction *instruction)
{
	const char *mnemonic = find_mnemonic(line);
	bool is_call = strncmp(mnemonic, "call", 4) == 0;
	static const char *const jumps[] = {"jmp", "ljmp"};
	static const char *const returns[] = {"ret", "lret", "iret"};
	bool is_jump = starts_with_any(mnemonic, jumps, 2);
	bool is_return = starts_with_any(mnemonic, returns, 3);

	if ((instruction->kind == INSTRUCTION_CALL) != is_call || (instruction->kind == INSTRUCTION_JUMP) != is_jump ||
	    (instruction->kind == INSTRUCTION_RETURN) != is_return)
		return false;
	const char *operand = mnemonic + strcspn(mnemonic, " \n");

	operand += strspn(operand, " ");
	if ((!is_call && !is_jump) || operand[0] == '*')
		return true;
	return strtoull(operand, NULL, 16) == instruction->target;
}

int main(int argc, char **argv)
{
	static char text[LINE_MAX_BYTES];
	uint64_t nr = 0, different = 0;

	while (fgets(text, sizeof(text), stdin)) {
		struct line line;
		struct instruction instruction;

		if (!parse_line(text, &line) || is_no_instruction(&line))
			continue;
		memset(line.bytes + line.size, 0x24, sizeof(line.bytes) - line.size);
		nr++;
		instruction = (struct instruction){.length = 0};
		if (instruction_decode(line.bytes, sizeof(line.bytes), line.addr, &instruction)
			    ? instruction.length == line.size && is_kind_right(&line, &instruction)
			    : is_refused(&line))
			continue;
		if (different++ < SHOWN_MAX)
			printf("%#" PRIx64 ": %u bytes, kind %u, target %#" PRIx64 "; objdump: %zu bytes, %s",
			       line.addr, instruction.length, instruction.kind, instruction.target, line.size,
			       line.text);
	}
	printf("%s: %" PRIu64 " instructions as objdump has them, %" PRIu64 " different\n", argc > 1 ? argv[1] : "",
	       nr - different, different);
	return different || !nr;
}
