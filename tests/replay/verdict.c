/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

const char *verdict_text(enum verdict_kind kind)
{
	static const char *const texts[] = {
#define VERDICT(name, text) text,
		VERDICTS(VERDICT)
#undef VERDICT
	};

	return kind < NR_VERDICTS ? texts[kind] : "?";
}

struct verdict verdict_make(const struct captured_sample *sample, const struct witness_chain *chain)
{
	bool ours_finished = sample->head.stop == STOP_complete;
	bool witness_finished = chain->end == WITNESS_finished;
	size_t nr_ours = sample->head.nr_frames;
	size_t nr_witness = chain->frames.nr;
	size_t nr_both = nr_ours < nr_witness ? nr_ours : nr_witness;
	struct verdict verdict = {.kind = VERDICT_neither};

	for (; verdict.nr_equal < nr_both; verdict.nr_equal++) {
		const struct witness_frame *frame = &chain->frames.data[verdict.nr_equal];
		bool is_exact = sample->frames[verdict.nr_equal] & FRAME_EXACT;

		if (frame->pc != sample->pcs[verdict.nr_equal] || frame->is_exact != is_exact)
			break;
	}
	verdict.agree_so_far = verdict.nr_equal == nr_both;
	if (sample->head.nr_walked > nr_ours)
		verdict.kind = VERDICT_elided;
	else if (ours_finished && witness_finished)
		verdict.kind = verdict.agree_so_far && nr_ours == nr_witness ? VERDICT_equal : VERDICT_different;
	else if (ours_finished)
		verdict.kind = VERDICT_ours_only;
	else if (witness_finished)
		verdict.kind = VERDICT_witness_only;
	return verdict;
}
