/* SPDX-License-Identifier: MIT */
/*
 * A daemon may keep ten thousand ended jobs, and nobody wants them twice a second: the pending and
 * the running ones are asked for by their state, of the others the newest hundred. Equal jobs are
 * ordered by their ID, the newest first, so that lines do not jump about between two looks.
 */
#include "daemon/ctl/top_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/str.h"
#include "daemon/ctl/client.h"

static const struct {
	const char *name;
	char letter;
} keys[TOP_N_KEYS] = {
	[TOP_KEY_NAME] = {"name", 'n'},		[TOP_KEY_STATE] = {"state", 's'},
	[TOP_KEY_RATE] = {"rate", 'r'},		[TOP_KEY_ROWS] = {"rows", 't'},
	[TOP_KEY_REJECTS] = {"rejects", 'e'},	[TOP_KEY_RAM] = {"ram", 'm'},
	[TOP_KEY_PROGRESS] = {"progress", 'p'}, [TOP_KEY_AGE] = {"age", 'a'},
};

const char *top_key_name(enum top_key key)
{
	return keys[key].name;
}

char top_key_letter(enum top_key key)
{
	return keys[key].letter;
}

int top_key_parse(const char *name, enum top_key *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (str_equal(keys[i].name, name)) {
			*ret = (enum top_key)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

/* What runs is what people look for, then what waits for it. */
static int rank_of_state(enum job_state state)
{
	static const int ranks[JOB_N_STATES] = {
		[JOB_STATE_RUNNING] = 0, [JOB_STATE_PENDING] = 1,   [JOB_STATE_FAILED] = 2,
		[JOB_STATE_ABORTED] = 3, [JOB_STATE_COMPLETED] = 4,
	};

	return ranks[state];
}

/* Numbers from the greatest down, texts and states from the first up. */
static int compare_by(enum top_key key, const struct job_info *a, const struct job_info *b)
{
	switch (key) {
	case TOP_KEY_NAME:
		return strcmp(a->name, b->name);
	case TOP_KEY_STATE:
		return rank_of_state(a->state) - rank_of_state(b->state);
	case TOP_KEY_RATE:
		return compare_numbers(b->items_per_second, a->items_per_second);
	case TOP_KEY_ROWS:
		return compare_numbers((double)b->total_processed, (double)a->total_processed);
	case TOP_KEY_REJECTS:
		return compare_numbers((double)b->error_count, (double)a->error_count);
	case TOP_KEY_RAM:
		return compare_numbers((double)b->ram_bytes, (double)a->ram_bytes);
	case TOP_KEY_PROGRESS:
		return compare_numbers(b->progress, a->progress);
	default: /* an ID is the time of its making */
		return strcmp(b->id, a->id);
	}
}

static int compare_jobs(const void *left, const void *right, void *userdata)
{
	const struct top_choice *choice = userdata;
	const struct job_info *a = left, *b = right;
	int order = compare_by(choice->key, a, b);

	order = choice->is_reversed ? -order : order;
	return order ? order : strcmp(b->id, a->id);
}

static bool is_chosen(const struct job_info *job, const struct top_choice *choice)
{
	return (!choice->has_state || job->state == choice->state) &&
	       strcasestr(job->name, choice->name) != NULL;
}

/* A job that ended between two questions is in two answers: the newer one is kept. */
static bool is_twice(const struct job_info *jobs, size_t n_jobs, const struct job_info *job)
{
	for (size_t i = 0; i < n_jobs; i++) {
		if (str_equal(jobs[i].id, job->id)) {
			return true;
		}
	}
	return false;
}

size_t top_data_choose(struct job_info *jobs, size_t n_jobs, const struct top_choice *choice)
{
	size_t n_chosen = 0;

	for (size_t i = 0; i < n_jobs; i++) {
		if (is_chosen(&jobs[i], choice) && !is_twice(jobs, n_chosen, &jobs[i])) {
			jobs[n_chosen++] = jobs[i];
		}
	}
	if (n_chosen > 1) {
		qsort_r(jobs, n_chosen, sizeof(*jobs), compare_jobs, (void *)(uintptr_t)choice);
	}
	return n_chosen;
}

void top_data_deinit(struct top_data *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(data->lists); i++) {
		json_decref(data->lists[i]);
	}
	json_decref(data->status);
	free(data->jobs);
	*data = TOP_DATA_INIT;
}

/* 0; -errno, with data->problem told. */
static int ask(struct top_data *data, struct api *api, const char *socket_path, const char *target,
	       json_t **ret_document)
{
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	int r = api_get(api, target, TOP_TIMEOUT_NS, &reply);

	if (r < 0) {
		client_error_text(socket_path, r, data->problem, sizeof(data->problem));
		return r;
	}
	if (reply.status != 200 || !json_is_object(reply.body)) {
		api_problem_text(&reply, data->problem, sizeof(data->problem));
		return -EPROTO;
	}
	*ret_document = TAKE_PTR(reply.body);
	return 0;
}

/* The jobs of one answer behind those of the ones before. */
static int take_jobs(struct top_data *data, const json_t *list)
{
	const json_t *jobs = json_object_get(list, "jobs");
	size_t n_more = json_array_size(jobs);
	struct job_info *grown = realloc(data->jobs, (data->n_jobs + n_more + 1) * sizeof(*grown));
	const json_t *element;
	size_t i;

	if (!grown) {
		return -ENOMEM;
	}
	data->jobs = grown;
	json_array_foreach(jobs, i, element)
	{
		data->n_jobs += job_info_read(element, &data->jobs[data->n_jobs]) == 0;
	}
	data->is_partial = data->is_partial || json_is_string(json_object_get(list, "next"));
	return 0;
}

/* In the order of a job's life, so that one which goes on meanwhile is in an answer at least. */
static int ask_all(struct top_data *data, struct api *api, const char *socket_path,
		   const struct top_choice *choice)
{
	char chosen[64];
	const char *targets[ARRAY_SIZE(data->lists)] = {"/api/v1/jobs?state=pending&limit=200",
							"/api/v1/jobs?state=running&limit=1000",
							"/api/v1/jobs?limit=100"};
	size_t n_targets = ARRAY_SIZE(targets);
	int r = ask(data, api, socket_path, "/api/v1/status", &data->status);

	if (choice->has_state) {
		(void)snprintf(chosen, sizeof(chosen), "/api/v1/jobs?state=%s&limit=1000",
			       job_state_name(choice->state));
		targets[0] = chosen;
		n_targets = 1;
	}
	for (size_t i = 0; r == 0 && i < n_targets; i++) {
		r = ask(data, api, socket_path, targets[i], &data->lists[i]);
	}
	/* The newest answer first: of two the first is kept. */
	for (size_t i = n_targets; r == 0 && i-- > 0;) {
		r = take_jobs(data, data->lists[i]);
	}
	return r;
}

void top_data_load(struct top_data *data, struct api *api, const char *socket_path,
		   const struct top_choice *choice)
{
	struct top_data fresh = {.at_ns = clock_realtime_ns()};

	fresh.error = ask_all(&fresh, api, socket_path, choice);
	if (fresh.error) {
		char problem[sizeof(fresh.problem)];
		int error = fresh.error;

		(void)snprintf(problem, sizeof(problem), "%s",
			       fresh.problem[0] ? fresh.problem : strerror(-error));
		top_data_deinit(&fresh);
		fresh.at_ns = clock_realtime_ns();
		fresh.error = error;
		(void)snprintf(fresh.problem, sizeof(fresh.problem), "%s", problem);
	}
	fresh.n_jobs = top_data_choose(fresh.jobs, fresh.n_jobs, choice);
	top_data_deinit(data);
	*data = fresh;
}
