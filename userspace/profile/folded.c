/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How does the profile look as folded stacks?
 *
 * Each sample becomes the text of its stack, root first. Samples that differ only in what the text does not show (the
 * address within a function, the line, the thread) have equal texts, and a string pool finds them: its ids are dense,
 * so weights are a vector beside it. Id 0 is the empty text, which no stack has.
 *
 * A frame is of the kernel when its mapping says so by name, or lies in the upper half of the address space, where
 * modules have names of their own; [vsyscall] is the one page up there that is a program's.
 */
#include "folded.h"

#include <inttypes.h>
#include <stdio.h>

#include "memory.h"

/* Lines are passed on in pieces of at least this size: a sink may do a system call for each. */
enum { WRITE_BYTES = 32768 };

struct folding {
	const struct profile *profile;
	struct strings stacks;	 /* texts; [0] is "" */
	VECTOR(int64_t) weights; /* by id in stacks */
	VECTOR(char) text;	 /* the stack at hand; later, lines that wait to be written */
};

static void folding_deinit(struct folding *folding)
{
	strings_deinit(&folding->stacks);
	vector_free(&folding->weights);
	vector_free(&folding->text);
}

static void text_append(struct folding *folding, const char *text)
{
	vector_reserve(&folding->text, strlen(text));
	for (; *text; text++) {
		bool is_break = *text == '\n' || *text == '\r';

		folding->text.data[folding->text.nr++] = *text == ';' ? ':' : is_break ? ' ' : *text;
	}
}

static void frame_append(struct folding *folding, const char *name, const char *suffix)
{
	if (folding->text.nr)
		*vector_push(&folding->text) = ';';
	text_append(folding, name);
	text_append(folding, suffix);
}

static bool location_is_kernel(const struct profile *profile, const struct profile_location *location)
{
	const char *filename = profile_text(profile, profile->mappings.data[location->mapping].filename);

	if (strncmp(filename, "[kernel", strlen("[kernel")) == 0)
		return true;
	return location->address >> 63 && strcmp(filename, "[vsyscall]") != 0;
}

/* A location's functions, the outermost first. */
static void location_append(struct folding *folding, const struct profile_location *location)
{
	const struct profile *profile = folding->profile;
	const char *suffix = location_is_kernel(profile, location) ? "_[k]" : "";

	for (uint32_t i = location->nr_lines; i-- > 0;) {
		uint32_t function = profile->lines.data[location->first_line + i].function;

		frame_append(folding, profile_text(profile, profile->functions.data[function].name), suffix);
	}
}

static void sample_fold(struct folding *folding, const struct profile_sample *sample)
{
	const struct profile *profile = folding->profile;

	folding->text.nr = 0;
	for (uint32_t i = 0; i < sample->nr_labels; i++) {
		const struct profile_label *label = &profile->sample_labels.data[sample->first_label + i];

		if (label->text && strcmp(profile_text(profile, label->key), "comm") == 0) {
			frame_append(folding, profile_text(profile, label->text), "");
			break;
		}
	}
	for (uint32_t i = sample->nr_locations; i-- > 0;)
		location_append(folding,
				&profile->locations.data[profile->sample_locations.data[sample->first_location + i]]);
	*vector_push(&folding->text) = '\0';

	uint32_t id = strings_intern(&folding->stacks, folding->text.data);

	while (folding->weights.nr <= id)
		*vector_push(&folding->weights) = 0;
	folding->weights.data[id] = profile_value_sum(folding->weights.data[id], sample->values[0]);
}

static void bytes_append(struct folding *folding, const char *bytes, size_t nr)
{
	vector_reserve(&folding->text, nr);
	memcpy(folding->text.data + folding->text.nr, bytes, nr);
	folding->text.nr += nr;
}

static int stack_compare(const void *a, const void *b, void *context)
{
	const struct strings *stacks = context;

	return strcmp(strings_text(stacks, *(const uint32_t *)a), strings_text(stacks, *(const uint32_t *)b));
}

/* Appends one line to what waits to be written. */
static void line_append(struct folding *folding, uint32_t id)
{
	const char *stack = strings_text(&folding->stacks, id);
	char number[32];
	int length = snprintf(number, sizeof(number), " %" PRId64 "\n", folding->weights.data[id]);

	bytes_append(folding, stack, strlen(stack));
	bytes_append(folding, number, (size_t)length);
}

int folded_write(const struct profile *profile, struct sink *sink)
{
	_cleanup_(folding_deinit) struct folding folding = {.profile = profile};

	strings_init(&folding.stacks);
	for (size_t i = 0; i < profile->samples.nr; i++)
		sample_fold(&folding, &profile->samples.data[i]);

	size_t nr = folding.stacks.texts.nr;
	_cleanup_free_ uint32_t *order = memory_new_array(uint32_t, nr);

	for (uint32_t id = 0; id < nr; id++)
		order[id] = id;
	qsort_r(order, nr, sizeof(*order), stack_compare, &folding.stacks);
	folding.text.nr = 0;
	for (size_t i = 0; i < nr; i++) {
		if (order[i] >= folding.weights.nr || !folding.weights.data[order[i]])
			continue;
		line_append(&folding, order[i]);
		if (folding.text.nr < WRITE_BYTES)
			continue;
		int error = sink->write(sink, folding.text.data, folding.text.nr);

		if (error)
			return error;
		folding.text.nr = 0;
	}
	return folding.text.nr ? sink->write(sink, folding.text.data, folding.text.nr) : 0;
}
