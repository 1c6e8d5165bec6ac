/* SPDX-License-Identifier: MIT */
/*
 * What this daemon writes about jobs it reads again after a crash, an upgrade, or an edit by hand:
 * so the text is made with fixed order and no spaces by us, and read by a real parser that trusts
 * nothing in it.
 */
#include "daemon/sched/record.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/model/job_state.h"
#include "common/model/reject.h"

#define RECORD_VERSION 1

static const void *member(const void *record, const struct record_field *field)
{
	return (const char *)record + field->offset;
}

static void render_value(const struct record_field *field, const void *value, struct buf *out)
{
	switch (field->kind) {
	case RECORD_STRING: {
		const char *text = *(char *const *)value;
		buf_add_json_string(out, text, strlen(text));
		break;
	}
	case RECORD_COUNT:
	case RECORD_U64:
		buf_printf(out, "%" PRId64, *(const int64_t *)value);
		break;
	case RECORD_U32:
		buf_printf(out, "%" PRIu32, *(const uint32_t *)value);
		break;
	case RECORD_INT:
		buf_printf(out, "%d", *(const int *)value);
		break;
	case RECORD_BOOL:
		buf_add_str(out, *(const bool *)value ? "true" : "false");
		break;
	case RECORD_DOUBLE:
		buf_printf(out, "%.15g",
			   isfinite(*(const double *)value) ? *(const double *)value : 0);
		break;
	case RECORD_STATE:
		buf_printf(out, "\"%s\"", job_state_name(*(const enum job_state *)value));
		break;
	case RECORD_REASON:
		buf_printf(out, "\"%s\"", job_reason_name(*(const enum job_reason *)value));
		break;
	}
}

void record_render(const struct record_field *fields, size_t n_fields, const void *record,
		   struct buf *out)
{
	const char *separator = "";
	for (size_t i = 0; i < n_fields; i++) {
		const void *value = member(record, &fields[i]);
		if (fields[i].kind == RECORD_STRING && !*(char *const *)value) {
			continue;
		}
		buf_printf(out, "%s\"%s\":", separator, fields[i].name);
		render_value(&fields[i], value, out);
		separator = ",";
	}
}

static int parse_string(const json_t *json, char **ret_text)
{
	if (!json_is_string(json) || *ret_text) {
		return -EINVAL;
	}
	*ret_text = strdup(json_string_value(json));
	return *ret_text ? 0 : -ENOMEM;
}

static int parse_integer(const json_t *json, int64_t min, int64_t max, int64_t *ret_value)
{
	int64_t value = json_integer_value(json);
	if (!json_is_integer(json) || value < min || value > max) {
		return -EINVAL;
	}
	*ret_value = value;
	return 0;
}

static int parse_double(const json_t *json, double *ret_value)
{
	double value = json_number_value(json);
	if (!json_is_number(json) || value < 0) {
		return -EINVAL;
	}
	*ret_value = value;
	return 0;
}

static int parse_bool(const json_t *json, bool *ret_value)
{
	if (!json_is_boolean(json)) {
		return -EINVAL;
	}
	*ret_value = json_is_true(json);
	return 0;
}

static int parse_value(const struct record_field *field, const json_t *json, void *value)
{
	const char *name = json_is_string(json) ? json_string_value(json) : "";
	int64_t number = 0;
	int r = -EINVAL;
	switch (field->kind) {
	case RECORD_STRING:
		return parse_string(json, value);
	case RECORD_COUNT:
		return parse_integer(json, 0, INT64_MAX, value);
	case RECORD_U64:
		return parse_integer(json, INT64_MIN, INT64_MAX, value);
	case RECORD_U32:
		r = parse_integer(json, 0, UINT32_MAX, &number);
		*(uint32_t *)value = (uint32_t)number;
		return r;
	case RECORD_INT:
		r = parse_integer(json, INT32_MIN, INT32_MAX, &number);
		*(int *)value = (int)number;
		return r;
	case RECORD_BOOL:
		return parse_bool(json, value);
	case RECORD_DOUBLE:
		return parse_double(json, value);
	case RECORD_STATE:
		return job_state_parse(name, value);
	case RECORD_REASON:
		return job_reason_parse(name, value);
	}
	return r;
}

int record_parse(const struct record_field *fields, size_t n_fields, const json_t *object,
		 void *record)
{
	if (!json_is_object(object)) {
		return -EINVAL;
	}
	for (size_t i = 0; i < n_fields; i++) {
		const json_t *json = json_object_get(object, fields[i].name);
		int r = json ? parse_value(&fields[i], json, (char *)record + fields[i].offset)
			     : (fields[i].is_required ? -EINVAL : 0);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

void record_free_strings(const struct record_field *fields, size_t n_fields, void *record)
{
	for (size_t i = 0; i < n_fields; i++) {
		if (fields[i].kind == RECORD_STRING) {
			free_p((char *)record + fields[i].offset);
		}
	}
}

int record_load(const char *text, size_t len, json_t **ret_object)
{
	json_error_t error;
	json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!object) {
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
	}
	if (json_integer_value(json_object_get(object, "version")) != RECORD_VERSION) {
		json_decref(object);
		return -EINVAL;
	}
	*ret_object = object;
	return 0;
}

void record_unrefp(json_t **object)
{
	json_decref(*object);
}

void record_render_rejects(const int64_t *rejects, struct buf *out)
{
	const char *separator = "";
	buf_add_char(out, '{');
	for (unsigned code = 0; code < REJECT_N_CODES; code++) {
		if (rejects[code] != 0) {
			buf_printf(out, "%s\"%s\":%" PRId64, separator,
				   reject_name((enum reject_code)code), rejects[code]);
			separator = ",";
		}
	}
	buf_add_char(out, '}');
}

int record_parse_rejects(const json_t *object, int64_t *ret_rejects)
{
	for (unsigned code = 0; object && code < REJECT_N_CODES; code++) {
		const json_t *json = json_object_get(object, reject_name((enum reject_code)code));
		int r = json ? parse_integer(json, 0, INT64_MAX, &ret_rejects[code]) : 0;
		if (r < 0) {
			return r;
		}
	}
	return object && !json_is_object(object) ? -EINVAL : 0;
}
