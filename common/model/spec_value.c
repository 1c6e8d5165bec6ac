/* SPDX-License-Identifier: MIT */
/* The values of a job spec that are more than a bool, a number or a word of a list. */
#include "common/model/spec_value.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/data_path.h"
#include "common/model/job_spec.h"
#include "common/util/str.h"

static int check_not_compressed(struct spec_reader *reader, const char *path)
{
	static const char *const suffixes[] = {".gz", ".zst", ".bz2", ".xz"};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (str_ends_with(path, suffixes[i])) {
			return spec_fail(reader, "compressed files (%s) are not supported yet",
					 suffixes[i]);
		}
	}
	return 0;
}

static bool names_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;

	return str_equal(last, "") || str_equal(last, ".");
}

int spec_value_path(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		    void *ret_field)
{
	const char *path = json_string_value(value);
	int r = spec_check_type(reader, value, JSON_STRING, "a string");

	if (r < 0) {
		return r;
	}
	if (!*path) {
		return spec_fail(reader, "must not be empty");
	}
	r = data_path_normalise(path, ret_field);
	if (r == -EINVAL) {
		return spec_fail(reader, "must not have \"..\" in it");
	}
	if (r == -ENAMETOOLONG) {
		return spec_fail(reader, "must be at most %d bytes long", PATH_MAX - 1);
	}
	if (r < 0) {
		return r;
	}
	if (names_directory(path)) {
		return spec_fail(reader, "must name a file, not a directory");
	}
	return check_not_compressed(reader, path);
}

int spec_value_delimiter(struct spec_reader *reader, const json_t *value,
			 const struct spec_key *key, void *ret_field)
{
	const char *text = json_string_value(value);
	int r = spec_check_type(reader, value, JSON_STRING, "a string of one character");

	if (r < 0) {
		return r;
	}
	if (strlen(text) != 1) { /* of UTF-8: so it is ASCII */
		return spec_fail(reader, "must be one ASCII character");
	}
	if (text[0] == '\n' || text[0] == '\r') {
		return spec_fail(reader, "must not be a line end");
	}
	*(char *)ret_field = text[0];
	return 0;
}

int spec_value_quotechar(struct spec_reader *reader, const json_t *value,
			 const struct spec_key *key, void *ret_field)
{
	if (json_is_null(value)) {
		*(char *)ret_field = '\0';
		return 0;
	}
	return spec_value_delimiter(reader, value, key, ret_field);
}

static int read_fieldname(struct spec_reader *reader, const json_t *value, char **ret_name)
{
	int r = spec_read_string(reader, value, NULL, ret_name);

	if (r < 0) {
		return r;
	}
	return **ret_name ? 0 : spec_fail(reader, "must not be empty");
}

struct name_place {
	const char *name;
	size_t index;
};

static int compare_name_places(const void *a, const void *b)
{
	const struct name_place *left = a;
	const struct name_place *right = b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static int check_fieldnames_differ(struct spec_reader *reader, const struct input_spec *input)
{
	CLEANUP(free_p) struct name_place *places = calloc(input->n_fieldnames, sizeof(*places));
	int r = 0;

	if (!places) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < input->n_fieldnames; i++) {
		places[i] = (struct name_place){.name = input->fieldnames[i], .index = i};
	}
	qsort(places, input->n_fieldnames, sizeof(*places), compare_name_places);
	for (size_t i = 1; i < input->n_fieldnames && r == 0; i++) {
		if (str_equal(places[i].name, places[i - 1].name)) {
			spec_enter(reader, NULL, places[i].index);
			r = spec_fail(reader, "the same name as number %zu",
				      places[i - 1].index + 1);
			spec_leave(reader);
		}
	}
	return r;
}

int spec_value_fieldnames(struct spec_reader *reader, const json_t *value,
			  const struct spec_key *key, void *ret_field)
{
	struct input_spec *input = ret_field;
	size_t n = json_array_size(value);
	int r;

	if (json_is_null(value)) {
		return 0;
	}
	r = spec_check_type(reader, value, JSON_ARRAY, "an array of strings or null");
	if (r < 0) {
		return r;
	}
	if (n < 1 || n > (size_t)key->max) {
		return spec_fail(reader, "must have 1 to %zu names", (size_t)key->max);
	}
	input->fieldnames = calloc(n, sizeof(*input->fieldnames));
	if (!input->fieldnames) {
		return -ENOMEM;
	}
	input->n_fieldnames = n;
	for (size_t i = 0; i < n; i++) {
		spec_enter(reader, NULL, i);
		r = read_fieldname(reader, json_array_get(value, i), &input->fieldnames[i]);
		spec_leave(reader);
		if (r < 0) {
			return r;
		}
	}
	return check_fieldnames_differ(reader, input);
}

/*
 * A string, because JSON has no octal numbers and 640 would be read as one; only permission bits,
 * because an output file has no business to be set-user-ID.
 */
int spec_value_mode(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		    void *ret_field)
{
	const char *digits = json_string_value(value);
	int r = spec_check_type(reader, value, JSON_STRING, "a string like \"0640\"");
	int mode = 0;

	if (r < 0) {
		return r;
	}
	if (strlen(digits) == 4 && digits[0] == '0') {
		digits++;
	}
	if (strlen(digits) != 3 || strspn(digits, "01234567") != 3) {
		return spec_fail(reader, "must be three octal digits like \"0640\"");
	}
	for (; *digits; digits++) {
		mode = mode * 8 + (*digits - '0');
	}
	*(int *)ret_field = mode;
	return 0;
}
