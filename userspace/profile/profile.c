/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile in memory: has this mapping, function, location or sample been seen, and which number does it have?
 *
 * Everything is found by content. Mappings and functions are small records of numbers, so a table with the record as
 * its key does it; a record with padding or bools is packed into a key first, because keys are compared as bytes.
 * Locations (with their lines) and samples (with their stack and labels) have no fixed size: their content stays in the
 * profile's vectors, and a slot holds an index and 32 bits of the hash, which spare nearly all comparisons and let the
 * slots grow without reading the content again.
 *
 * The tricky part is names. Readers take a function whose name equals its system name for one that nobody has
 * demangled, and if it looks like C++ they cut whatever is in angle brackets or parentheses: "[k] read(int)" loses its
 * parameters,
 * "<lambda at x.c:3>" vanishes. An empty system name is the spelling that prevents it and claims nothing.
 */
#include "profile.h"

#include <assert.h>

#include "memory.h"
#include "utf8.h"

enum { SLOTS_START = 64 };

/* Keys are compared and hashed as bytes. */
_Static_assert(sizeof(struct profile_function) == 4 * sizeof(uint32_t), "a function is its own key");
_Static_assert(sizeof(struct profile_line) == 2 * sizeof(uint32_t), "lines are hashed as bytes");

struct mapping_key {
	uint64_t start, limit, file_offset;
	uint32_t filename, build_id;
	uint64_t flags;
};
_Static_assert(sizeof(struct mapping_key) == 40, "no padding in a key");

struct profile *profile_create(void)
{
	struct profile *profile = memory_new(struct profile);

	strings_init(&profile->strings);
	table_init(&profile->mapping_ids, sizeof(struct mapping_key));
	table_init(&profile->function_ids, sizeof(struct profile_function));
	return profile;
}

void profile_destroy(struct profile *profile)
{
	if (!profile)
		return;
	strings_deinit(&profile->strings);
	table_deinit(&profile->mapping_ids);
	table_deinit(&profile->function_ids);
	vector_free(&profile->mappings);
	vector_free(&profile->functions);
	vector_free(&profile->locations);
	vector_free(&profile->lines);
	vector_free(&profile->samples);
	vector_free(&profile->sample_locations);
	vector_free(&profile->sample_labels);
	vector_free(&profile->comments);
	free(profile->location_slots.slots);
	free(profile->sample_slots.slots);
	free(profile);
}

/* --- texts ----------------------------------------------------------------------------------------------------------
 */

static uint32_t intern_clean(struct profile *profile, const char *text, size_t max_bytes, bool keep_breaks)
{
	if (!text)
		return 0;
	_cleanup_free_ char *clean = utf8_clean(text, max_bytes, keep_breaks);

	return strings_intern(&profile->strings, clean ? clean : text);
}

uint32_t profile_string(struct profile *profile, const char *text)
{
	return intern_clean(profile, text, PROFILE_TEXT_MAX, false);
}

const char *profile_text(const struct profile *profile, uint32_t id)
{
	assert(id < profile->strings.texts.nr);
	return strings_text(&profile->strings, id);
}

void profile_add_sample_type(struct profile *profile, const char *type, const char *unit)
{
	assert(profile->nr_sample_types < PROFILE_VALUES_MAX);
	/* A sample has one value per type: a late type would leave earlier samples without one. */
	assert(profile->samples.nr == 0);
	profile->sample_types[profile->nr_sample_types++] = (struct profile_type){
		.type = profile_string(profile, type),
		.unit = profile_string(profile, unit),
	};
}

void profile_set_period(struct profile *profile, const char *type, const char *unit, int64_t period)
{
	profile->period_type.type = profile_string(profile, type);
	profile->period_type.unit = profile_string(profile, unit);
	profile->period = period;
}

void profile_add_comment(struct profile *profile, const char *text)
{
	*vector_push(&profile->comments) = intern_clean(profile, text, PROFILE_COMMENT_MAX, true);
}

/* --- mappings and functions -----------------------------------------------------------------------------------------
 */

uint32_t profile_add_mapping(struct profile *profile, const struct profile_mapping *mapping)
{
	struct mapping_key key = {
		.start = mapping->start,
		.limit = mapping->limit,
		.file_offset = mapping->file_offset,
		.filename = mapping->filename,
		.build_id = mapping->build_id,
		.flags = (uint64_t)mapping->has_functions | (uint64_t)mapping->has_filenames << 1 |
			 (uint64_t)mapping->has_line_numbers << 2 | (uint64_t)mapping->has_inline_frames << 3,
	};
	bool added;
	uint32_t index = table_intern(&profile->mapping_ids, &key, (uint32_t)profile->mappings.nr, &added);

	if (added)
		*vector_push(&profile->mappings) = *mapping;
	return index;
}

