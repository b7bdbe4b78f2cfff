/* SPDX-License-Identifier: Apache-2.0 */
#include "findings.h"

#include <string.h>

enum { CONTEXT_FRAMES = 12 /* printed on each side of the place where chains part */ };

const char *stop_name(uint32_t stop)
{
	static const char *const names[] = {
#define STOP(name, text, advice) #name,
		STOPS(STOP)
#undef STOP
	};

	return stop < NR_STOPS ? names[stop] : "?";
}

void findings_init(struct findings *findings)
{
	*findings = (struct findings){0};
	table_init(&findings->index, sizeof(struct finding_key));
}

void findings_deinit(struct findings *findings)
{
	vector_free(&findings->list);
	table_deinit(&findings->index);
}

/* Whether the place at which the shorter chain ends has nothing to do with why it ended. */
static bool is_end_elsewhere(const struct finding_key *key)
{
	return key->agree_so_far && (key->stop == STOP_no_process_table || key->stop == STOP_no_file_table ||
				     (key->stop == STOP_complete && key->end == WITNESS_stack_cut));
}

void findings_add(struct findings *findings, size_t index, const struct captured_sample *sample,
		  const struct witness_chain *chain, const struct verdict *verdict, struct witness *witness)
{
	struct finding_key key;
	bool added;

	memset(&key, 0, sizeof(key));
	key.kind = verdict->kind;
	key.stop = sample->head.stop;
	key.end = chain->end;
	key.agree_so_far = verdict->agree_so_far;
	if (verdict->nr_equal && !is_end_elsewhere(&key)) {
		const struct witness_frame *frame = &chain->frames.data[verdict->nr_equal - 1];

		witness_format_place(witness, frame->pc, frame->is_exact, key.place, sizeof(key.place));
		/* What lies behind the text is part of the key. */
		memset(key.place + strlen(key.place), 0, sizeof(key.place) - strlen(key.place));
	}
	uint32_t at = table_intern(&findings->index, &key, (uint32_t)findings->list.nr, &added);

	if (added)
		*vector_push(&findings->list) = (struct finding){.key = key, .example = index};
	findings->list.data[at].nr_samples++;
}

/* By case, wrong stacks first; then the most frequent first. */
static int compare_findings(const void *left, const void *right)
{
	const struct finding *a = left;
	const struct finding *b = right;

	if (a->key.kind != b->key.kind)
		return a->key.kind < b->key.kind ? -1 : 1;
	return a->nr_samples == b->nr_samples ? 0 : a->nr_samples > b->nr_samples ? -1 : 1;
}

void findings_sort(struct findings *findings)
{
	if (findings->list.nr)
		qsort(findings->list.data, findings->list.nr, sizeof(findings->list.data[0]), compare_findings);
}

void finding_print_head(const struct finding *finding)
{
	const struct finding_key *key = &finding->key;

	printf("%llu x %s: we stopped at '%s', libdwfl: %s; %s%s%s\n", (unsigned long long)finding->nr_samples,
	       verdict_text(key->kind), stop_name(key->stop), witness_end_text(key->end),
	       key->agree_so_far ? "they agree as far as the shorter goes" : "they part after",
	       key->agree_so_far && key->place[0] ? ", to " : " ", key->place);
}

static void print_side(const char *side, uint64_t pc, bool is_exact, const char *mark, struct witness *witness)
{
	char place[96];

	witness_format_place(witness, pc, is_exact, place, sizeof(place));
	printf("      %-7s %016llx %s%s %s (%s)\n", side, (unsigned long long)pc, is_exact ? "=" : " ", mark, place,
	       witness_symbol(witness, pc, is_exact));
}

static void print_frame(const struct captured_sample *sample, const struct witness_chain *chain, size_t i,
			struct witness *witness)
{
	if (i < sample->head.nr_frames)
		print_side("ours", sample->pcs[i], sample->frames[i] & FRAME_EXACT,
			   sample->frames[i] & FRAME_BY_FP ? "fp" : "  ", witness);
	if (i < chain->frames.nr)
		print_side("libdwfl", chain->frames.data[i].pc, chain->frames.data[i].is_exact,
			   chain->frames.data[i].has_cfi ? "  " : "nc", witness);
}

void finding_print_chains(const struct captured_sample *sample, const struct witness_chain *chain,
			  const struct verdict *verdict, struct witness *witness)
{
	size_t nr = sample->head.nr_frames > chain->frames.nr ? sample->head.nr_frames : chain->frames.nr;
	size_t first = verdict->nr_equal > CONTEXT_FRAMES ? verdict->nr_equal - CONTEXT_FRAMES : 0;

	printf("    pid %u tid %u%s, %u frames of ours, %zu of libdwfl%s%s; rsp %llx, %u bytes of stack\n",
	       sample->head.pid, sample->head.tid, sample->head.in_kernel ? " in the kernel" : "",
	       sample->head.nr_frames, chain->frames.nr, chain->error[0] ? ", which says: " : "", chain->error,
	       (unsigned long long)sample->head.regs[DWARF_RSP], sample->head.stack_bytes);
	if (first)
		printf("      (%zu equal frames)\n", first);
	for (size_t i = first; i < nr && i < verdict->nr_equal + CONTEXT_FRAMES; i++) {
		if (i < verdict->nr_equal) {
			print_side("both", sample->pcs[i], sample->frames[i] & FRAME_EXACT, "  ", witness);
			continue;
		}
		print_frame(sample, chain, i, witness);
	}
	if (nr > verdict->nr_equal + CONTEXT_FRAMES)
		printf("      (and %zu more)\n", nr - verdict->nr_equal - CONTEXT_FRAMES);
}
