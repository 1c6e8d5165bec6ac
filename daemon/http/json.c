/* SPDX-License-Identifier: MIT */
/*
 * Answers are written straight into text: a tree of values would be built only to be thrown away,
 * a hundred times a second. The pretty form is made from the text, so it shows the same digits.
 */
#include "daemon/http/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/util/clock.h"
#include "common/util/str.h"

/* Paths and messages may hold what a user named in any encoding. */
static void add_repaired(struct buf *out, const char *text, size_t len)
{
	CLEANUP(buf_deinit) struct buf repaired = BUF_INIT;
	size_t n_good;

	while (len > 0 && !str_is_utf8(text, len, &n_good)) {
		buf_add(&repaired, text, n_good);
		buf_add_str(&repaired, "\xef\xbf\xbd");
		text += n_good + 1;
		len -= n_good + 1;
	}
	buf_add(&repaired, text, len);
	if (buf_error(&repaired) < 0) {
		out->error = buf_error(&repaired);
		return;
	}
	buf_add_json_string(out, repaired.data, repaired.len);
}

void json_add_text(struct buf *out, const char *text)
{
	size_t len;

	if (text == NULL) {
		buf_add_str(out, "null");
		return;
	}
	len = strlen(text);
	if (str_is_utf8(text, len, NULL)) {
		buf_add_json_string(out, text, len);
	} else {
		add_repaired(out, text, len);
	}
}

void json_add_double(struct buf *out, double value, int n_decimals)
{
	if (!isfinite(value)) {
		buf_add_str(out, "null");
		return;
	}
	buf_printf(out, "%.*f", n_decimals, value);
	if (n_decimals > 0) {
		while (out->error == 0 && out->data[out->len - 1] == '0') {
			out->len--;
		}
		if (out->error == 0 && out->data[out->len - 1] == '.') {
			out->len--;
		}
	}
}

static void add_time(struct buf *out, int64_t realtime_ns, enum json_kind kind)
{
	char text[CLOCK_TEXT_SIZE];

	if (realtime_ns <= 0) {
		buf_add_str(out, "null");
	} else if (kind == JSON_KIND_TIME) {
		buf_printf(out, "\"%s\"", clock_format_utc(text, realtime_ns));
	} else {
		json_add_double(out, (double)realtime_ns / (double)CLOCK_NS_PER_SEC, 3);
	}
}

static void add_real(struct buf *out, double value, enum json_kind kind)
{
	if (kind != JSON_KIND_REAL && value < 0) {
		buf_add_str(out, "null");
	} else {
		json_add_double(out, value, kind == JSON_KIND_RATIO_OR_NULL ? 6 : 3);
	}
}

static void add_i64(struct buf *out, int64_t value, enum json_kind kind)
{
	if (kind == JSON_KIND_I64_OR_NULL && value < 0) {
		buf_add_str(out, "null");
	} else {
		buf_printf(out, "%" PRId64, value);
	}
}

static void add_value(struct buf *out, enum json_kind kind, const void *value)
{
	switch (kind) {
	case JSON_KIND_TEXT:
		json_add_text(out, *(const char *const *)value);
		break;
	case JSON_KIND_BOOL:
		buf_add_str(out, *(const bool *)value ? "true" : "false");
		break;
	case JSON_KIND_INT:
		buf_printf(out, "%d", *(const int *)value);
		break;
	case JSON_KIND_U32:
		buf_printf(out, "%" PRIu32, *(const uint32_t *)value);
		break;
	case JSON_KIND_U64:
		buf_printf(out, "%" PRIu64, *(const uint64_t *)value);
		break;
	case JSON_KIND_I64:
	case JSON_KIND_I64_OR_NULL:
		add_i64(out, *(const int64_t *)value, kind);
		break;
	case JSON_KIND_REAL:
	case JSON_KIND_REAL_OR_NULL:
	case JSON_KIND_RATIO_OR_NULL:
		add_real(out, *(const double *)value, kind);
		break;
	case JSON_KIND_TIME:
	case JSON_KIND_TIME_SECONDS:
		add_time(out, *(const int64_t *)value, kind);
		break;
	}
}

void json_add_fields(struct buf *out, const struct json_field *fields, size_t n_fields,
		     const void *object)
{
	for (size_t i = 0; i < n_fields; i++) {
		if (i > 0) {
			buf_add_char(out, ',');
		}
		buf_add_char(out, '"');
		buf_add_str(out, fields[i].name);
		buf_add_str(out, "\":");
		add_value(out, fields[i].kind, (const char *)object + fields[i].offset);
	}
}

static void add_line_break(struct buf *out, size_t depth)
{
	buf_add_char(out, '\n');
	for (size_t i = 0; i < depth; i++) {
		buf_add_str(out, "  ");
	}
}

/* The length of the string that begins with the quote at text[0]. */
static size_t string_length(const char *text, size_t len)
{
	size_t i = 1;

	while (i < len && text[i] != '"') {
		i += text[i] == '\\' ? 2 : 1;
	}
	return i < len ? i + 1 : len;
}

void json_add_pretty(struct buf *out, const char *text, size_t len)
{
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool is_empty = i + 1 < len && (text[i + 1] == '}' || text[i + 1] == ']');

		if (c == '"') {
			size_t n = string_length(text + i, len - i);

			buf_add(out, text + i, n);
			i += n - 1;
		} else if ((c == '{' || c == '[') && is_empty) {
			buf_add(out, text + i, 2);
			i++;
		} else if (c == '{' || c == '[') {
			buf_add_char(out, c);
			add_line_break(out, ++depth);
		} else if (c == '}' || c == ']') {
			depth -= depth > 0;
			add_line_break(out, depth);
			buf_add_char(out, c);
		} else if (c == ',') {
			buf_add_char(out, c);
			add_line_break(out, depth);
		} else if (c == ':') {
			buf_add_str(out, ": ");
		} else {
			buf_add_char(out, c);
		}
	}
}
