/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/buf.h"

enum { JSON_MAX_DECIMALS = 6 };

/* Pieces of JSON text that the renderers share. Numbers are never NaN or infinite. */

/* A string; bytes that are no UTF-8 become U+FFFD each, NULL becomes null. */
void json_add_text(struct buf *out, const char *text);

void json_add_i64(struct buf *out, int64_t value);

/* null if it is not finite; else with at most n_decimals (<= JSON_MAX_DECIMALS) of them. */
void json_add_double(struct buf *out, double value, int n_decimals);

/* One value of a struct, as a table of its fields describes it. */
enum json_kind {
	JSON_KIND_TEXT,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_U32,
	JSON_KIND_U64,
	JSON_KIND_I64,
	JSON_KIND_I64_OR_NULL,	 /* negative is null */
	JSON_KIND_REAL,		 /* 3 decimals */
	JSON_KIND_REAL_OR_NULL,	 /* the same; negative is null */
	JSON_KIND_RATIO_OR_NULL, /* 6 decimals; negative is null */
	JSON_KIND_TIME,		 /* realtime ns -> RFC 3339; 0 is null */
	JSON_KIND_TIME_SECONDS,	 /* realtime ns -> seconds since 1970; 0 is null */
};

struct json_field {
	const char *name; /* needs no escape */
	enum json_kind kind;
	size_t offset;
};

/* Adds "name":value for each field, with commas between; no braces. */
void json_add_fields(struct buf *out, const struct json_field *fields, size_t n_fields,
		     const void *object);

/* Adds compact JSON with line breaks and two blanks a level. The text is valid JSON of ours. */
void json_add_pretty(struct buf *out, const char *text, size_t len);
