/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - are our stacks right? A complete stack can still be a wrong one.
 *
 * `ebprof record --capture-stacks FILE` keeps the registers and the stack of each sample beside the frames that the
 * walker in the kernel made of them. Here libdwfl unwinds the same bytes, by another implementation from the same
 * call-frame information, and the two chains are compared frame by frame. Every sample ends up in one case:
 * both finished and equal, both finished and different, only one of the two finished, neither, or too deep to be
 * compared. Nothing is left out of
 * the totals, and everything that is not equal is listed, grouped by the place at which the chains part.
 *
 *   replay [OPTION]... FILE     exit status 0: right; 1: below a threshold; 2: could not tell
 */
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "option.h"

struct options {
	double min_equal;    /* percent of the stacks that both finish */
	double min_finished; /* percent of our finished stacks that libdwfl finishes too */
	long long nr_examples;
	bool verbose;
};

struct totals {
	uint64_t nr_samples;
	uint64_t verdicts[NR_VERDICTS];
	uint64_t stops[NR_STOPS];
	uint64_t ends[NR_WITNESS_ENDS];         /* of all samples */
	uint64_t ends_of_ours[NR_WITNESS_ENDS]; /* of those that we finished */
	uint64_t agree_so_far[NR_VERDICTS];
	uint64_t in_kernel;
	uint64_t by_fp; /* samples with a frame found by frame pointer */
	uint64_t by_fp_equal;
	uint64_t equal_frames; /* in the equal chains */
	uint64_t unplaced;     /* samples with a pc that the capture could not place */
};

struct replay {
	const struct options *options;
	struct capture_file file;
	VECTOR(struct witness *) witnesses; /* by slot; NULL = none */
	VECTOR(uint8_t) tried;              /* by slot */
	struct totals totals;
	struct findings findings;
};

/* The witness of a process image, made when its first sample comes. */
static struct witness *find_witness(struct replay *replay, uint32_t slot)
{
	while (replay->witnesses.nr <= slot) {
		*vector_push(&replay->witnesses) = NULL;
		*vector_push(&replay->tried) = 0;
	}
	if (!replay->tried.data[slot]) {
		replay->tried.data[slot] = 1;
		replay->witnesses.data[slot] = witness_create(&replay->file, slot);
	}
	return replay->witnesses.data[slot];
}

/* Without any file of the process there is nobody to ask. */
static void unwind(struct witness *witness, const struct captured_sample *sample, struct witness_chain *ret)
{
	if (witness) {
		witness_walk(witness, sample, ret);
		return;
	}
	ret->frames.nr = 0;
	ret->end = WITNESS_no_module;
	ret->error[0] = '\0';
}

static void count(struct totals *totals, const struct captured_sample *sample, const struct witness_chain *chain,
		  const struct verdict *verdict)
{
	bool by_fp = false, unplaced = false;

	for (uint32_t i = 0; i < sample->head.nr_frames; i++) {
		by_fp |= sample->frames[i] & FRAME_BY_FP;
		unplaced |= !sample->pcs[i];
	}
	totals->nr_samples++;
	totals->verdicts[verdict->kind]++;
	totals->agree_so_far[verdict->kind] += verdict->agree_so_far;
	if (sample->head.stop < NR_STOPS)
		totals->stops[sample->head.stop]++;
	totals->ends[chain->end]++;
	totals->ends_of_ours[chain->end] += sample->head.stop == STOP_complete;
	totals->in_kernel += sample->head.in_kernel != 0;
	totals->by_fp += by_fp;
	totals->by_fp_equal += by_fp && verdict->kind == VERDICT_equal;
	totals->unplaced += unplaced;
	if (verdict->kind == VERDICT_equal)
		totals->equal_frames += verdict->nr_equal;
}

static void replay_sample(struct replay *replay, size_t index, struct captured_sample *sample,
			  struct witness_chain *chain)
{
	capture_file_sample(&replay->file, index, sample);
	struct witness *witness = find_witness(replay, sample->head.process);

