/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_pclntab.h - the table that Go's linker puts into every executable for Go's own stack traces: its functions, their
 * names, and values that change with pc. Private to symbolize/.
 *
 * The runtime needs the table, so it is there however the file was stripped.
 */
#ifndef EBPROF_SYMBOLIZE_GO_PCLNTAB_H
#define EBPROF_SYMBOLIZE_GO_PCLNTAB_H

#include "byte_reader.h"
#include "object.h"

/* Named after the first release that wrote them. */
enum go_version { GO_1_2, GO_1_16, GO_1_18, GO_1_20 };

/* go_function.flags */
enum {
	GO_FUNCTION_TOP = 1,      /* the first function of a stack */
	GO_FUNCTION_MOVES_SP = 2, /* sets rsp in a way that the deltas don't tell */
};

struct go_bytes {
	const uint8_t *data;
	size_t size;
};

struct go_pclntab {
	enum go_version version;
	uint32_t nr_functions;
	uint8_t quantum;      /* what distances between pcs are multiples of */
	uint64_t text_addr;   /* file_addr that entries of GO_1_18 and later count from */
	struct go_bytes all;  /* owned */
	struct go_bytes list; /* of functions: {entry, offset of its description}, and the last one's end */
	struct go_bytes functions;
	struct go_bytes names;
	struct go_bytes values;
};

struct go_function {
	uint64_t start; /* file_addr */
	uint64_t end;   /* the next function's start: padding is included */
	const char *name;
	uint32_t deltas; /* place of its stack deltas among the values, 0 = none: no Go function */
	uint8_t flags;   /* GO_FUNCTION_*; none of them before 1.17 */
};

/* -ENODATA: the file has no such table, or none that its code agrees with; -E2BIG: it is over the ceiling. */
int go_pclntab_create(const struct object *object, struct go_pclntab **ret);
void go_pclntab_destroy(struct go_pclntab *table);

/* Function number index, below nr_functions, by ascending start. False: its description is malformed. */
bool go_pclntab_function(const struct go_pclntab *table, uint32_t index, struct go_function *ret);

/* A value that changes with pc: one piece after the other. */
struct go_values {
	struct byte_reader reader;
	uint8_t quantum;
	uint64_t start; /* of the piece */
	uint64_t end;
	uint64_t limit; /* the function's end */
	uint32_t value; /* a signed number */
};

/* Begins with the values at that place of the table. */
void go_values_init(struct go_values *values, const struct go_pclntab *table, const struct go_function *function,
		    uint32_t place);

/* The next piece; false behind the last one, or where the table is malformed (then reader.failed). */
bool go_values_next(struct go_values *values);

#endif
