/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - a small JSON writer.
 *
 * The text is made in memory (a few kilobytes) and written by the caller at once. JSON knows neither NaN nor infinity:
 * both become null. Strings may hold any bytes (a path does); what is not valid UTF-8 is replaced, since a reader would
 * otherwise refuse the whole object.
 */
#include "json.h"

#include <math.h>
#include <stdlib.h>

#include "text.h"

static void begin_value(struct json *json, const char *key)
{
	fprintf(json->out, "%s\n%*s", json->has_member ? "," : "", json->depth * 2, "");
	if (key)
		fprintf(json->out, "\"%s\": ", key);
	json->has_member = true;
}

void json_begin(struct json *json)
{
	*json = (struct json){0};
	json->out = open_memstream(&json->text, &json->size);
	/* The stream fails only without memory, which ends the program elsewhere too. */
	if (!json->out)
		abort();
}

char *json_end(struct json *json, size_t *size_ret)
{
	fputc('\n', json->out);
	if (fclose(json->out) != 0)
		abort();
	*size_ret = json->size;
	return json->text;
}

void json_open(struct json *json, const char *key, char bracket)
{
	if (json->depth)
		begin_value(json, key);
	fputc(bracket, json->out);
	json->depth++;
	json->has_member = false;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (json->has_member)
		fprintf(json->out, "\n%*s", json->depth * 2, "");
	fputc(bracket, json->out);
	json->has_member = true;
}

void json_string(struct json *json, const char *key, const char *text)
{
	char clean[4096];

	begin_value(json, key);
	fputc('"', json->out);
	for (const char *c = text_printable(text, clean, sizeof(clean)); *c; c++)
		fprintf(json->out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	fputc('"', json->out);
}

void json_unsigned(struct json *json, const char *key, uint64_t number)
{
	begin_value(json, key);
	fprintf(json->out, "%llu", (unsigned long long)number);
}

void json_signed(struct json *json, const char *key, int64_t number)
{
	begin_value(json, key);
	fprintf(json->out, "%lld", (long long)number);
}

void json_real(struct json *json, const char *key, double number)
{
	if (!isfinite(number)) {
		json_null(json, key);
		return;
	}
	begin_value(json, key);
	fprintf(json->out, "%.9g", number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key)
{
	begin_value(json, key);
	fputs("null", json->out);
}
