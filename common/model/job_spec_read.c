/* SPDX-License-Identifier: MIT */
/*
 * The job spec's keys, one table for each kind of object. A key that the format has but this
 * version does not do stands in its table without a reader: it is refused, not ignored, since a
 * job that quietly skips its schema is worse than one that does not start.
 */
#include "common/model/job_spec_read.h"

#include <errno.h>
#include <stdlib.h>

#include "common/model/job_spec.h"
#include "common/model/spec_quantity.h"
#include "common/model/spec_read.h"
#include "common/model/spec_value.h"

static const struct pipe_spec default_pipe = {
	.input = {.delimiter = ',',
		  .quotechar = '"',
		  .header = true,
		  .limit = UINT64_MAX,
		  .max_row_bytes = JOB_SPEC_DEFAULT_ROW_BYTES},
	.output = {.if_exists = OUTPUT_IF_EXISTS_REPLACE, .mode = -1},
	.errors = {.max_rows = UINT64_MAX, .max_ratio = JOB_SPEC_DEFAULT_MAX_RATIO},
};

static int read_input_format(struct spec_reader *reader, const json_t *value,
			     const struct spec_key *key, void *ret_field)
{
	static const struct spec_choice formats[] = {
		{.name = "csv"},
		{.name = "json", .is_unsupported = true},
		{.name = "jsonl", .is_unsupported = true},
		{.name = NULL},
	};
	int format;

	return spec_read_choice(reader, value, formats, &format);
}

static int read_compression(struct spec_reader *reader, const json_t *value,
			    const struct spec_key *key, void *ret_field)
{
	static const struct spec_choice compressions[] = {
		{.name = "auto"},
		{.name = "none"},
		{.name = "gzip", .is_unsupported = true},
		{.name = "zstd", .is_unsupported = true},
		{.name = "bzip2", .is_unsupported = true},
		{.name = "xz", .is_unsupported = true},
		{.name = NULL},
	};
	int compression;

	return spec_read_choice(reader, value, compressions, &compression);
}

static const struct limits_spec default_limits = {.stall_ns = JOB_SPEC_DEFAULT_STALL_NS};

static const struct retry_spec default_retry = {
	.attempts = JOB_SPEC_DEFAULT_ATTEMPTS,
	.backoff_ns = JOB_SPEC_DEFAULT_BACKOFF_NS,
};

#define FIELD(type, field) .offset = offsetof(struct type, field)

static const struct spec_key input_keys[] = {
	{.name = "path", .read = spec_value_path, FIELD(input_spec, path), .is_required = true},
	{.name = "format", .read = read_input_format},
	{.name = "compression", .read = read_compression},
	{.name = "delimiter", .read = spec_value_delimiter, FIELD(input_spec, delimiter)},
	{.name = "quotechar", .read = spec_value_quotechar, FIELD(input_spec, quotechar)},
	{.name = "strict", .read = spec_read_bool, FIELD(input_spec, strict)},
	{.name = "header", .read = spec_read_bool, FIELD(input_spec, header)},
	{.name = "fieldnames", .read = spec_value_fieldnames, .max = JOB_SPEC_MAX_FIELDNAMES},
	{.name = "skip_rows",
	 .read = spec_read_count,
	 FIELD(input_spec, skip_rows),
	 .max = JOB_SPEC_MAX_COUNT},
	{.name = "limit",
	 .read = spec_read_limit,
	 FIELD(input_spec, limit),
	 .max = JOB_SPEC_MAX_COUNT},
	{.name = "max_row_bytes",
	 .read = spec_read_count,
	 FIELD(input_spec, max_row_bytes),
	 .min = 1,
	 .max = JOB_SPEC_MAX_ROW_BYTES},
	{.name = NULL},
};

/* ret_field: struct input_spec * */
static int read_input(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		      void *ret_field)
{
	return spec_read_object(reader, value, input_keys, ret_field);
}

static int read_output_format(struct spec_reader *reader, const json_t *value,
			      const struct spec_key *key, void *ret_field)
{
	static const struct spec_choice formats[] = {
		{.name = "jsonl"},
		{.name = "json", .is_unsupported = true},
		{.name = "csv", .is_unsupported = true},
		{.name = NULL},
	};
	int format;

	return spec_read_choice(reader, value, formats, &format);
}

/* ret_field: enum output_if_exists * */
static int read_if_exists(struct spec_reader *reader, const json_t *value,
			  const struct spec_key *key, void *ret_field)
{
	static const struct spec_choice answers[] = {
		{.name = "replace", .value = OUTPUT_IF_EXISTS_REPLACE},
		{.name = "fail", .value = OUTPUT_IF_EXISTS_FAIL},
		{.name = NULL},
	};
	int answer;
	int r = spec_read_choice(reader, value, answers, &answer);

	if (r < 0) {
		return r;
	}
	*(enum output_if_exists *)ret_field = (enum output_if_exists)answer;
	return 0;
}

