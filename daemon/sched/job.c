/* SPDX-License-Identifier: MIT */
/*
 * Thousands of ended jobs are kept for days, a few live ones for minutes: ending a job gives back
 * everything but its result. IDs rise with time, so the sorted list is appended to and searched,
 * hardly ever shifted.
 */
#include "daemon/sched/job.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "daemon/sched/resume.h"

static int refuse_error(const struct spec_error *error, const char *file_name, char **ret_error)
{
	int r = spec_error_render(error, file_name, ret_error);

	return r < 0 ? r : -EINVAL;
}

static int refuse_name(const char *file_name, char **ret_error)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	buf_printf(&text,
		   "%s: the spec has no name, and this file name gives none: use letters, digits, "
		   "dots, dashes and underscores, at most %d",
		   file_name, JOB_SPEC_MAX_NAME_BYTES);
	*ret_error = buf_take(&text);
	return *ret_error == NULL ? -ENOMEM : -EINVAL;
}

static int take_name(struct job *job, const char *file_name, char **ret_error)
{
	if (job->spec->name != NULL) {
		job->name = strdup(job->spec->name);
		return job->name == NULL ? -ENOMEM : 0;
	}
	int r = job_name_from_file(file_name, &job->name);
	return r == -EINVAL ? refuse_name(file_name, ret_error) : r;
}

static int fill(struct job *job, const struct job_source *source, char **ret_error)
{
	CLEANUP(buf_deinit) struct buf receipt = BUF_INIT;
	const struct job_meta *meta = source->meta;

	snprintf(job->id, sizeof(job->id), "%s", meta->id);
	job->state = JOB_STATE_PENDING;
	job->priority = job->spec->priority;
	job->submitted_at_ns = meta->submitted_at_ns;
	buf_printf(&receipt, "%s.%s", meta->id, meta->file_name);
	job->receipt = buf_take(&receipt);
	if (job->receipt == NULL) {
		return -ENOMEM;
	}
	int r = take_name(job, meta->file_name, ret_error);
	if (r < 0) {
		return r;
	}
	r = target_list_resolve(&job->targets, job->spec, source->root_paths, source->n_roots,
				&job->refusal);
	return r == -ENOMEM ? r : 0;
}

int job_new(const struct job_source *source, struct job **ret_job, char **ret_error)
{
	CLEANUP(job_freep) struct job *job = calloc(1, sizeof(*job));
	struct spec_error error;

	if (job == NULL) {
		return -ENOMEM;
	}
	int r = job_spec_parse(source->text, source->len, &job->spec, &error);
	if (r < 0) {
		return r == -EINVAL ? refuse_error(&error, source->meta->file_name, ret_error) : r;
	}
	r = fill(job, source, ret_error);
	if (r < 0) {
		return r;
	}
	*ret_job = TAKE_PTR(job);
	return 0;
}

int job_new_ended(struct job_result *result, struct job **ret_job)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL) {
		return -ENOMEM;
	}
	snprintf(job->id, sizeof(job->id), "%s", result->id);
	job->state = result->state;
	job->priority = result->priority;
	job->submitted_at_ns = result->submitted_at_ns;
	job->started_at_ns = result->started_at_ns;
	job->result = result;
	*ret_job = job;
	return 0;
}

static void free_live_parts(struct job *job)
{
	free(job->name);
	free(job->receipt);
	job->name = NULL;
	job->receipt = NULL;
	job->spec = job_spec_free(job->spec);
	job->resume = resume_free(job->resume);
	target_list_deinit(&job->targets);
}

struct job *job_free(struct job *job)
{
	if (job != NULL) {
		free_live_parts(job);
		job_result_free(job->result);
		free(job);
	}
	return NULL;
}

void job_freep(struct job **job)
{
	*job = job_free(*job);
}

void job_set_state(struct job *job, enum job_state state)
{
	assert(job_state_may_become(job->state, state));
	job->state = state;
}

void job_end(struct job *job, struct job_result *result)
{
	job_set_state(job, result->state);
	job->result = result;
	free_live_parts(job);
}

static char *copy(const char *text, bool *is_short)
{
	char *made = text != NULL ? strdup(text) : NULL;

	if (text != NULL && made == NULL) {
		*is_short = true;
	}
	return made;
}

static void make_pipes(struct job_result *result, const struct job_spec *spec, bool *is_short)
{
	result->pipes = calloc(spec->n_pipes, sizeof(*result->pipes));
	if (result->pipes == NULL) {
		*is_short = true;
		return;
	}
	result->n_pipes = spec->n_pipes;
	for (size_t i = 0; i < spec->n_pipes; i++) {
		result->pipes[i].input = copy(spec->pipes[i].input.path, is_short);
		result->pipes[i].output = copy(spec->pipes[i].output.path, is_short);
		result->pipes[i].errors = copy(spec->pipes[i].errors.path, is_short);
	}
}

struct job_result *job_make_result(const struct job *job)
{
	struct job_result *result = calloc(1, sizeof(*result));
	bool is_short = false;

	if (result == NULL) {
		return NULL;
	}
	result->verified = true;
	result->priority = job->priority;
	result->submitted_at_ns = job->submitted_at_ns;
	result->id = copy(job->id, &is_short);
	result->name = copy(job->name, &is_short);
	result->receipt = copy(job->receipt, &is_short);
	result->message = copy("", &is_short);
	make_pipes(result, job->spec, &is_short);
	if (is_short) {
		job_result_free(result);
		return NULL;
	}
	return result;
}

void job_conclude(const struct job *job, struct job_result *result, const struct failure *failure,
		  uint64_t finish_sequence)
{
	char *message = strdup(failure->message);

	result->reason = failure->reason;
	result->state = job_reason_state(failure->reason);
	result->finish_sequence = finish_sequence;
	result->started_at_ns = job->started_at_ns;
	result->finished_at_ns = clock_realtime_ns();
	if (message != NULL) {
		free(result->message);
		result->message = message;
	}
}

/* Where the ID stands or would have to be put. */
static size_t position_of(const struct job_list *list, const char *id)
{
	size_t low = 0, high = list->n_items;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(list->items[middle]->id, id) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

int job_list_add(struct job_list *list, struct job *job)
{
	if (list->n_items == list->capacity) {
		size_t capacity = MAX(list->capacity * 2, (size_t)16);
		struct job **items = realloc(list->items, capacity * sizeof(struct job *));

		if (items == NULL) {
			return -ENOMEM;
		}
		list->items = items;
		list->capacity = capacity;
	}
	size_t at = position_of(list, job->id);
	memmove(&list->items[at + 1], &list->items[at],
		(list->n_items - at) * sizeof(struct job *));
	list->items[at] = job;
	list->n_items++;
	return 0;
}

struct job *job_list_find(const struct job_list *list, const char *id)
{
	size_t at = position_of(list, id);

	return at < list->n_items && strcmp(list->items[at]->id, id) == 0 ? list->items[at] : NULL;
}

void job_list_remove(struct job_list *list, const struct job *job)
{
	size_t at = position_of(list, job->id);

	assert(at < list->n_items && list->items[at] == job);
	list->n_items--;
	memmove(&list->items[at], &list->items[at + 1],
		(list->n_items - at) * sizeof(struct job *));
}
