/* SPDX-License-Identifier: MIT */
/*
 * One table of routes. A path may have several lines, one for each handler; what they allow
 * together is the Allow of a 405. Over TCP nothing but GET and HEAD exists, whatever the path: that
 * socket is read-only as a whole, and is so before anything else is looked at.
 */
#include "daemon/http/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util/str.h"
#include "daemon/http/handle.h"

#define READ (REQUEST_GET | REQUEST_HEAD)

static const struct route routes[] = {
	{"/", READ, false, handle_page, {0}},
	{"/metrics", READ, false, handle_metrics, {0}},
	{"/healthz", READ, false, handle_health, {"pretty"}},
	{"/readyz", READ, false, handle_ready, {"pretty"}},
	{"/api/v1/status", READ, false, handle_status, {"pretty"}},
	{"/api/v1/jobs",
	 READ,
	 false,
	 handle_job_list,
	 {"state", "name", "limit", "after", "pretty"}},
	{"/api/v1/jobs/*", READ, false, handle_job, {"wait", "pretty"}},
	{"/api/v1/jobs/*/workers", READ, false, handle_workers, {"pretty"}},
	{"/api/v1/jobs/*/errors", READ, false, handle_rejects, {"limit", "pretty"}},
	{"/api/v1/jobs", REQUEST_POST, true, handle_submit, {"name", "pretty"}},
	{"/api/v1/validate", REQUEST_POST, true, handle_validate, {"pretty"}},
	{"/api/v1/jobs/*/cancel", REQUEST_POST, true, handle_cancel, {"pretty"}},
	{"/api/v1/jobs/*", REQUEST_DELETE, true, handle_forget, {"pretty"}},
};

/* An ID is letters and digits: nothing that could mean more in a file's name. */
static size_t id_length(const char *text)
{
	size_t n = strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return n < ROUTE_JOB_ID_SIZE ? n : 0;
}

static bool path_matches(const char *pattern, const char *path, char ret_id[ROUTE_JOB_ID_SIZE])
{
	size_t n_head = strcspn(pattern, "*");
	size_t n_id;

	if (pattern[n_head] == '\0') {
		return str_equal(pattern, path);
	}
	if (strncmp(pattern, path, n_head) != 0) {
		return false;
	}
	n_id = id_length(path + n_head);
	if (n_id == 0 || !str_equal(pattern + n_head + 1, path + n_head + n_id)) {
		return false;
	}
	memcpy(ret_id, path + n_head, n_id);
	ret_id[n_id] = '\0';
	return true;
}

static bool check_host(struct exchange *exchange)
{
	const struct request *request = exchange->request;
	const char *host = request->target.authority != NULL ? request->target.authority
							     : request->host;

	if (request->is_unix) {
		return true;
	}
	if (request->n_hosts > 1 || (request->n_hosts == 0 && !request->is_http_1_0)) {
		answer_problem(exchange->answer, 400, "There must be one Host header.");
		return false;
	}
	if (host != NULL && !host_list_has(&exchange->context->hosts, host)) {
		answer_problem(
			exchange->answer, 421,
			"This daemon is not known by that host name; add it to allowed_hosts.");
		return false;
	}
	return true;
}

/* "GET, HEAD, POST" */
static void set_allow(struct answer *answer, unsigned methods)
{
	static const struct {
		unsigned method;
		const char *name;
	} names[] = {
		{REQUEST_GET, "GET"},
		{REQUEST_HEAD, "HEAD"},
		{REQUEST_POST, "POST"},
		{REQUEST_DELETE, "DELETE"},
	};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if ((methods & names[i].method) != 0) {
			len += (size_t)snprintf(answer->allow + len, sizeof(answer->allow) - len,
						"%s%s", len > 0 ? ", " : "", names[i].name);
		}
	}
}

static const struct route *find_route(struct exchange *exchange)
{
	const struct request *request = exchange->request;
	unsigned allowed = 0;

	if (!request->is_unix && (request->method & READ) == 0) {
		answer_problem(exchange->answer, 405,
			       "This socket is read-only; changes go over control.sock.");
		set_allow(exchange->answer, READ);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct route *route = &routes[i];

		if ((route->is_unix_only && !request->is_unix) ||
		    !path_matches(route->path, request->target.path, exchange->job_id)) {
			continue;
		}
		if ((route->methods & request->method) != 0) {
			return route;
		}
		allowed |= route->methods;
	}
	if (allowed == 0) {
		answer_problem(exchange->answer, 404, "There is nothing at this path.");
	} else {
		answer_problem(exchange->answer, 405, "This path does not take that method.");
		set_allow(exchange->answer, allowed);
	}
	return NULL;
}

static bool is_known(const struct route *route, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(route->params) && route->params[i] != NULL; i++) {
		if (str_equal(route->params[i], name)) {
			return true;
		}
	}
	return false;
}

static bool check_params(const struct route *route, struct exchange *exchange)
{
	const struct request_target *target = &exchange->request->target;
	char known[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(route->params) && route->params[i] != NULL; i++) {
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
					len > 0 ? ", " : "", route->params[i]);
	}
	for (size_t i = 0; i < target->n_params; i++) {
		if (!is_known(route, target->params[i].name)) {
			answer_problem(exchange->answer, 400,
				       "There is no parameter '%.64s' here; known: %s.",
				       target->params[i].name, len > 0 ? known : "none");
			return false;
		}
	}
	return true;
}

const struct route *route_admit(struct exchange *exchange)
{
	const struct route *route;

	if (!check_host(exchange)) {
		return NULL;
	}
	route = find_route(exchange);
	if (route == NULL) {
		return NULL;
	}
	if (route->is_unix_only && !exchange->request->may_change) {
		answer_problem(exchange->answer, 403, "User %u may not change anything here.",
			       (unsigned)exchange->request->uid);
		return NULL;
	}
	return check_params(route, exchange) ? route : NULL;
}

enum route_result route_run(const struct route *route, struct exchange *exchange)
{
	enum route_result result = ROUTE_DONE;

	if (exchange->request->is_body_too_big) {
		answer_problem(exchange->answer, 413, "A body has at most %d bytes.",
			       REQUEST_MAX_BODY_BYTES);
	} else if (buf_error(&exchange->request->body) < 0) {
		answer_problem(exchange->answer, 503, "There is no memory for the body.");
	} else {
		result = route->handle(exchange);
	}
	if (result == ROUTE_DONE) {
		answer_finish(exchange->answer, exchange->request);
	}
	return result;
}

void route_refuse_target(struct exchange *exchange, int error)
{
	static const struct {
		int error;
		unsigned status;
		const char *detail;
	} refusals[] = {
		{-E2BIG, 414, "The path or the number of parameters is too large."},
		{-EEXIST, 400, "A parameter is given twice."},
		{-EINVAL, 400, "The path or a parameter is not well-formed."},
	};

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		if (refusals[i].error == error) {
			answer_set_problem(exchange->answer, refusals[i].status, refusals[i].detail,
					   NULL);
			return;
		}
	}
	answer_problem(exchange->answer, 503, "There is no memory for the request.");
}
