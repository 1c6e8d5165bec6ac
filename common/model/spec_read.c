/* SPDX-License-Identifier: MIT */
/*
 * The reader keeps the steps from the root to the value in hand. They cost nothing while all is
 * well; only an error has them looked up in the text (json_locate.h) for its line and column.
 *
 * Members are read in the order of the text, so the error that is reported is the first one that a
 * person reading the spec from the top would meet.
 */
#include "common/model/spec_read.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/util/str.h"

enum {
	MAX_KEYS = 32,
};

void spec_enter(struct spec_reader *reader, const char *key, size_t index)
{
	assert(reader->n_steps < SPEC_READER_MAX_STEPS);
	reader->steps[reader->n_steps++] = (struct json_step){.key = key, .index = index};
}

void spec_leave(struct spec_reader *reader)
{
	assert(reader->n_steps > 0);
	reader->n_steps--;
}

/* A value that was left out has no place of its own: then the object that lacks it is the place. */
static void set_place(struct spec_reader *reader, enum json_locate_target target)
{
	struct json_place place = {.line = 1, .column = 1, .path = "$"};

	for (size_t n_steps = reader->n_steps + 1; n_steps-- > 0;) {
		if (json_locate(reader->text, reader->len, reader->steps, n_steps, target,
				&place) == 0) {
			break;
		}
	}
	snprintf(reader->error->json_path, sizeof(reader->error->json_path), "%s", place.path);
	reader->error->line = place.line;
	reader->error->column = place.column;
}

int spec_fail(struct spec_reader *reader, const char *format, ...)
{
	va_list arguments;

	*reader->error = (struct spec_error){0};
	set_place(reader, JSON_LOCATE_VALUE);
	va_start(arguments, format);
	vsnprintf(reader->error->message, sizeof(reader->error->message), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static void set_suggestion(struct spec_reader *reader, const char *word, const char *const *known,
			   size_t n_known)
{
	const char *nearest = str_nearest(word, known, n_known);

	snprintf(reader->error->suggestion, sizeof(reader->error->suggestion), "%s",
		 nearest ? nearest : "");
}

static int fail_unknown_key(struct spec_reader *reader, const char *name,
			    const struct spec_key *keys)
{
	const char *known[MAX_KEYS];
	size_t n_known = 0;

	for (const struct spec_key *key = keys; key->name; key++) {
		assert(n_known < MAX_KEYS);
		known[n_known++] = key->name;
	}
	(void)!spec_fail(reader, "unknown key");
	set_place(reader, JSON_LOCATE_KEY);
	set_suggestion(reader, name, known, n_known);
	return -EINVAL;
}

static int fail_unsupported_key(struct spec_reader *reader)
{
	(void)!spec_fail(reader, "not supported yet");
	set_place(reader, JSON_LOCATE_KEY);
	return -EINVAL;
}

static const char *type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",	 [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return names[json_typeof(value)];
}

int spec_check_type(struct spec_reader *reader, const json_t *value, json_type type,
		    const char *wanted)
{
	if (json_typeof(value) != type) {
		return spec_fail(reader, "must be %s, not %s", wanted, type_name(value));
	}
	return 0;
}

static const struct spec_key *find_key(const struct spec_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (str_equal(keys->name, name)) {
			return keys;
		}
	}
	return NULL;
}

static int read_member(struct spec_reader *reader, const char *name, const json_t *value,
		       const struct spec_key *keys, void *object_struct)
{
	const struct spec_key *key = find_key(keys, name);

	if (!key) {
		return fail_unknown_key(reader, name, keys);
	}
	if (!key->read) {
		return fail_unsupported_key(reader);
	}
	return key->read(reader, value, key, (char *)object_struct + key->offset);
}

