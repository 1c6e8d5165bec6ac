/* SPDX-License-Identifier: MIT */
/*
 * From text to a checked spec in three steps: jansson reads the JSON, the tables of job_spec_read.c
 * read the values, job_spec_check.c compares them. Each step stops at its first error.
 */
#include "common/model/job_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/model/job_spec_read.h"
#include "common/model/json_locate.h"
#include "common/model/spec_read.h"
#include "common/util/str.h"

static void free_pipe(struct pipe_spec *pipe)
{
	for (size_t i = 0; i < pipe->input.n_fieldnames; i++) {
		free(pipe->input.fieldnames[i]);
	}
	free(pipe->input.fieldnames);
	free(pipe->input.path);
	free(pipe->output.path);
	free(pipe->errors.path);
}

struct job_spec *job_spec_free(struct job_spec *spec)
{
	if (!spec) {
		return NULL;
	}
	for (size_t i = 0; i < spec->n_pipes; i++) {
		free_pipe(&spec->pipes[i]);
	}
	free(spec->pipes);
	free(spec->name);
	free(spec);
	return NULL;
}

void job_spec_freep(struct job_spec **spec)
{
	*spec = job_spec_free(*spec);
}

/* jansson's messages quote the text around an error: any bytes, cut anywhere. */
static void copy_printable(char *to, size_t size, const char *text)
{
	size_t n = str_utf8_floor(text, strlen(text), size - 1);

	for (size_t i = 0; i < n; i++) {
		to[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
	}
	to[n] = '\0';
	if (!str_is_utf8(to, n, &n)) {
		to[n] = '\0';
	}
}

static int fail_duplicate_key(const char *text, const json_error_t *json_error,
			      struct spec_error *ret_error)
{
	struct json_place place = {
		.line = ret_error->line, .column = ret_error->column, .path = ""};

	/* Not found where a key lies absurdly deep: jansson's own line and column then have to do.
	 */
	(void)!json_locate_key_before(text, (size_t)json_error->position, &place);
	ret_error->line = place.line;
	ret_error->column = place.column;
	snprintf(ret_error->json_path, sizeof(ret_error->json_path), "%s", place.path);
	snprintf(ret_error->message, sizeof(ret_error->message), "this key was there before");
	return -EINVAL;
}

static int fail_json(const char *text, const json_error_t *json_error, struct spec_error *ret_error)
{
	char message[sizeof(json_error->text)];

	*ret_error = (struct spec_error){
		.line = json_error->line > 0 ? (unsigned)json_error->line : 1,
		.column = json_error->column > 0 ? (unsigned)json_error->column : 1,
	};
	if (json_error_code(json_error) == json_error_duplicate_key) {
		return fail_duplicate_key(text, json_error, ret_error);
	}
	copy_printable(message, sizeof(message), json_error->text);
	snprintf(ret_error->message, sizeof(ret_error->message), "not JSON: %s", message);
	return -EINVAL;
}

/* Out of memory, jansson complains of syntax or of nothing; that malloc failed only errno tells. */
static int load_json(const char *text, size_t len, json_t **ret_root, struct spec_error *ret_error)
{
	json_error_t json_error;

	errno = 0;
	*ret_root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
	if (*ret_root) {
		return 0;
	}
	return errno == ENOMEM ? -ENOMEM : fail_json(text, &json_error, ret_error);
}

static int fail_too_long(struct spec_error *ret_error)
{
	*ret_error = (struct spec_error){.line = 1, .column = 1};
	snprintf(ret_error->message, sizeof(ret_error->message), "longer than %d bytes",
		 JOB_SPEC_MAX_BYTES);
	return -EINVAL;
}

int job_spec_parse(const char *text, size_t len, struct job_spec **ret_spec,
		   struct spec_error *ret_error)
{
	CLEANUP(job_spec_freep) struct job_spec *spec = NULL;
	json_auto_t *root = NULL;
	struct spec_reader reader = {.text = text, .len = len, .error = ret_error};
	int r;

	if (len > JOB_SPEC_MAX_BYTES) {
		return fail_too_long(ret_error);
	}
	r = load_json(text, len, &root, ret_error);
	if (r < 0) {
		return r;
	}
	spec = calloc(1, sizeof(*spec));
	if (!spec) {
		return -ENOMEM;
	}
	r = job_spec_read(&reader, root, spec);
	if (r == 0) {
		r = job_spec_check(&reader, root, spec);
	}
	if (r == 0) {
		*ret_spec = TAKE_PTR(spec);
	}
	return r;
}

bool job_name_is_valid(const char *name)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strspn(name, letters);

	return len > 0 && len <= JOB_SPEC_MAX_NAME_BYTES && name[len] == '\0';
}

int job_name_from_file(const char *file_name, char **ret_name)
{
	const char *slash = strrchr(file_name, '/');
	const char *base = slash ? slash + 1 : file_name;
	size_t len = strlen(base) - (str_ends_with(base, ".json") ? strlen(".json") : 0);
	char *name = strndup(base, len);

	if (!name) {
		return -ENOMEM;
	}
	if (!job_name_is_valid(name)) {
		free(name);
		return -EINVAL;
	}
	*ret_name = name;
	return 0;
}
