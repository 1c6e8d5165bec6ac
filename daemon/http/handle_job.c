/* SPDX-License-Identifier: MIT */
/*
 * Jobs, one or many, and what belongs to one. A list is paged by ID: IDs sort by time, so a page
 * after an ID means the same whatever has been added or forgotten meanwhile.
 */
#include <stdio.h>
#include <string.h>

#include "common/model/job_id.h"
#include "common/util/clock.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/http/handle.h"
#include "daemon/http/json.h"
#include "daemon/http/render_json.h"

bool handle_limit(struct exchange *exchange, size_t *ret_limit)
{
	const char *text = request_param(exchange->request, "limit");
	uint64_t limit = HANDLE_DEFAULT_LIMIT;

	if (text != NULL &&
	    (num_parse_u64(text, &limit) < 0 || limit == 0 || limit > HANDLE_MAX_LIMIT)) {
		answer_problem(exchange->answer, 400, "limit must be a number from 1 to %d.",
			       HANDLE_MAX_LIMIT);
		return false;
	}
	*ret_limit = limit;
	return true;
}

void handle_no_such_job(struct exchange *exchange)
{
	answer_problem(exchange->answer, 404, "There is no job %s.", exchange->job_id);
}

static void set_json(struct answer *answer)
{
	answer->status = 200;
	answer->content_type = ANSWER_JSON;
	answer->may_compress = true;
}

/* What a list asks for, and how far it has come. */
struct listing {
	struct buf *out;
	const char *name, *after; /* NULL: any */
	bool has_state;
	enum job_state state;
	size_t limit, n_jobs;
	char last_id[ROUTE_JOB_ID_SIZE];
	bool is_more;
};

static bool add_to_list(void *userdata, const struct job_view *job)
{
	struct listing *list = userdata;

	if ((list->name != NULL && !str_equal(list->name, job->name)) ||
	    (list->has_state && list->state != job->state) ||
	    (list->after != NULL && strcmp(job->id, list->after) >= 0)) {
		return true;
	}
	if (list->n_jobs == list->limit) {
		list->is_more = true;
		return false;
	}
	buf_add_str(list->out, list->n_jobs > 0 ? "," : "");
	render_json_job(list->out, job);
	list->n_jobs++;
	snprintf(list->last_id, sizeof(list->last_id), "%s", job->id);
	return true;
}

enum route_result handle_job_list(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	const char *state = request_param(exchange->request, "state");
	struct listing list = {
		.out = &exchange->answer->body,
		.name = request_param(exchange->request, "name"),
		.after = request_param(exchange->request, "after"),
		.has_state = state != NULL,
	};

	if (state != NULL && job_state_parse(state, &list.state) < 0) {
		answer_problem(exchange->answer, 400,
			       "state must be pending, running, completed, failed or aborted.");
		return ROUTE_DONE;
	}
	if (list.after != NULL && !job_id_is_valid(list.after)) {
		answer_problem(exchange->answer, 400, "after must be a job's ID.");
		return ROUTE_DONE;
	}
	if (!handle_limit(exchange, &list.limit)) {
		return ROUTE_DONE;
	}
	set_json(exchange->answer);
	buf_add_str(list.out, "{\"jobs\":[");
	backend->for_each_job(backend->ctx, add_to_list, &list);
	buf_add_str(list.out, "],\"next\":");
	json_add_text(list.out, list.is_more ? list.last_id : NULL);
	buf_add_str(list.out, "}\n");
	return ROUTE_DONE;
}

/* One job, unless it has not ended and may be waited for. */
struct job_poll {
	struct buf *out;
	bool is_waiting;
};

static bool add_or_wait(void *userdata, const struct job_view *job)
{
	struct job_poll *poll = userdata;

	poll->is_waiting = poll->is_waiting && !job_state_is_final(job->state);
	if (!poll->is_waiting) {
		render_json_job(poll->out, job);
		buf_add_char(poll->out, '\n');
	}
	return true;
}

/* wait=: until when; received_ns if nothing is to be waited for. False: the answer is made. */
static bool parse_wait(struct exchange *exchange, int64_t *ret_until_ns)
{
	const char *text = request_param(exchange->request, "wait");
	int64_t wait_ns = 0;

	if (text != NULL && (num_parse_duration_ns(text, &wait_ns) < 0 || wait_ns < 0)) {
		answer_problem(exchange->answer, 400, "wait must be a duration such as 30s.");
		return false;
	}
	wait_ns = MIN(wait_ns, HANDLE_MAX_WAIT_SECONDS * CLOCK_NS_PER_SEC);
	*ret_until_ns = exchange->request->received_ns + wait_ns;
	return true;
}

enum route_result handle_job(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	struct job_poll poll = {.out = &exchange->answer->body};
	int64_t until_ns;

	if (!parse_wait(exchange, &until_ns)) {
		return ROUTE_DONE;
	}
	poll.is_waiting = until_ns > exchange->now_ns && !exchange->must_answer;
	if (!backend->with_job(backend->ctx, exchange->job_id, add_or_wait, &poll)) {
		handle_no_such_job(exchange);
		return ROUTE_DONE;
	}
	if (poll.is_waiting && !exchange->may_wait) {
		answer_problem(exchange->answer, 503, "Too many requests wait already.");
		exchange->answer->retry_after_seconds = 1;
		return ROUTE_DONE;
	}
	if (poll.is_waiting) {
		exchange->wait_until_ns = until_ns;
		return ROUTE_WAIT;
	}
	set_json(exchange->answer);
	return ROUTE_DONE;
}

static bool add_workers(void *userdata, const struct job_view *job)
{
	render_json_workers(userdata, job);
	return true;
}

enum route_result handle_workers(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;

	if (!backend->with_job(backend->ctx, exchange->job_id, add_workers,
			       &exchange->answer->body)) {
		handle_no_such_job(exchange);
		return ROUTE_DONE;
	}
	set_json(exchange->answer);
	return ROUTE_DONE;
}
