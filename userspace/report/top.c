/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which functions are the heaviest, and where in their source?
 *
 * Weights are added up at three levels at once: by name (what is ranked: a static function compiled into several files,
 * or its clones, is one for the reader), by function (whose file is shown) and by line. Which of each a line of the
 * profile belongs to is worked out beforehand, so that the pass over the samples only follows indexes. A recursive
 * function must not be counted twice in one sample, so each tally remembers the last sample that it was given.
 */
#include "top.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

struct tally {
	int64_t flat, cum;
	uint32_t last_sample; /* + 1; 0 = never met */
};

struct ranked_name {
	struct tally tally;
	uint32_t name;	   /* string id */
	uint32_t function; /* the heaviest of this name */
};

struct place {
	struct tally tally;
	uint32_t function;
	uint32_t line;
};

struct ranking {
	const struct profile *profile;
	VECTOR(struct ranked_name) names;
	VECTOR(struct place) places;
	struct tally *functions;   /* by function */
	uint32_t *function_names;  /* by function: index into names */
	uint32_t *function_places; /* by function: its heaviest place + 1 */
	uint32_t *line_places;	   /* by profile line: index into places */
};

static void ranking_deinit(struct ranking *ranking)
{
	vector_free(&ranking->names);
	vector_free(&ranking->places);
	free(ranking->functions);
	free(ranking->function_names);
	free(ranking->function_places);
	free(ranking->line_places);
}

static void ranking_init(struct ranking *ranking, const struct profile *profile)
{
	size_t nr_functions = profile->functions.nr;
	struct table ids;
	bool added;

	*ranking = (struct ranking){.profile = profile};
	ranking->functions = memory_new_array(struct tally, nr_functions);
	ranking->function_names = memory_new_array(uint32_t, nr_functions);
	ranking->function_places = memory_new_array(uint32_t, nr_functions);
	ranking->line_places = memory_new_array(uint32_t, profile->lines.nr);

	table_init(&ids, sizeof(uint32_t));
	for (size_t i = 0; i < nr_functions; i++) {
		uint32_t name = profile->functions.data[i].name;

		ranking->function_names[i] = table_intern(&ids, &name, (uint32_t)ranking->names.nr, &added);
		if (added)
			vector_push(&ranking->names)->name = name;
	}
	table_deinit(&ids);

	table_init(&ids, sizeof(struct profile_line));
	for (size_t i = 0; i < profile->lines.nr; i++) {
		const struct profile_line *line = &profile->lines.data[i];

		ranking->line_places[i] = table_intern(&ids, line, (uint32_t)ranking->places.nr, &added);
		if (added)
			*vector_push(&ranking->places) = (struct place){.function = line->function, .line = line->line};
	}
	table_deinit(&ids);
}

static void tally_add(struct tally *tally, uint32_t sample, int64_t value, bool is_leaf)
{
	if (is_leaf)
		tally->flat = profile_value_sum(tally->flat, value);
	if (tally->last_sample == sample + 1)
		return;
	tally->cum = profile_value_sum(tally->cum, value);
	tally->last_sample = sample + 1;
}

static void ranking_add_sample(struct ranking *ranking, uint32_t index, int64_t value)
{
	const struct profile *profile = ranking->profile;
	const struct profile_sample *sample = &profile->samples.data[index];

	for (uint32_t i = 0; i < sample->nr_locations; i++) {
		uint32_t id = profile->sample_locations.data[sample->first_location + i];
		const struct profile_location *location = &profile->locations.data[id];

		for (uint32_t j = 0; j < location->nr_lines; j++) {
			struct place *place = &ranking->places.data[ranking->line_places[location->first_line + j]];
			uint32_t function = place->function;
			bool is_leaf = i == 0 && j == 0;

			tally_add(&place->tally, index, value, is_leaf);
			tally_add(&ranking->functions[function], index, value, is_leaf);
			tally_add(&ranking->names.data[ranking->function_names[function]].tally, index, value, is_leaf);
		}
	}
}

/* Negative when a is the heavier. */
static int tally_compare(const struct tally *a, const struct tally *b)
{
	if (a->flat != b->flat)
		return a->flat > b->flat ? -1 : 1;
	if (a->cum != b->cum)
		return a->cum > b->cum ? -1 : 1;
	return 0;
}

/* A known line says more than an unknown one, however light; of equally heavy ones the first in the file. */
static bool place_is_better(const struct place *place, const struct place *than)
{
	if (!place->line != !than->line)
		return place->line;
	int order = tally_compare(&place->tally, &than->tally);

	return order ? order < 0 : place->line < than->line;
}

/* The heaviest place of each function, and the heaviest function of each name; those that were never met do not count.
 */
static void ranking_choose(struct ranking *ranking)
{
	for (uint32_t i = 0; i < ranking->places.nr; i++) {
		const struct place *place = &ranking->places.data[i];
		uint32_t *best = &ranking->function_places[place->function];

		if (place->tally.last_sample && (!*best || place_is_better(place, &ranking->places.data[*best - 1])))
			*best = i + 1;
	}
	for (size_t i = 0; i < ranking->names.nr; i++)
		ranking->names.data[i].function = UINT32_MAX;
	for (uint32_t i = 0; i < ranking->profile->functions.nr; i++) {
		uint32_t *best = &ranking->names.data[ranking->function_names[i]].function;

		if (ranking->functions[i].last_sample &&
		    (*best == UINT32_MAX || tally_compare(&ranking->functions[i], &ranking->functions[*best]) < 0))
			*best = i;
	}
}

static int name_compare(const void *a, const void *b, void *context)
{
	const struct ranked_name *left = a, *right = b;
	const struct profile *profile = context;
	int order = tally_compare(&left->tally, &right->tally);

	return order ? order : strcmp(profile_text(profile, left->name), profile_text(profile, right->name));
}

size_t report_top(const struct profile *profile, size_t value_index, size_t max, struct top_line *ret)
{
	_cleanup_(ranking_deinit) struct ranking ranking;
	size_t nr = 0;

	assert(value_index < profile->nr_sample_types);
	ranking_init(&ranking, profile);
	for (uint32_t i = 0; i < profile->samples.nr; i++) {
		int64_t value = profile->samples.data[i].values[value_index];

		if (value)
			ranking_add_sample(&ranking, i, value);
	}
	ranking_choose(&ranking);
	if (ranking.names.nr)
		qsort_r(ranking.names.data, ranking.names.nr, sizeof(*ranking.names.data), name_compare,
			(void *)profile);
	for (size_t i = 0; i < ranking.names.nr && nr < max; i++) {
		const struct ranked_name *name = &ranking.names.data[i];

		if (!name->tally.last_sample)
			continue;
		ret[nr++] = (struct top_line){
			.function = name->function,
			.flat = name->tally.flat,
			.cum = name->tally.cum,
			.line = ranking.places.data[ranking.function_places[name->function] - 1].line,
		};
	}
	return nr;
}
