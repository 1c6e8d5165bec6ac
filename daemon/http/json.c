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

/* By hand: printf would take most of the time of a long list or a scrape. */
void json_add_i64(struct buf *out, int64_t value)
{
	char text[24];
	char *end = text + sizeof(text);
	char *start = end;
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

	do {
		*--start = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0) {
		*--start = '-';
	}
	buf_add(out, start, (size_t)(end - start));
}

/* The fraction of a number of 1/10^n_decimals, without zeros at its end. */
static void add_fraction(struct buf *out, int64_t fraction, int n_decimals)
{
	char text[JSON_MAX_DECIMALS + 1] = ".";
	size_t len = 1;

	for (int i = n_decimals; i > 0; i--) {
		text[i] = (char)('0' + fraction % 10);
		fraction /= 10;
		if (len == 1 && text[i] != '0') {
			len = (size_t)i + 1;
		}
	}
	buf_add(out, text, len > 1 ? len : 0);
}

void json_add_double(struct buf *out, double value, int n_decimals)
{
	static const int64_t scales[JSON_MAX_DECIMALS + 1] = {1,     10,     100,    1000,
							      10000, 100000, 1000000};
	const double bound = 1e12; /* beyond which a scaled number would not be exact */
	int64_t scaled;

	if (!isfinite(value)) {
		buf_add_str(out, "null");
		return;
	}
	if (fabs(value) >= bound) {
		buf_printf(out, "%.15g", value);
		return;
	}
	scaled = (int64_t)(fabs(value) * (double)scales[n_decimals] + 0.5);
	if (value < 0 && scaled > 0) {
		buf_add_char(out, '-');
	}
	json_add_i64(out, scaled / scales[n_decimals]);
	add_fraction(out, scaled % scales[n_decimals], n_decimals);
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
		json_add_i64(out, value);
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
		json_add_i64(out, *(const int *)value);
		break;
	case JSON_KIND_U32:
		json_add_i64(out, *(const uint32_t *)value);
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
	static const char blanks[] = "\n                                ";
	const size_t n_blanks = sizeof(blanks) - 2;

	buf_add(out, blanks, 1 + MIN(2 * depth, n_blanks));
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

static bool is_structural(char c)
{
	switch (c) {
	case '{':
	case '}':
	case '[':
	case ']':
	case ',':
	case ':':
		return true;
	default:
		return false;
	}
}

/* The length of what stands before the next bracket, comma or colon outside of strings. */
static size_t plain_length(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && !is_structural(text[i])) {
		i += text[i] == '"' ? string_length(text + i, len - i) : 1;
	}
	return i;
}

static bool is_closing(char c)
{
	return c == '}' || c == ']';
}

/* One bracket, comma or colon, and the breaks around it. */
static void add_structural(struct buf *out, char c, bool is_empty, size_t *depth)
{
	if (is_closing(c)) {
		*depth -= *depth > 0;
		if (!is_empty) {
			add_line_break(out, *depth);
		}
	}
	buf_add_char(out, c);
	if (c == ':') {
		buf_add_char(out, ' ');
	} else if (c == ',') {
		add_line_break(out, *depth);
	} else if (!is_closing(c)) {
		++*depth;
		if (!is_empty) {
			add_line_break(out, *depth);
		}
	}
}

void json_add_pretty(struct buf *out, const char *text, size_t len)
{
	size_t depth = 0;
	size_t n = plain_length(text, len);

	buf_add(out, text, n);
	for (size_t i = n; i < len; i += 1 + n) {
		/* "{}" and "[]" stay together. */
		bool is_empty = is_closing(text[i]) ? i > 0 && memchr("{[", text[i - 1], 2) != NULL
						    : i + 1 < len && is_closing(text[i + 1]);

		add_structural(out, text[i], is_empty, &depth);
		n = plain_length(text + i + 1, len - i - 1);
		buf_add(out, text + i + 1, n);
	}
}
