/* SPDX-License-Identifier: MIT */

/*
 * The supervisor indexes its tables with what stands in the plan, so nothing of it is believed:
 * every key must be there and no other, every number in its range, and whatever can be computed
 * (chunks, totals) is computed here and not read.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/data_path.h"
#include "common/model/job_spec.h"
#include "common/model/plan.h"
#include "common/util/checksum.h"
#include "common/util/str.h"

#define MAX_ROOT 65535

/* 0 if json is a number from min to INT64_MAX. */
static int load_u64(const json_t *json, uint64_t min, uint64_t *ret)
{
	if (!json_is_integer(json) || json_integer_value(json) < 0 ||
	    (uint64_t)json_integer_value(json) < min) {
		return -EINVAL;
	}
	*ret = (uint64_t)json_integer_value(json);
	return 0;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_unique(char *const *columns, size_t n)
{
	CLEANUP(free_p) char **sorted = calloc(n + 1, sizeof(*sorted));

	if (sorted == NULL) {
		return -ENOMEM;
	}
	memcpy(sorted, columns, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_strings);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(sorted[i - 1], sorted[i]) == 0) {
			return -EINVAL;
		}
	}
	return 0;
}

static int load_columns(const json_t *json, struct plan_pipe *pipe)
{
	size_t n = json_array_size(json);

	if (!json_is_array(json) || n > PLAN_MAX_COLUMNS) {
		return -EINVAL;
	}
	pipe->columns = calloc(n + 1, sizeof(*pipe->columns));
	if (pipe->columns == NULL) {
		return -ENOMEM;
	}
	for (size_t c = 0; c < n; c++) {
		const char *name = json_string_value(json_array_get(json, c));

		if (name == NULL) {
			return -EINVAL;
		}
		pipe->columns[c] = strdup(name);
		if (pipe->columns[c] == NULL) {
			return -ENOMEM;
		}
		pipe->n_columns++;
	}
	return check_unique(pipe->columns, n);
}

/* Each number below n_columns exactly once. */
static int load_field_of(const json_t *json, size_t n_columns, uint32_t **ret_field_of)
{
	CLEANUP(free_p) uint32_t *field_of = calloc(n_columns + 1, sizeof(*field_of));
	CLEANUP(free_p) bool *is_used = calloc(n_columns + 1, sizeof(*is_used));

	if (json_is_null(json)) {
		return 0;
	}
	if (!json_is_array(json) || json_array_size(json) != n_columns) {
		return -EINVAL;
	}
	if (field_of == NULL || is_used == NULL) {
		return -ENOMEM;
	}
	for (size_t c = 0; c < n_columns; c++) {
		uint64_t field;

		if (load_u64(json_array_get(json, c), 0, &field) < 0 || field >= n_columns ||
		    is_used[field]) {
			return -EINVAL;
		}
		is_used[field] = true;
		field_of[c] = (uint32_t)field;
	}
	*ret_field_of = TAKE_PTR(field_of);
	return 0;
}

static int load_path(const char *path, char **ret_path)
{
	CLEANUP(free_p) char *normal = NULL;
	int r = data_path_normalise(path, &normal);

	if (r < 0) {
		return r == -ENOMEM ? r : -EINVAL;
	}
	if (path[0] == '/' || !str_equal(path, normal)) {
		return -EINVAL;
	}
	*ret_path = TAKE_PTR(normal);
	return 0;
}

static int load_file(json_t *json, size_t n_columns, struct plan_file *file)
{
	const char *path;
	json_int_t dev, inode, mtime_ns, ctime_ns;
	json_t *size, *offset, *line, *field_of;

	if (json_unpack(json, "{s:s, s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:o !}", "path", &path,
			"dev", &dev, "inode", &inode, "size_bytes", &size, "mtime_ns", &mtime_ns,
			"ctime_ns", &ctime_ns, "data_offset", &offset, "data_line", &line,
			"field_of", &field_of) < 0) {
		return -EINVAL;
	}
	file->identity = (struct plan_identity){
		.dev = (uint64_t)dev,
		.inode = (uint64_t)inode,
		.mtime_ns = mtime_ns,
		.ctime_ns = ctime_ns,
	};
	if (load_u64(size, 0, &file->identity.size_bytes) < 0 ||
	    load_u64(offset, 0, &file->data_offset) < 0 ||
	    load_u64(line, 1, &file->data_line) < 0 ||
	    file->data_offset > file->identity.size_bytes) {
		return -EINVAL;
	}

	int r = load_path(path, &file->path);

	return r < 0 ? r : load_field_of(field_of, n_columns, &file->field_of);
}