static const struct spec_key output_keys[] = {
	{.name = "path", .read = spec_value_path, FIELD(output_spec, path), .is_required = true},
	{.name = "format", .read = read_output_format},
	{.name = "if_exists", .read = read_if_exists, FIELD(output_spec, if_exists)},
	{.name = "mode", .read = spec_value_mode, FIELD(output_spec, mode)},
	{.name = NULL},
};

/* ret_field: struct output_spec * */
static int read_output(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		       void *ret_field)
{
	return spec_read_object(reader, value, output_keys, ret_field);
}

static const struct spec_key errors_keys[] = {
	{.name = "path", .read = spec_value_path, FIELD(errors_spec, path)},
	{.name = "max_rows",
	 .read = spec_read_limit,
	 FIELD(errors_spec, max_rows),
	 .max = JOB_SPEC_MAX_COUNT},
	{.name = "max_ratio", .read = spec_read_real, FIELD(errors_spec, max_ratio), .max = 1},
	{.name = NULL},
};

/* ret_field: struct errors_spec * */
static int read_errors(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		       void *ret_field)
{
	return spec_read_object(reader, value, errors_keys, ret_field);
}

static const struct spec_key pipe_keys[] = {
	{.name = "input", .read = read_input, FIELD(pipe_spec, input), .is_required = true},
	{.name = "schema"},
	{.name = "hooks"},
	{.name = "output", .read = read_output, FIELD(pipe_spec, output), .is_required = true},
	{.name = "errors", .read = read_errors, FIELD(pipe_spec, errors)},
	{.name = NULL},
};

static int allocate_pipes(struct job_spec *spec, size_t n_pipes)
{
	spec->pipes = calloc(n_pipes, sizeof(*spec->pipes));
	if (!spec->pipes) {
		return -ENOMEM;
	}
	spec->n_pipes = n_pipes;
	for (size_t i = 0; i < n_pipes; i++) {
		spec->pipes[i] = default_pipe;
	}
	return 0;
}

/* ret_field: struct job_spec * */
static int read_pipes(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		      void *ret_field)
{
	struct job_spec *spec = ret_field;
	size_t n = json_array_size(value);
	int r = spec_check_type(reader, value, JSON_ARRAY, "an array of pipes");

	if (r < 0) {
		return r;
	}
	if (n < 1 || n > (size_t)key->max) {
		return spec_fail(reader, "must have 1 to %zu pipes", (size_t)key->max);
	}
	r = allocate_pipes(spec, n);
	for (size_t i = 0; i < n && r == 0; i++) {
		spec_enter(reader, NULL, i);
		r = spec_read_object(reader, json_array_get(value, i), pipe_keys, &spec->pipes[i]);
		spec_leave(reader);
	}
	return r;
}

static int read_version(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
			void *ret_field)
{
	int version;
	int r = spec_read_int(reader, value, key, &version);

	return r;
}

/* ret_field: char ** */
static int read_name(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		     void *ret_field)
{
	char **ret_name = ret_field;
	int r = spec_read_string(reader, value, key, ret_name);

	if (r < 0) {
		return r;
	}
	if (!job_name_is_valid(*ret_name)) {
		return spec_fail(reader, "must be 1 to %d of the characters A-Z a-z 0-9 . _ -",
				 JOB_SPEC_MAX_NAME_BYTES);
	}
	return 0;
}

/* ret_field: unsigned * */
static int read_unsigned(struct spec_reader *reader, const json_t *value,
			 const struct spec_key *key, void *ret_field)
{
	int number;
	int r = spec_read_int(reader, value, key, &number);

	if (r < 0) {
		return r;
	}
	*(unsigned *)ret_field = (unsigned)number;
	return 0;
}

static int read_engine(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		       void *ret_field)
{
	static const struct spec_choice engines[] = {
		{.name = "pool"},
		{.name = NULL, .is_unsupported = true},
	};
	int engine;

	return spec_read_choice(reader, value, engines, &engine);
}

/* The parts of the one pipe that a spec without "pipes" has. ret_field: struct job_spec * */
static int read_only_input(struct spec_reader *reader, const json_t *value,
			   const struct spec_key *key, void *ret_field)
{
	return read_input(reader, value, key, &((struct job_spec *)ret_field)->pipes[0].input);
}

static int read_only_output(struct spec_reader *reader, const json_t *value,
			    const struct spec_key *key, void *ret_field)
{
	return read_output(reader, value, key, &((struct job_spec *)ret_field)->pipes[0].output);
}

static int read_only_errors(struct spec_reader *reader, const json_t *value,
			    const struct spec_key *key, void *ret_field)
{
	return read_errors(reader, value, key, &((struct job_spec *)ret_field)->pipes[0].errors);
}