/* Would readers rewrite this name, were it the system name too? */
static bool name_looks_demangled(const char *name)
{
	return strpbrk(name, "<>[]") || strstr(name, "::");
}

uint32_t profile_add_function(struct profile *profile, const char *name, const char *system_name, const char *filename,
			      uint32_t start_line)
{
	struct profile_function function = {
		.name = profile_string(profile, name),
		.system_name = profile_string(profile, system_name),
		.filename = profile_string(profile, filename),
		.start_line = start_line,
	};

	if (!function.name)
		function.name = function.system_name ? function.system_name : profile_string(profile, "[unnamed]");
	if (function.name == function.system_name && name_looks_demangled(profile_text(profile, function.name)))
		function.system_name = 0;

	bool added;
	uint32_t index = table_intern(&profile->function_ids, &function, (uint32_t)profile->functions.nr, &added);

	if (added)
		*vector_push(&profile->functions) = function;
	return index;
}

/* --- slots ----------------------------------------------------------------------------------------------------------
 */

/* Does the element at index have key's content? */
typedef bool (*slot_equal_fn)(const struct profile *profile, uint32_t index, const void *key);

static void slots_grow(struct profile_slots *slots)
{
	struct profile_slots grown = {.capacity = slots->capacity ? slots->capacity * 2 : SLOTS_START};

	grown.slots = memory_new_array(struct profile_slot, grown.capacity);
	for (size_t i = 0; i < slots->capacity; i++) {
		if (!slots->slots[i].index)
			continue;
		size_t at = slots->slots[i].hash & (grown.capacity - 1);

		while (grown.slots[at].index)
			at = (at + 1) & (grown.capacity - 1);
		grown.slots[at] = slots->slots[i];
	}
	free(slots->slots);
	*slots = grown;
}

/*
 * The slot of the element with key's content; an empty one, claimed for the index nr that the caller is about to push,
 * when there is none (*added).
 */
static uint32_t slots_intern(const struct profile *profile, struct profile_slots *slots, size_t nr, uint64_t hash,
			     slot_equal_fn equal, const void *key, bool *added)
{
	uint32_t short_hash = (uint32_t)(hash ^ hash >> 32);

	assert(nr < UINT32_MAX);
	if ((nr + 1) * 4 > slots->capacity * 3)
		slots_grow(slots);
	size_t at = short_hash & (slots->capacity - 1);

	for (; slots->slots[at].index; at = (at + 1) & (slots->capacity - 1)) {
		uint32_t index = slots->slots[at].index - 1;

		if (slots->slots[at].hash == short_hash && equal(profile, index, key)) {
			*added = false;
			return index;
		}
	}
	slots->slots[at] = (struct profile_slot){.index = (uint32_t)nr + 1, .hash = short_hash};
	*added = true;
	return (uint32_t)nr;
}

/* --- locations ------------------------------------------------------------------------------------------------------
 */

struct location_key {
	struct profile_location location; /* first_line is not set */
	const struct profile_line *lines;
};

static bool location_equal(const struct profile *profile, uint32_t index, const void *key)
{
	const struct location_key *wanted = key;
	const struct profile_location *held = &profile->locations.data[index];

	return held->address == wanted->location.address && held->mapping == wanted->location.mapping &&
	       held->is_folded == wanted->location.is_folded && held->nr_lines == wanted->location.nr_lines &&
	       memcmp(&profile->lines.data[held->first_line], wanted->lines, held->nr_lines * sizeof(*wanted->lines)) ==
		       0;
}

static uint64_t location_hash(const struct location_key *key)
{
	uint64_t words[] = {key->location.address, (uint64_t)key->location.mapping << 1 | key->location.is_folded};

	return hash_bytes(key->lines, key->location.nr_lines * sizeof(*key->lines),
			  hash_bytes(words, sizeof(words), 0));
}

uint32_t profile_add_location(struct profile *profile, uint32_t mapping, uint64_t address,
			      const struct profile_line *lines, uint32_t nr_lines, bool is_folded)
{
	assert(nr_lines >= 1 && mapping < profile->mappings.nr);
	for (uint32_t i = 0; i < nr_lines; i++)
		assert(lines[i].function < profile->functions.nr);

	struct location_key key = {
		.location = {.mapping = mapping, .is_folded = is_folded, .address = address, .nr_lines = nr_lines},
		.lines = lines,
	};
	bool added;
	uint32_t index = slots_intern(profile, &profile->location_slots, profile->locations.nr, location_hash(&key),
				      location_equal, &key, &added);

	if (!added)
		return index;
	assert(profile->lines.nr + nr_lines <= UINT32_MAX);
	key.location.first_line = (uint32_t)profile->lines.nr;
	*vector_push(&profile->locations) = key.location;
	for (uint32_t i = 0; i < nr_lines; i++)
		*vector_push(&profile->lines) = lines[i];
	return index;
}

/* --- labels and samples ---------------------------------------------------------------------------------------------
 */

