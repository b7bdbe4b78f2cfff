/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h - the profile in memory: what every output is written from and every report reads.
 *
 * The model is profile.proto's: samples are stacks of locations with values and labels; a location is an address in a
 * mapping with its lines (an inline chain); a line is a function and a line number. Everything is interned: equal
 * mappings, functions, locations and samples are one (samples add their values). Ids are indexes, dense from 0, and
 * stable; strings are ids of the profile's own pool.
 *
 * Invariants that the interface keeps, because readers depend on them: every location has at least one line; no sample
 * has an empty stack; a sample whose values are all 0 is not written; a function's name differs from its system name
 * when the name holds one of `<>[]` or "::" (readers would otherwise "demangle" it again and cut it).
 */
#ifndef EBPROF_PROFILE_PROFILE_H
#define EBPROF_PROFILE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strings.h"
#include "table.h"
#include "vector.h"

enum { PROFILE_VALUES_MAX = 4, PROFILE_STACK_MAX = 4096, PROFILE_LABELS_MAX = 16 };

/* Longest texts kept, in bytes. Graph layout programs break on names over 16 KiB. */
enum { PROFILE_TEXT_MAX = 4096, PROFILE_COMMENT_MAX = 65536 };

struct profile_type {
	uint32_t type; /* strings ids */
	uint32_t unit;
};

struct profile_mapping {
	uint64_t start, limit, file_offset;
	uint32_t filename, build_id; /* build_id: lower-case hex */
	bool has_functions, has_filenames, has_line_numbers, has_inline_frames;
};

struct profile_function {
	uint32_t name, system_name, filename;
	uint32_t start_line;
};

struct profile_line {
	uint32_t function;
	uint32_t line;
};

struct profile_location {
	uint32_t mapping;
	bool is_folded;
	uint64_t address;
	uint32_t first_line; /* index into lines; [0] is the innermost inlined function */
	uint32_t nr_lines;
};

struct profile_label {
	uint32_t key;
	uint32_t text; /* string value, 0 = numeric */
	int64_t number;
	uint32_t unit; /* of the number */
};

struct profile_sample {
	uint32_t first_location; /* index into sample_locations, leaf first */
	uint32_t nr_locations;
	uint32_t first_label; /* index into sample_labels */
	uint32_t nr_labels;
	int64_t values[PROFILE_VALUES_MAX];
};

/* A hash table whose keys have no fixed size and stay in the profile's vectors: open addressing, linear probing. */
struct profile_slots {
	struct profile_slot {
		uint32_t index; /* + 1; 0 = empty */
		uint32_t hash;
	} * slots;
	size_t capacity; /* 0 or a power of two */
};

struct profile {
	struct strings strings;
	struct profile_type sample_types[PROFILE_VALUES_MAX];
	uint32_t nr_sample_types;
	struct profile_type period_type;
	int64_t period;
	int64_t time_ns;	      /* start, Unix time */
	int64_t duration_ns;	      /* wall clock */
	uint32_t default_sample_type; /* a string id; 0 = none */
	uint32_t doc_url;

	VECTOR(struct profile_mapping) mappings;
	VECTOR(struct profile_function) functions;
	VECTOR(struct profile_location) locations;
	VECTOR(struct profile_line) lines;
	VECTOR(struct profile_sample) samples;
	VECTOR(uint32_t) sample_locations;
	VECTOR(struct profile_label) sample_labels;
	VECTOR(uint32_t) comments;

	/* interning; owned by profile.c */
	struct table mapping_ids;
	struct table function_ids;
	struct profile_slots location_slots;
	struct profile_slots sample_slots;
};

struct profile *profile_create(void);
void profile_destroy(struct profile *profile);

/*
 * The id of text as it may stand in a profile: bytes that are not UTF-8 and control characters (names come from foreign
 * files and end on terminals) become U+FFFD each, and what exceeds PROFILE_TEXT_MAX is cut between characters.
 */
uint32_t profile_string(struct profile *profile, const char *text);
const char *profile_text(const struct profile *profile, uint32_t id);

/* Appends a column; every sample has one value per column, in this order. */
void profile_add_sample_type(struct profile *profile, const char *type, const char *unit);
void profile_set_period(struct profile *profile, const char *type, const char *unit, int64_t period);
/* May have several lines and PROFILE_COMMENT_MAX bytes; otherwise cleaned as profile_string() does. */
void profile_add_comment(struct profile *profile, const char *text);

/*
 * Each returns the index; an equal one that is held already is returned instead of a new one. The has_* flags of a
 * mapping may be changed later in mappings.data[]: what counts as equal is what was added.
 */
uint32_t profile_add_mapping(struct profile *profile, const struct profile_mapping *mapping);
/*
 * Gives name and system_name distinct spellings where readers need them to differ: system_name becomes "" when it would
 * repeat such a name. An empty name is replaced by system_name, or by "[unnamed]". NULL texts count as "".
 */
uint32_t profile_add_function(struct profile *profile, const char *name, const char *system_name, const char *filename,
			      uint32_t start_line);
/* nr_lines >= 1 (programmer error otherwise). */
uint32_t profile_add_location(struct profile *profile, uint32_t mapping, uint64_t address,
			      const struct profile_line *lines, uint32_t nr_lines, bool is_folded);

/* The format has no empty text: "" becomes "[empty]". */
struct profile_label profile_label_text(struct profile *profile, const char *key, const char *text);
/* A number without a unit would vanish in readers when it is 0: without one, the key is the unit. */
struct profile_label profile_label_number(struct profile *profile, const char *key, int64_t number, const char *unit);

/*
 * Adds values (one per sample type) to the sample with this stack (leaf first) and these labels; labels are sorted by
 * key here, so their order does not matter. Sums stop at INT64_MAX and INT64_MIN. Stacks over PROFILE_STACK_MAX and
 * labels over PROFILE_LABELS_MAX are a programmer error; an empty stack too.
 */
void profile_add_sample(struct profile *profile, const uint32_t *locations, uint32_t nr_locations,
			const struct profile_label *labels, uint32_t nr_labels, const int64_t *values);

/* The sum, or the nearest representable value. */
static inline int64_t profile_value_sum(int64_t a, int64_t b)
{
	int64_t sum;

	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return a < 0 ? INT64_MIN : INT64_MAX;
}

#endif