static const struct spec_key limits_keys[] = {
	{.name = "memory_per_worker",
	 .read = spec_quantity_size_or_none,
	 FIELD(limits_spec, memory_per_worker_bytes),
	 .min = JOB_SPEC_MIN_MEMORY_BYTES,
	 .max = JOB_SPEC_MAX_MEMORY_BYTES},
	{.name = "wall",
	 .read = spec_quantity_duration_or_none,
	 FIELD(limits_spec, wall_ns),
	 .min = JOB_SPEC_MIN_WALL_NS,
	 .max = JOB_SPEC_MAX_WALL_NS},
	{.name = "stall",
	 .read = spec_quantity_duration,
	 FIELD(limits_spec, stall_ns),
	 .min = JOB_SPEC_MIN_STALL_NS,
	 .max = JOB_SPEC_MAX_STALL_NS},
	{.name = NULL},
};

/* ret_field: struct limits_spec * */
static int read_limits(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		       void *ret_field)
{
	return spec_read_object(reader, value, limits_keys, ret_field);
}

static const struct spec_key retry_keys[] = {
	{.name = "attempts",
	 .read = read_unsigned,
	 FIELD(retry_spec, attempts),
	 .min = 1,
	 .max = JOB_SPEC_MAX_ATTEMPTS},
	{.name = "backoff",
	 .read = spec_quantity_duration,
	 FIELD(retry_spec, backoff_ns),
	 .max = JOB_SPEC_MAX_BACKOFF_NS},
	{.name = NULL},
};

/* ret_field: struct retry_spec * */
static int read_retry(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		      void *ret_field)
{
	return spec_read_object(reader, value, retry_keys, ret_field);
}

static const struct spec_key job_keys[] = {
	{.name = "version", .read = read_version, .is_required = true, .min = 1, .max = 1},
	{.name = "name", .read = read_name, FIELD(job_spec, name)},
	{.name = "workers",
	 .read = read_unsigned,
	 FIELD(job_spec, workers),
	 .min = 1,
	 .max = JOB_SPEC_MAX_WORKERS},
	{.name = "engine", .read = read_engine},
	{.name = "priority",
	 .read = spec_read_int,
	 FIELD(job_spec, priority),
	 .min = -JOB_SPEC_MAX_PRIORITY,
	 .max = JOB_SPEC_MAX_PRIORITY},
	{.name = "input", .read = read_only_input},
	{.name = "schema"},
	{.name = "hooks"},
	{.name = "output", .read = read_only_output},
	{.name = "errors", .read = read_only_errors},
	{.name = "pipes", .read = read_pipes, .max = JOB_SPEC_MAX_PIPES},
	{.name = "command"},
	{.name = "limits", .read = read_limits, FIELD(job_spec, limits)},
	{.name = "retry", .read = read_retry, FIELD(job_spec, retry)},
	{.name = NULL},
};

static int fail_member(struct spec_reader *reader, const char *name, const char *message)
{
	int r;

	spec_enter(reader, name, 0);
	r = spec_fail(reader, "%s", message);
	spec_leave(reader);
	return r;
}

/* Before all else: the keys of another version are not for this one to judge. */
static int check_version(struct spec_reader *reader, const json_t *root)
{
	const json_t *version = json_object_get(root, "version");

	if (json_is_integer(version) && json_integer_value(version) != 1) {
		return fail_member(reader, "version", "this program knows version 1 only");
	}
	return 0;
}

static int check_one_form(struct spec_reader *reader, const json_t *root)
{
	static const char *const parts[] = {"input", "output", "errors"};
	bool has_pipes = json_object_get(root, "pipes");

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (has_pipes && json_object_get(root, parts[i])) {
			return fail_member(reader, parts[i], "belongs into each of the \"pipes\"");
		}
	}
	return 0;
}

static int check_parts_present(struct spec_reader *reader, const json_t *root)
{
	if (!json_object_get(root, "pipes") && !json_object_get(root, "input")) {
		return spec_fail(reader, "\"input\" is missing");
	}
	if (!json_object_get(root, "pipes") && !json_object_get(root, "output")) {
		return spec_fail(reader, "\"output\" is missing");
	}
	return 0;
}

int job_spec_read(struct spec_reader *reader, const json_t *root, struct job_spec *spec)
{
	int r = spec_check_type(reader, root, JSON_OBJECT, "an object");

	spec->limits = default_limits;
	spec->retry = default_retry;
	if (r == 0) {
		r = check_version(reader, root);
	}
	if (r == 0) {
		r = check_one_form(reader, root);
	}
	if (r == 0 && !json_object_get(root, "pipes")) {
		r = allocate_pipes(spec, 1);
	}
	if (r == 0) {
		r = spec_read_object(reader, root, job_keys, spec);
	}
	return r < 0 ? r : check_parts_present(reader, root);
}