struct profile_label profile_label_text(struct profile *profile, const char *key, const char *text)
{
	assert(key && *key);
	return (struct profile_label){
		.key = profile_string(profile, key),
		.text = profile_string(profile, text && *text ? text : "[empty]"),
	};
}

struct profile_label profile_label_number(struct profile *profile, const char *key, int64_t number, const char *unit)
{
	assert(key && *key);
	return (struct profile_label){
		.key = profile_string(profile, key),
		.number = number,
		.unit = profile_string(profile, unit && *unit ? unit : key),
	};
}

/* By key, as text: ids would order the labels by which key the run happened to use first. */
static int label_compare(const struct profile *profile, const struct profile_label *a, const struct profile_label *b)
{
	if (a->key != b->key)
		return strcmp(profile_text(profile, a->key), profile_text(profile, b->key));
	if (a->text != b->text)
		return strcmp(profile_text(profile, a->text), profile_text(profile, b->text));
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (a->unit != b->unit)
		return strcmp(profile_text(profile, a->unit), profile_text(profile, b->unit));
	return 0;
}

/* Insertion sort: a handful, and nearly always in order already. */
static void labels_sort(const struct profile *profile, struct profile_label *labels, uint32_t nr)
{
	for (uint32_t i = 1; i < nr; i++) {
		struct profile_label label = labels[i];
		uint32_t at = i;

		for (; at > 0 && label_compare(profile, &labels[at - 1], &label) > 0; at--)
			labels[at] = labels[at - 1];
		labels[at] = label;
	}
}

struct sample_key {
	const uint32_t *locations;
	uint32_t nr_locations;
	uint32_t nr_labels;
	struct profile_label labels[PROFILE_LABELS_MAX];
};

static bool sample_equal(const struct profile *profile, uint32_t index, const void *key)
{
	const struct sample_key *wanted = key;
	const struct profile_sample *held = &profile->samples.data[index];

	if (held->nr_locations != wanted->nr_locations || held->nr_labels != wanted->nr_labels)
		return false;
	for (uint32_t i = 0; i < held->nr_labels; i++) {
		const struct profile_label *label = &profile->sample_labels.data[held->first_label + i];

		if (label_compare(profile, label, &wanted->labels[i]) != 0)
			return false;
	}
	return memcmp(&profile->sample_locations.data[held->first_location], wanted->locations,
		      held->nr_locations * sizeof(*wanted->locations)) == 0;
}

static uint64_t sample_hash(const struct sample_key *key)
{
	uint64_t hash = hash_bytes(key->locations, key->nr_locations * sizeof(*key->locations), 0);

	for (uint32_t i = 0; i < key->nr_labels; i++) {
		const struct profile_label *label = &key->labels[i];
		uint64_t words[] = {(uint64_t)label->key << 32 | label->text, (uint64_t)label->number, label->unit};

		hash = hash_bytes(words, sizeof(words), hash);
	}
	return hash;
}

static void sample_push(struct profile *profile, const struct sample_key *key)
{
	assert(profile->sample_locations.nr + key->nr_locations <= UINT32_MAX);
	assert(profile->sample_labels.nr + key->nr_labels <= UINT32_MAX);
	*vector_push(&profile->samples) = (struct profile_sample){
		.first_location = (uint32_t)profile->sample_locations.nr,
		.nr_locations = key->nr_locations,
		.first_label = (uint32_t)profile->sample_labels.nr,
		.nr_labels = key->nr_labels,
	};
	for (uint32_t i = 0; i < key->nr_locations; i++)
		*vector_push(&profile->sample_locations) = key->locations[i];
	for (uint32_t i = 0; i < key->nr_labels; i++)
		*vector_push(&profile->sample_labels) = key->labels[i];
}

void profile_add_sample(struct profile *profile, const uint32_t *locations, uint32_t nr_locations,
			const struct profile_label *labels, uint32_t nr_labels, const int64_t *values)
{
	assert(nr_locations >= 1 && nr_locations <= PROFILE_STACK_MAX && nr_labels <= PROFILE_LABELS_MAX);
	for (uint32_t i = 0; i < nr_locations; i++)
		assert(locations[i] < profile->locations.nr);

	struct sample_key key = {.locations = locations, .nr_locations = nr_locations, .nr_labels = nr_labels};

	if (nr_labels)
		memcpy(key.labels, labels, nr_labels * sizeof(*labels));
	labels_sort(profile, key.labels, nr_labels);

	bool added;
	uint32_t index = slots_intern(profile, &profile->sample_slots, profile->samples.nr, sample_hash(&key),
				      sample_equal, &key, &added);

	if (added)
		sample_push(profile, &key);
	for (uint32_t i = 0; i < profile->nr_sample_types; i++) {
		int64_t *sum = &profile->samples.data[index].values[i];

		*sum = profile_value_sum(*sum, values[i]);
	}
}
