/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demangle.c - what did the programmer call this function?
 *
 * libiberty knows the encodings: _Z (C++; also legacy Rust, recognised by its last part 17h and 16 hex digits, which is
 * dropped) and _R (Rust v0). Clones that the compiler made keep a readable tail, "sum(int) [clone .cold]"; a tail
 * after '@' (a symbol version, or plt) is put back as it was.
 *
 * The tricky case is hostile names. A mangled name may refer to its own earlier parts, each of which may refer twice to
 * the one before, so a few dozen bytes describe an output of any length. libiberty limits its recursion (which is why a
 * C++ name over 1,024 bytes stays as it is), not its output and so not its time. Therefore its callback interface is
 * used, which hands out pieces and allocates nothing, and a piece beyond the ceiling leaves the demangler by longjmp.
 */
#include "demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#undef ARRAY_SIZE /* libiberty.h has its own, unguarded */
#include "vector.h"

enum {
	INPUT_MAX_BYTES = 4096,
	OUTPUT_MAX_BYTES = 64 << 10,
	PIECES_MAX = 1 << 20, /* empty pieces cost time as well */
};

struct output_text {
	VECTOR(char) text;
	size_t nr_pieces;
	jmp_buf overflow;
};

static void output_append(const char *piece, size_t size, void *context)
{
	struct output_text *output = context;

	if (++output->nr_pieces > PIECES_MAX || size > OUTPUT_MAX_BYTES - output->text.nr)
		longjmp(output->overflow, 1);
	vector_reserve(&output->text, size + 1);
	memcpy(output->text.data + output->text.nr, piece, size);
	output->text.nr += size;
}

static bool demangle_into(const char *name, struct output_text *output)
{
	enum { OPTIONS = DMGL_PARAMS | DMGL_ANSI };

	if (setjmp(output->overflow))
		return false;
	/* Rust first: its legacy form is valid C++ too, with the hash as an innermost scope. */
	if (rust_demangle_callback(name, OPTIONS, output_append, output))
		return true;
	output->text.nr = 0;
	return cplus_demangle_v3_callback(name, OPTIONS, output_append, output) != 0;
}

char *demangle(const char *name)
{
	struct output_text output = {0};
	const char *tail;
	char *input;
	bool done;

	if (strncmp(name, "_Z", 2) != 0 && strncmp(name, "_R", 2) != 0)
		return NULL;
	if (strnlen(name, INPUT_MAX_BYTES + 1) > INPUT_MAX_BYTES)
		return NULL;
	tail = strchrnul(name, '@');
	input = memory_format("%.*s", (int)(tail - name), name);
	done = demangle_into(input, &output) && output.text.nr > 0;
	free(input);
	if (!done) {
		vector_free(&output.text);
		return NULL;
	}
	vector_reserve(&output.text, strlen(tail) + 1);
	memcpy(output.text.data + output.text.nr, tail, strlen(tail) + 1);
	return output.text.data;
}
