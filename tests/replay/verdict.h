/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict.h - our chain of a sample against the witness's: which case is it, and where do they part?
 *
 * Chains are equal when they have the same pcs in the same number, leaf to root, and agree which of them are exact.
 * A pc that the capture could not place (0) equals nothing.
 */
#ifndef EBPROF_REPLAY_VERDICT_H
#define EBPROF_REPLAY_VERDICT_H

#include "witness.h"

/* VERDICT(name, text) */
#define VERDICTS(VERDICT)                                                                                              \
	VERDICT(equal, "equal")                                                                                        \
	VERDICT(different, "different")                                                                                \
	VERDICT(ours_only, "only ours finished")                                                                       \
	VERDICT(witness_only, "only libdwfl finished")                                                                 \
	VERDICT(neither, "neither finished")                                                                           \
	VERDICT(elided, "not compared: our stack has no middle")

enum verdict_kind {
#define VERDICT(name, text) VERDICT_##name,
	VERDICTS(VERDICT)
#undef VERDICT
		NR_VERDICTS,
};

struct verdict {
	enum verdict_kind kind;
	uint32_t nr_equal; /* frames from the leaf on in which both agree */
	bool agree_so_far; /* the shorter chain is a prefix of the longer one */
};

const char *verdict_text(enum verdict_kind kind);

struct verdict verdict_make(const struct captured_sample *sample, const struct witness_chain *chain);

#endif
