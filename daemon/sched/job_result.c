/* SPDX-License-Identifier: MIT */
/*
 * result.json: one table for rendering and parsing, so that a field cannot be written and not
 * read. It is written once, when the job ends, and stands until retention takes it.
 */
#include <errno.h>
#include <string.h>

#include "common/model/job_id.h"
#include "daemon/sched/job_store.h"
#include "daemon/sched/record.h"

#define MAX_PIPES 1024

#define FIELD(kind, member)    RECORD_FIELD(struct job_result, kind, member, false)
#define REQUIRED(kind, member) RECORD_FIELD(struct job_result, kind, member, true)
static const struct record_field result_fields[] = {
	REQUIRED(RECORD_STRING, id),
	REQUIRED(RECORD_STRING, name),
	REQUIRED(RECORD_STATE, state),
	REQUIRED(RECORD_REASON, reason),
	FIELD(RECORD_STRING, message),
	FIELD(RECORD_STRING, receipt),
	REQUIRED(RECORD_U64, finish_sequence),
	FIELD(RECORD_BOOL, verified),
	FIELD(RECORD_INT, priority),
	FIELD(RECORD_COUNT, total_processed),
	FIELD(RECORD_COUNT, success_count),
	FIELD(RECORD_COUNT, error_count),
	FIELD(RECORD_COUNT, filtered),
	FIELD(RECORD_COUNT, input_bytes),
	FIELD(RECORD_COUNT, output_bytes),
	FIELD(RECORD_COUNT, submitted_at_ns),
	FIELD(RECORD_COUNT, started_at_ns),
	FIELD(RECORD_COUNT, finished_at_ns),
	FIELD(RECORD_COUNT, peak_ram_bytes),
	RECORD_WORKER_EXITS(struct job_result),
	FIELD(RECORD_COUNT, stats_files_invalid),
	FIELD(RECORD_U32, n_workers),
	FIELD(RECORD_U32, n_worker_restarts),
	FIELD(RECORD_DOUBLE, commit_seconds),
};
#undef FIELD
#undef REQUIRED

#define FIELD(kind, member) RECORD_FIELD(struct job_result_pipe, kind, member, false)
static const struct record_field pipe_fields[] = {
	FIELD(RECORD_STRING, input),	    FIELD(RECORD_STRING, output),
	FIELD(RECORD_STRING, errors),	    FIELD(RECORD_COUNT, total_processed),
	FIELD(RECORD_COUNT, success_count), FIELD(RECORD_COUNT, error_count),
	FIELD(RECORD_COUNT, filtered),	    FIELD(RECORD_COUNT, input_bytes),
};
#undef FIELD

void job_result_free(struct job_result *result)
{
	if (!result) {
		return;
	}
	for (size_t i = 0; i < result->n_pipes; i++) {
		record_free_strings(pipe_fields, ARRAY_SIZE(pipe_fields), &result->pipes[i]);
	}
	record_free_strings(result_fields, ARRAY_SIZE(result_fields), result);
	free(result->pipes);
	free(result);
}

static void result_freep(struct job_result **result)
{
	job_result_free(*result);
}

void job_result_render(const struct job_result *result, struct buf *out)
{
	buf_add_str(out, "{\"version\":1,");
	record_render(result_fields, ARRAY_SIZE(result_fields), result, out);
	buf_add_str(out, ",\"rejects\":");
	record_render_rejects(result->rejects, out);
	buf_add_str(out, ",\"pipes\":[");
	for (size_t i = 0; i < result->n_pipes; i++) {
		buf_add_str(out, i > 0 ? ",{" : "{");
		record_render(pipe_fields, ARRAY_SIZE(pipe_fields), &result->pipes[i], out);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}\n");
}

static int parse_pipes(const json_t *array, struct job_result *result)
{
	size_t n_pipes = json_array_size(array);
	if ((array && !json_is_array(array)) || n_pipes > MAX_PIPES) {
		return -EINVAL;
	}
	result->pipes = calloc(n_pipes + 1, sizeof(*result->pipes));
	if (!result->pipes) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_pipes; i++) {
		result->n_pipes = i + 1;
		int r = record_parse(pipe_fields, ARRAY_SIZE(pipe_fields), json_array_get(array, i),
				     &result->pipes[i]);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

int job_result_parse(const char *text, size_t len, struct job_result **ret_result)
{
	CLEANUP(record_unrefp) json_t *object = NULL;
	CLEANUP(result_freep) struct job_result *result = calloc(1, sizeof(*result));
	int r = result ? record_load(text, len, &object) : -ENOMEM;
	if (r < 0) {
		return r;
	}
	r = record_parse(result_fields, ARRAY_SIZE(result_fields), object, result);
	if (r == 0) {
		r = record_parse_rejects(json_object_get(object, "rejects"), result->rejects);
	}
	if (r == 0) {
		r = parse_pipes(json_object_get(object, "pipes"), result);
	}
	if (r == 0 && (!job_id_is_valid(result->id) || !job_state_is_final(result->state) ||
		       result->finish_sequence > JOB_RESULT_MAX_SEQUENCE)) {
		r = -EINVAL;
	}
	if (r == 0) {
		*ret_result = TAKE_PTR(result);
	}
	return r;
}
