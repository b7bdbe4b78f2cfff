/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings.h - samples that are not equal, grouped by what is behind them.
 *
 * One wrong rule shows in every sample that goes through it. Samples with the same case, the same ends and the same
 * place at which the chains part are one finding: it is printed once, with the number of samples and one example. The
 * place is the last frame in which both agree, as it is that frame's rule that led them to different callers.
 */
#ifndef EBPROF_REPLAY_FINDINGS_H
#define EBPROF_REPLAY_FINDINGS_H

#include "table.h"
#include "verdict.h"

struct finding_key {
	uint32_t kind; /* enum verdict_kind */
	uint32_t stop; /* enum stop: ours */
	uint32_t end;  /* enum witness_end */
	uint32_t agree_so_far;
	char place[96]; /* where the chains part; zeroed behind its end */
};

struct finding {
	struct finding_key key;
	uint64_t nr_samples;
	size_t example; /* a sample's index in the capture */
};

struct findings {
	VECTOR(struct finding) list;
	struct table index; /* finding_key -> list */
};

void findings_init(struct findings *findings);
void findings_deinit(struct findings *findings);
void findings_add(struct findings *findings, size_t index, const struct captured_sample *sample,
		  const struct witness_chain *chain, const struct verdict *verdict, struct witness *witness);

/* Different stacks first, then by case; the most frequent first. */
void findings_sort(struct findings *findings);

/* Both chains of a sample side by side, with an arrow where they part. */
void finding_print_chains(const struct captured_sample *sample, const struct witness_chain *chain,
			  const struct verdict *verdict, struct witness *witness);
void finding_print_head(const struct finding *finding);

/* "no_mapping": an enum stop by its name. */
const char *stop_name(uint32_t stop);

#endif
