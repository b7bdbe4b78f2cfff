/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_roots.c - recognizes the code that a new thread, or a process, begins with.
 *
 * The ABI marks the outermost frame by a frame pointer of 0. So such code clears rbp, calls what it is there for, and
 * never returns: it ends the thread by a system call, and stops in case that this fails. A subroutine that uses rbp as
 * a counter clears it, too, but then it returns.
 */
#include "code_roots.h"

#include <stdbool.h>
#include <string.h>

#include "instruction.h"
#include "memory.h"

enum { NEAR = 8 }; /* instructions that are looked at on either side of the call */

/* xor %ebp,%ebp in each way to write it; the instruction's length, or 0. */
static size_t clears_rbp(const uint8_t *code, size_t size)
{
	static const char *const forms[] = {"\x31\xed", "\x33\xed", "\x48\x31\xed", "\x48\x33\xed"};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t length = strlen(forms[i]);

		if (size >= length && memcmp(code, forms[i], length) == 0)
			return length;
	}
	return 0;
}

static bool is_system_call(const uint8_t *code, const struct instruction *instruction)
{
	return instruction->length == 2 && code[0] == 0x0f && code[1] == 0x05;
}

/* Passes over instructions up to one that does more than compute; false = there is none near, or no code. */
static bool find_transfer(const uint8_t *code, size_t size, size_t *at, struct instruction *ret)
{
	for (int i = 0; i < NEAR; i++) {
		if (!instruction_decode(code + *at, size - *at, *at, ret))
			return false;
		if (ret->kind == INSTRUCTION_FILLER || ret->kind >= INSTRUCTION_CALL || is_system_call(code + *at, ret))
			return true;
		*at += ret->length;
	}
	return false;
}

uint32_t code_root_size(const uint8_t *code, size_t size)
{
	struct instruction instruction;
	size_t start = clears_rbp(code, size);
	size_t at = start;

	if (!start || !find_transfer(code, size, &at, &instruction) || instruction.kind != INSTRUCTION_CALL)
		return 0;
	at += instruction.length;
	if (!find_transfer(code, size, &at, &instruction))
		return 0;
	if (is_system_call(code + at, &instruction)) {
		at += instruction.length;
		if (!find_transfer(code, size, &at, &instruction))
			return 0;
	}
	return instruction.kind == INSTRUCTION_END ? (uint32_t)at + instruction.length : 0;
}
