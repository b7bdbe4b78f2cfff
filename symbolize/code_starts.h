/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_starts.h - marks where functions begin in gaps, as far as the file tells, and what else one look at them tells.
 */
#ifndef EBPROF_SYMBOLIZE_CODE_STARTS_H
#define EBPROF_SYMBOLIZE_CODE_STARTS_H

#include "code_gaps.h"

/* 0, or an error from reading code. Tables that can't be read mark nothing. */
int code_starts_mark(const struct object *object, uint64_t origin_addr, struct code_gaps *gaps);

#endif
