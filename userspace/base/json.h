/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - JSON for scripts, one member per line.
 *
 *     json_begin(&json); json_open(&json, NULL, '{'); json_string(&json, "key", "value"); json_close(&json, '}');
 *     text = json_end(&json, &size);
 *
 * key is NULL for the outermost value and within arrays.
 */
#ifndef EBPROF_BASE_JSON_H
#define EBPROF_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	char *text;
	size_t size;
	int depth;
	bool has_member; /* of the innermost object or array: a comma comes next */
};

void json_begin(struct json *json);
/* The text with a newline behind it, for free(); *size_ret bytes of it. */
char *json_end(struct json *json, size_t *size_ret);

/* '{' with '}', '[' with ']'. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

/* Any bytes; of more than 4 KiB only the beginning. */
void json_string(struct json *json, const char *key, const char *text);
void json_unsigned(struct json *json, const char *key, uint64_t number);
void json_signed(struct json *json, const char *key, int64_t number);
void json_real(struct json *json, const char *key, double number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