/* Numbers the file's chunks behind those of the files before it. */
static int count_chunks(struct plan_pipe *pipe, struct plan_file *file, uint64_t chunk_size)
{
	uint64_t n_bytes = file->identity.size_bytes - file->data_offset;

	file->first_chunk = pipe->n_chunks;
	file->n_chunks = n_bytes / chunk_size + (n_bytes % chunk_size != 0);
	if (__builtin_add_overflow(pipe->n_chunks, file->n_chunks, &pipe->n_chunks) ||
	    __builtin_add_overflow(pipe->n_bytes, n_bytes, &pipe->n_bytes)) {
		return -EINVAL;
	}
	return pipe->n_columns == 0 && n_bytes > 0 ? -EINVAL : 0;
}

static int load_files(json_t *json, uint64_t chunk_size, struct plan_pipe *pipe)
{
	size_t n = json_array_size(json);

	if (!json_is_array(json) || n == 0 || n > PLAN_MAX_FILES) {
		return -EINVAL;
	}
	pipe->files = calloc(n, sizeof(*pipe->files));
	if (pipe->files == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		struct plan_file *file = &pipe->files[i];
		int r;

		pipe->n_files++;
		r = load_file(json_array_get(json, i), pipe->n_columns, file);
		if (r == 0) {
			r = count_chunks(pipe, file, chunk_size);
		}
		if (r < 0) {
			return r;
		}
		if (i > 0 && strcmp(file[-1].path, file->path) >= 0) {
			return -EINVAL;
		}
	}
	return 0;
}

static int load_pipe(json_t *json, uint64_t chunk_size, struct plan_pipe *pipe)
{
	json_t *root, *columns, *files;
	uint64_t root_index;

	if (json_unpack(json, "{s:o, s:o, s:o !}", "root", &root, "columns", &columns, "files",
			&files) < 0 ||
	    load_u64(root, 0, &root_index) < 0 || root_index > MAX_ROOT) {
		return -EINVAL;
	}
	pipe->root = (unsigned)root_index;

	int r = load_columns(columns, pipe);

	return r < 0 ? r : load_files(files, chunk_size, pipe);
}

static int load_pipes(json_t *json, struct plan *plan)
{
	size_t n = json_array_size(json);
	bool is_failure = plan->failure != JOB_REASON_OK;

	if (!json_is_array(json) || n > JOB_SPEC_MAX_PIPES || is_failure != (n == 0)) {
		return -EINVAL;
	}
	plan->pipes = calloc(n + 1, sizeof(*plan->pipes));
	if (plan->pipes == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int r;

		plan->n_pipes++;
		r = load_pipe(json_array_get(json, i), plan->chunk_size, &plan->pipes[i]);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int load_plan(json_t *json, struct plan *plan)
{
	json_t *version, *chunk_size, *pipes;
	const char *failure, *message;
	uint64_t version_number;

	if (json_unpack(json, "{s:o, s:o, s:s, s:s, s:o !}", "version", &version, "chunk_size",
			&chunk_size, "failure", &failure, "message", &message, "pipes",
			&pipes) < 0 ||
	    load_u64(version, 1, &version_number) < 0 || version_number != 1 ||
	    load_u64(chunk_size, 1, &plan->chunk_size) < 0 ||
	    job_reason_parse(failure, &plan->failure) < 0) {
		return -EINVAL;
	}
	plan->message = strdup(message);
	return plan->message == NULL ? -ENOMEM : load_pipes(pipes, plan);
}

uint64_t plan_checksum(const char *text, size_t len)
{
	return checksum_add(CHECKSUM_INIT, text, len);
}

int plan_load(const char *text, size_t len, struct plan **ret_plan)
{
	CLEANUP(plan_freep) struct plan *plan = calloc(1, sizeof(*plan));
	CLEANUP(json_decrefp) json_t *json = NULL;
	json_error_t error;
	int r;

	if (plan == NULL) {
		return -ENOMEM;
	}
	if (len > PLAN_MAX_BYTES) {
		return -EINVAL;
	}
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL) {
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
	}
	r = load_plan(json, plan);
	if (r < 0) {
		return r;
	}
	plan->checksum = plan_checksum(text, len);
	*ret_plan = TAKE_PTR(plan);
	return 0;
}