int spec_read_object(struct spec_reader *reader, const json_t *object, const struct spec_key *keys,
		     void *object_struct)
{
	int r = spec_check_type(reader, object, JSON_OBJECT, "an object");
	/* jansson's iterator takes no const object, though it changes nothing */
	json_t *members = (json_t *)(uintptr_t)object;
	const char *name;
	json_t *value;

	if (r < 0) {
		return r;
	}
	json_object_foreach(members, name, value)
	{
		spec_enter(reader, name, 0);
		r = read_member(reader, name, value, keys, object_struct);
		spec_leave(reader);
		if (r < 0) {
			return r;
		}
	}
	for (const struct spec_key *key = keys; key->name; key++) {
		if (key->is_required && !json_object_get(object, key->name)) {
			return spec_fail(reader, "\"%s\" is missing", key->name);
		}
	}
	return 0;
}

int spec_read_string(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		     void *ret_field)
{
	char **ret_string = ret_field;
	int r = spec_check_type(reader, value, JSON_STRING, "a string");

	if (r < 0) {
		return r;
	}
	*ret_string = strdup(json_string_value(value));
	return *ret_string ? 0 : -ENOMEM;
}

int spec_read_bool(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		   void *ret_field)
{
	if (!json_is_boolean(value)) {
		return spec_fail(reader, "must be true or false, not %s", type_name(value));
	}
	*(bool *)ret_field = json_is_true(value);
	return 0;
}

static int read_whole_number(struct spec_reader *reader, const json_t *value,
			     const struct spec_key *key, int64_t *ret_number)
{
	int r = spec_check_type(reader, value, JSON_INTEGER, "a whole number");

	if (r < 0) {
		return r;
	}
	if (json_integer_value(value) < key->min || json_integer_value(value) > key->max) {
		return spec_fail(reader, "must be from %" PRId64 " to %" PRId64, key->min,
				 key->max);
	}
	*ret_number = json_integer_value(value);
	return 0;
}

int spec_read_int(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		  void *ret_field)
{
	int64_t number;
	int r = read_whole_number(reader, value, key, &number);

	if (r < 0) {
		return r;
	}
	*(int *)ret_field = (int)number;
	return 0;
}

int spec_read_count(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		    void *ret_field)
{
	int64_t number;
	int r = read_whole_number(reader, value, key, &number);

	if (r < 0) {
		return r;
	}
	*(uint64_t *)ret_field = (uint64_t)number;
	return 0;
}

int spec_read_limit(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		    void *ret_field)
{
	if (json_is_null(value)) {
		*(uint64_t *)ret_field = UINT64_MAX;
		return 0;
	}
	return spec_read_count(reader, value, key, ret_field);
}

int spec_read_real(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		   void *ret_field)
{
	double number;

	if (!json_is_number(value)) {
		return spec_fail(reader, "must be a number, not %s", type_name(value));
	}
	number = json_number_value(value);
	if (!(number >= (double)key->min && number <= (double)key->max)) {
		return spec_fail(reader, "must be from %" PRId64 " to %" PRId64, key->min,
				 key->max);
	}
	*(double *)ret_field = number;
	return 0;
}

static int fail_choice(struct spec_reader *reader, const char *word,
		       const struct spec_choice *choices, bool is_known)
{
	const char *known[MAX_KEYS];
	char list[SPEC_ERROR_MESSAGE_BYTES / 2] = "";
	size_t n_known = 0;

	for (; choices->name; choices++) {
		if (!choices->is_unsupported) {
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\"%s\"",
				 n_known > 0 ? " or " : "", choices->name);
			known[n_known++] = choices->name;
		}
	}
	if (is_known || choices->is_unsupported) {
		return spec_fail(reader, "not supported yet; must be %s", list);
	}
	(void)!spec_fail(reader, "must be %s", list);
	set_suggestion(reader, word, known, n_known);
	return -EINVAL;
}

int spec_read_choice(struct spec_reader *reader, const json_t *value,
		     const struct spec_choice *choices, int *ret_value)
{
	int r = spec_check_type(reader, value, JSON_STRING, "a string");

	if (r < 0) {
		return r;
	}
	for (const struct spec_choice *choice = choices; choice->name; choice++) {
		if (str_equal(choice->name, json_string_value(value))) {
			if (choice->is_unsupported) {
				return fail_choice(reader, choice->name, choices, true);
			}
			*ret_value = choice->value;
			return 0;
		}
	}
	return fail_choice(reader, json_string_value(value), choices, false);
}