	unwind(witness, sample, chain);
	struct verdict verdict = verdict_make(sample, chain);

	count(&replay->totals, sample, chain, &verdict);
	if (verdict.kind == VERDICT_equal)
		return;
	findings_add(&replay->findings, index, sample, chain, &verdict, witness);
	if (replay->options->verbose) {
		printf("sample %zu: %s: we stopped at '%s', libdwfl: %s\n", index, verdict_text(verdict.kind),
		       stop_name(sample->head.stop), witness_end_text(chain->end));
		finding_print_chains(sample, chain, &verdict, witness);
	}
}

static void print_findings(struct replay *replay, struct captured_sample *sample, struct witness_chain *chain)
{
	findings_sort(&replay->findings);
	for (size_t i = 0; i < replay->findings.list.nr; i++) {
		const struct finding *finding = &replay->findings.list.data[i];

		if ((long long)i >= replay->options->nr_examples) {
			printf("%zu more findings: -n %zu\n", replay->findings.list.nr - i, replay->findings.list.nr);
			return;
		}
		capture_file_sample(&replay->file, finding->example, sample);
		struct witness *witness = find_witness(replay, sample->head.process);

		unwind(witness, sample, chain);
		struct verdict verdict = verdict_make(sample, chain);

		finding_print_head(finding);
		finding_print_chains(sample, chain, &verdict, witness);
	}
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_ends(const struct totals *totals)
{
	printf("our incomplete stacks:");
	for (uint32_t i = 0; i < NR_STOPS; i++)
		if (i != STOP_complete && totals->stops[i])
			printf(" %s %llu", stop_name(i), (unsigned long long)totals->stops[i]);
	printf("\nlibdwfl's unfinished stacks:");
	for (uint32_t i = 0; i < NR_WITNESS_ENDS; i++)
		if (i != WITNESS_finished && totals->ends[i])
			printf(" %s: %llu (%llu of them finished by us);", witness_end_text(i),
			       (unsigned long long)totals->ends[i], (unsigned long long)totals->ends_of_ours[i]);
	printf("\n");
}

static uint64_t nr_both(const struct totals *totals)
{
	return totals->verdicts[VERDICT_equal] + totals->verdicts[VERDICT_different];
}

static void print_totals(const struct totals *totals)
{
	const uint64_t *verdicts = totals->verdicts;

	print_ends(totals);
	printf("samples %llu: taken in the kernel %llu, with frames by frame pointer %llu (equal %llu), with an "
	       "unknown pc "
	       "%llu; frames in equal stacks %llu; agreeing as far as they go: only ours %llu, only libdwfl %llu, "
	       "neither %llu\n",
	       (unsigned long long)totals->nr_samples, (unsigned long long)totals->in_kernel,
	       (unsigned long long)totals->by_fp, (unsigned long long)totals->by_fp_equal,
	       (unsigned long long)totals->unplaced, (unsigned long long)totals->equal_frames,
	       (unsigned long long)totals->agree_so_far[VERDICT_ours_only],
	       (unsigned long long)totals->agree_so_far[VERDICT_witness_only],
	       (unsigned long long)totals->agree_so_far[VERDICT_neither]);
	printf("total: samples %llu, equal %llu, different %llu, only ours %llu, only libdwfl %llu, neither %llu, "
	       "not compared %llu; ours finished %.2f %%, libdwfl finished %.2f %%, %.2f %% of ours, equal %.3f %% of "
	       "both\n",
	       (unsigned long long)totals->nr_samples, (unsigned long long)verdicts[VERDICT_equal],
	       (unsigned long long)verdicts[VERDICT_different], (unsigned long long)verdicts[VERDICT_ours_only],
	       (unsigned long long)verdicts[VERDICT_witness_only], (unsigned long long)verdicts[VERDICT_neither],
	       (unsigned long long)verdicts[VERDICT_elided], percent(totals->stops[STOP_complete], totals->nr_samples),
	       percent(totals->ends[WITNESS_finished], totals->nr_samples),
	       percent(nr_both(totals), totals->stops[STOP_complete]),
	       percent(verdicts[VERDICT_equal], nr_both(totals)));
}

/* Nothing compared is not a success. */
static bool is_right(const struct options *options, const struct totals *totals)
{
	return nr_both(totals) && percent(totals->verdicts[VERDICT_equal], nr_both(totals)) >= options->min_equal &&
	       percent(nr_both(totals), totals->stops[STOP_complete]) >= options->min_finished;
}

static int replay_run(struct replay *replay, const char *path)
{
	_cleanup_free_ struct captured_sample *sample = memory_new(struct captured_sample);
	struct witness_chain chain = {0};
	struct problem problem;

	if (capture_file_open(path, &replay->file, &problem)) {
		capture_file_close(&replay->file);
		message_error("%s", problem.text);
		return 2;
	}
	findings_init(&replay->findings);
	for (size_t i = 0; i < replay->file.samples.nr; i++)
		replay_sample(replay, i, sample, &chain);
	if (!replay->options->verbose)
		print_findings(replay, sample, &chain);
	print_totals(&replay->totals);
	for (size_t i = 0; i < replay->witnesses.nr; i++)
		witness_destroy(replay->witnesses.data[i]);
	vector_free(&replay->witnesses);
	vector_free(&replay->tried);
	vector_free(&chain.frames);
	findings_deinit(&replay->findings);
	capture_file_close(&replay->file);
	return is_right(replay->options, &replay->totals) ? 0 : 1;
}

static int parse_percent(const struct option_row *row __attribute__((unused)), const char *value, void *target,
			 struct problem *problem)
{
	char *end;
	double number = strtod(value, &end);

	if (end == value || *end || !(number >= 0 && number <= 100))
		return problem_set(problem, -1, "give a number from 0 to 100");
	*(double *)target = number;
	return 0;
}

#define FIELD(name) .offset = offsetof(struct options, name)
static const struct option_row rows[] = {
	{.kind = OPTION_CUSTOM,
	 .name = "min-equal",
	 .argument = "PERCENT",
	 FIELD(min_equal),
	 .parse = parse_percent,
	 .help = "how many of the stacks that both finish have to be equal (99.9)"},
	{.kind = OPTION_CUSTOM,
	 .name = "min-finished",
	 .argument = "PERCENT",
	 FIELD(min_finished),
	 .parse = parse_percent,
	 .help = "how many of our complete stacks libdwfl has to finish (95)"},
	{.kind = OPTION_INTEGER,
	 .letter = 'n',
	 .name = "examples",
	 .argument = "N",
	 FIELD(nr_examples),
	 .min = 0,
	 .max = 1e9,
	 .help = "how many findings to print, wrong stacks first (10)"},
	{.kind = OPTION_FLAG,
	 .letter = 'v',
	 .name = "verbose",
	 FIELD(verbose),
	 .help = "print every sample that is not equal instead of one example for each finding"},
};

static const struct option_table table = {
	.command = "replay",
	.summary = "compares captured stacks with those that libdwfl finds",
	.usage = "[OPTION]... FILE",
	.description =
		"Unwinds the samples of a file written by ebprof record --capture-stacks once more, with libdwfl.",
	.rows = rows,
	.nr_rows = ARRAY_SIZE(rows),
	.takes_operands = true,
};

int main(int argc, char **argv)
{
	struct options options = {.min_equal = 99.9, .min_finished = 95, .nr_examples = 10};
	struct replay replay = {.options = &options};
	struct option_rest rest;
	struct problem problem;

	if (option_parse(&table, argc, argv, &options, &rest, &problem)) {
		message_error("%s", problem.text);
		return 2;
	}
	if (rest.help) {
		option_print_help(&table, stdout);
		return 0;
	}
	if (rest.nr_operands != 1) {
		message_error("name one capture file: replay --help");
		return 2;
	}
	/* Debug information from the network would make the answer depend on the day. */
	unsetenv("DEBUGINFOD_URLS");
	return replay_run(&replay, rest.operands[0]);
}
