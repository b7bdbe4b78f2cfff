/* SPDX-License-Identifier: Apache-2.0 */
/* top.h - the heaviest functions of a profile. */
#ifndef EBPROF_REPORT_TOP_H
#define EBPROF_REPORT_TOP_H

#include "profile.h"

struct top_line {
	uint32_t function; /* index; where several have this name, the heaviest of them */
	int64_t flat;	   /* in samples whose innermost function it is */
	int64_t cum;	   /* in samples that have it anywhere, each counted once */
	uint32_t line;	   /* the heaviest known line of that function, 0 = none known */
};

/*
 * Writes the at most max heaviest functions to ret, by flat, then cum (both descending), then name, and returns how
 * many. Functions of one name are one, as in pprof's -top. value_index is the sample type (less than nr_sample_types).
 */
size_t report_top(const struct profile *profile, size_t value_index, size_t max, struct top_line *ret);

#endif
