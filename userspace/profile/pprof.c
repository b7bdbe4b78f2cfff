/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How does the profile look as profile.proto?
 *
 * One pass over the vectors: each message is encoded into a small buffer that is used again, and goes through deflate
 * at once. Ids are index + 1, so they are dense, in order and never 0, which stricter readers insist on; the lists are
 * written in the order of their ids, so mapping 1 is the one that readers call the profile's main binary. Strings come
 * last, as in Go's own writer.
 *
 * Two fields need care. The time is written once: a second one means "concatenated profiles" to readers. A numeric
 * label always has its unit, because one with number 0 and no unit (cpu 0) is dropped when read.
 */
#include "pprof.h"

#include <assert.h>

#include "gzip_sink.h"
#include "memory.h"
#include "protobuf.h"

enum profile_field {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6,
	PROFILE_TIME = 9,
	PROFILE_DURATION = 10,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_SAMPLE_TYPE = 14,
	PROFILE_DOC_URL = 15,
};
enum type_field { TYPE_TYPE = 1, TYPE_UNIT = 2 };
enum sample_field { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum label_field { LABEL_KEY = 1, LABEL_TEXT = 2, LABEL_NUMBER = 3, LABEL_UNIT = 4 };
enum mapping_field {
	MAPPING_ID = 1,
	MAPPING_START = 2,
	MAPPING_LIMIT = 3,
	MAPPING_OFFSET = 4,
	MAPPING_FILENAME = 5,
	MAPPING_BUILD_ID = 6,
	MAPPING_HAS_FUNCTIONS = 7,
	MAPPING_HAS_FILENAMES = 8,
	MAPPING_HAS_LINE_NUMBERS = 9,
	MAPPING_HAS_INLINE_FRAMES = 10,
};
enum location_field {
	LOCATION_ID = 1,
	LOCATION_MAPPING = 2,
	LOCATION_ADDRESS = 3,
	LOCATION_LINE = 4,
	LOCATION_IS_FOLDED = 5,
};
enum line_field { LINE_FUNCTION = 1, LINE_LINE = 2 };
enum function_field {
	FUNCTION_ID = 1,
	FUNCTION_NAME = 2,
	FUNCTION_SYSTEM_NAME = 3,
	FUNCTION_FILENAME = 4,
	FUNCTION_START_LINE = 5,
};

struct encoder {
	const struct profile *profile;
	struct sink *sink;
	int error;		/* the sink's first one; nothing is written after it */
	struct protobuf outer;	/* fields of Profile, about to be written */
	struct protobuf middle; /* fields of one element of Profile */
	struct protobuf inner;	/* fields of one element of that, or a packed list */
};

static void encoder_deinit(struct encoder *encoder)
{
	protobuf_deinit(&encoder->outer);
	protobuf_deinit(&encoder->middle);
	protobuf_deinit(&encoder->inner);
}

/* Sends what outer holds to the sink. */
static void encoder_flush(struct encoder *encoder)
{
	if (!encoder->error)
		encoder->error =
			encoder->sink->write(encoder->sink, encoder->outer.bytes.data, encoder->outer.bytes.nr);
	protobuf_reset(&encoder->outer);
}

/* Sends middle as an element of Profile, and clears it for the next one. */
static void encoder_emit(struct encoder *encoder, enum profile_field field)
{
	protobuf_put_message(&encoder->outer, field, &encoder->middle);
	protobuf_reset(&encoder->middle);
	encoder_flush(encoder);
}

static void encode_type(struct encoder *encoder, enum profile_field field, const struct profile_type *type)
{
	protobuf_put_field(&encoder->middle, TYPE_TYPE, type->type);
	protobuf_put_field(&encoder->middle, TYPE_UNIT, type->unit);
	encoder_emit(encoder, field);
}

static void encode_header(struct encoder *encoder)
{
	const struct profile *profile = encoder->profile;

	for (uint32_t i = 0; i < profile->nr_sample_types; i++)
		encode_type(encoder, PROFILE_SAMPLE_TYPE, &profile->sample_types[i]);
	encode_type(encoder, PROFILE_PERIOD_TYPE, &profile->period_type);
	protobuf_put_field(&encoder->outer, PROFILE_TIME, (uint64_t)profile->time_ns);
	protobuf_put_field(&encoder->outer, PROFILE_DURATION, (uint64_t)profile->duration_ns);
	protobuf_put_field(&encoder->outer, PROFILE_PERIOD, (uint64_t)profile->period);
	protobuf_put_field(&encoder->outer, PROFILE_DEFAULT_SAMPLE_TYPE, profile->default_sample_type);
	protobuf_put_field(&encoder->outer, PROFILE_DOC_URL, profile->doc_url);
	for (size_t i = 0; i < profile->comments.nr; i++)
		protobuf_put_varint(&encoder->inner, profile->comments.data[i]);
	if (profile->comments.nr)
		protobuf_put_message(&encoder->outer, PROFILE_COMMENT, &encoder->inner);
	protobuf_reset(&encoder->inner);
	encoder_flush(encoder);
}

static void encode_mappings(struct encoder *encoder)
{
	for (size_t i = 0; i < encoder->profile->mappings.nr; i++) {
		const struct profile_mapping *mapping = &encoder->profile->mappings.data[i];
		struct protobuf *message = &encoder->middle;

		protobuf_put_field(message, MAPPING_ID, i + 1);
		protobuf_put_field(message, MAPPING_START, mapping->start);
		protobuf_put_field(message, MAPPING_LIMIT, mapping->limit);
		protobuf_put_field(message, MAPPING_OFFSET, mapping->file_offset);
		protobuf_put_field(message, MAPPING_FILENAME, mapping->filename);
		protobuf_put_field(message, MAPPING_BUILD_ID, mapping->build_id);
		protobuf_put_field(message, MAPPING_HAS_FUNCTIONS, mapping->has_functions);
		protobuf_put_field(message, MAPPING_HAS_FILENAMES, mapping->has_filenames);
		protobuf_put_field(message, MAPPING_HAS_LINE_NUMBERS, mapping->has_line_numbers);
		protobuf_put_field(message, MAPPING_HAS_INLINE_FRAMES, mapping->has_inline_frames);
		encoder_emit(encoder, PROFILE_MAPPING);
	}
}

static void encode_functions(struct encoder *encoder)
{
	for (size_t i = 0; i < encoder->profile->functions.nr; i++) {
		const struct profile_function *function = &encoder->profile->functions.data[i];
		struct protobuf *message = &encoder->middle;

		protobuf_put_field(message, FUNCTION_ID, i + 1);
		protobuf_put_field(message, FUNCTION_NAME, function->name);
		protobuf_put_field(message, FUNCTION_SYSTEM_NAME, function->system_name);
		protobuf_put_field(message, FUNCTION_FILENAME, function->filename);
		protobuf_put_field(message, FUNCTION_START_LINE, function->start_line);
		encoder_emit(encoder, PROFILE_FUNCTION);
	}
}

static void encode_locations(struct encoder *encoder)
{
	for (size_t i = 0; i < encoder->profile->locations.nr; i++) {
		const struct profile_location *location = &encoder->profile->locations.data[i];
		struct protobuf *message = &encoder->middle;

		/* Flame graphs drop a frame without a line and credit its time to the caller. */
		assert(location->nr_lines >= 1);
		protobuf_put_field(message, LOCATION_ID, i + 1);
		protobuf_put_field(message, LOCATION_MAPPING, (uint64_t)location->mapping + 1);
		protobuf_put_field(message, LOCATION_ADDRESS, location->address);
		for (uint32_t j = 0; j < location->nr_lines; j++) {
			const struct profile_line *line = &encoder->profile->lines.data[location->first_line + j];

			protobuf_put_field(&encoder->inner, LINE_FUNCTION, (uint64_t)line->function + 1);
			protobuf_put_field(&encoder->inner, LINE_LINE, line->line);
			protobuf_put_message(message, LOCATION_LINE, &encoder->inner);
			protobuf_reset(&encoder->inner);
		}
		protobuf_put_field(message, LOCATION_IS_FOLDED, location->is_folded);
		encoder_emit(encoder, PROFILE_LOCATION);
	}
}

static void encode_labels(struct encoder *encoder, const struct profile_sample *sample)
{
	for (uint32_t i = 0; i < sample->nr_labels; i++) {
		const struct profile_label *label = &encoder->profile->sample_labels.data[sample->first_label + i];

		protobuf_put_field(&encoder->inner, LABEL_KEY, label->key);
		protobuf_put_field(&encoder->inner, LABEL_TEXT, label->text);
		protobuf_put_field(&encoder->inner, LABEL_NUMBER, (uint64_t)label->number);
		protobuf_put_field(&encoder->inner, LABEL_UNIT, label->unit);
		protobuf_put_message(&encoder->middle, SAMPLE_LABEL, &encoder->inner);
		protobuf_reset(&encoder->inner);
	}
}

static bool sample_is_zero(const struct profile *profile, const struct profile_sample *sample)
{
	for (uint32_t i = 0; i < profile->nr_sample_types; i++) {
		if (sample->values[i])
			return false;
	}
	return true;
}

static void encode_samples(struct encoder *encoder)
{
	const struct profile *profile = encoder->profile;

	for (size_t i = 0; i < profile->samples.nr; i++) {
		const struct profile_sample *sample = &profile->samples.data[i];

		if (sample_is_zero(profile, sample))
			continue;
		for (uint32_t j = 0; j < sample->nr_locations; j++)
			protobuf_put_varint(&encoder->inner,
					    (uint64_t)profile->sample_locations.data[sample->first_location + j] + 1);
		protobuf_put_message(&encoder->middle, SAMPLE_LOCATION, &encoder->inner);
		protobuf_reset(&encoder->inner);
		for (uint32_t j = 0; j < profile->nr_sample_types; j++)
			protobuf_put_varint(&encoder->inner, (uint64_t)sample->values[j]);
		protobuf_put_message(&encoder->middle, SAMPLE_VALUE, &encoder->inner);
		protobuf_reset(&encoder->inner);
		encode_labels(encoder, sample);
		encoder_emit(encoder, PROFILE_SAMPLE);
	}
}

static void encode_strings(struct encoder *encoder)
{
	for (uint32_t id = 0; id < encoder->profile->strings.texts.nr; id++) {
		const char *text = profile_text(encoder->profile, id);

		protobuf_put_bytes(&encoder->outer, PROFILE_STRING, text, strlen(text));
		encoder_flush(encoder);
	}
}

static void cleanup_gzip(struct gzip_sink **gzip)
{
	gzip_sink_destroy(*gzip);
}

int pprof_write(const struct profile *profile, struct sink *sink)
{
	_cleanup_(cleanup_gzip) struct gzip_sink *gzip = NULL;
	int error = gzip_sink_create(sink, &gzip);

	if (error)
		return error;
	_cleanup_(encoder_deinit) struct encoder encoder = {.profile = profile, .sink = gzip_sink_input(gzip)};

	encode_header(&encoder);
	encode_mappings(&encoder);
	encode_functions(&encoder);
	encode_locations(&encoder);
	encode_samples(&encoder);
	encode_strings(&encoder);
	return encoder.error ? encoder.error : gzip_sink_finish(gzip);
}
