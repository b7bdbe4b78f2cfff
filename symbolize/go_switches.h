/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_switches.h - the functions of Go's runtime that leave one stack for another, begin one, or are entered without a
 * call. Private to symbolize/.
 */
#ifndef EBPROF_SYMBOLIZE_GO_SWITCHES_H
#define EBPROF_SYMBOLIZE_GO_SWITCHES_H

#include "go_pclntab.h"
#include "vector.h"

/* A stretch of one function in which its rsp is so far below its return address. */
struct go_piece {
	uint64_t start;
	uint64_t end;
	int32_t delta;
};

/* A function's first bytes, borrowed; empty when they can't be read. */
struct go_code {
	const uint8_t *bytes;
	size_t size;
	uint64_t start; /* file_addr */
};

/* Where the caller's rbp is, as the prologue stores it. */
struct go_saved_rbp {
	uint64_t stored;  /* file_addr from which on it is at CFA + offset; 0 = it is not stored */
	uint64_t pointed; /* from which on rbp points there; 0 = it doesn't */
	int16_t offset;
};

struct go_frame {
	struct go_function function;
	struct go_code code;
	struct go_saved_rbp rbp;
	VECTOR(struct go_piece) pieces;
};

/* A stretch with a rule that overrules what follows from the deltas. */
struct go_span {
	uint64_t start;
	uint64_t end;
	struct unwind_rule rule;
};
struct go_spans {
	VECTOR(struct go_span) list;
};

/* Where the runtime keeps what it left. */
struct go_layout {
	struct rule_goroutine place;
	int16_t rbp; /* in the goroutine's state; 0 = unknown */
	bool known;
};

/* Nobody called it. */
bool go_function_is_root(const struct go_function *function);

/* Signal handlers return to it: all of it is one system call, also behind the instruction. */
bool go_function_is_trampoline(const struct go_function *function);

/* A signal handler made it look as if its caller had called it where it was interrupted. */
bool go_function_is_injected(const struct go_function *function);

/* Reads it from the code of runtime.systemstack and runtime.morestack; what isn't recognised stays unknown. */
void go_layout_learn(struct go_layout *layout, const struct go_function *function, const struct go_code *code);

/* Adds the spans of a function that sets rsp; nothing for any other. */
void go_switches_add(const struct go_frame *frame, const struct go_layout *layout, struct go_spans *spans);

#endif
