/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folded.h - write a profile as folded stacks: "root;caller;leaf COUNT" lines, the input of flame graph scripts.
 *
 * The weight is the first sample type (a count); inlined functions are frames of their own. The first frame is the
 * "comm" label where there is one. Kernel functions end in "_[k]", by which flame graph scripts colour them. ';' and
 * line breaks in names become ':' and ' '. Lines of equal stacks are merged; lines are sorted by stack, bytewise.
 * Stacks whose weight is 0 are left out.
 */
#ifndef EBPROF_PROFILE_FOLDED_H
#define EBPROF_PROFILE_FOLDED_H

#include "profile.h"
#include "sink.h"

/* The sink's error, or 0. Holds the text in memory, as lines can be merged only when all are known. */
int folded_write(const struct profile *profile, struct sink *sink);

#endif
