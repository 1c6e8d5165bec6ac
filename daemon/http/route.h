/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/http/answer.h"
#include "daemon/http/backend.h"
#include "daemon/http/host.h"
#include "daemon/http/idempotency.h"
#include "daemon/http/request.h"

/* From a request to an answer, without the HTTP library: server.c only carries both. */

enum { ROUTE_JOB_ID_SIZE = 33 };

/* What all requests share. */
struct route_context {
	const struct http_backend *backend;
	struct host_list hosts;
	struct idempotency *idempotency; /* keys of earlier submissions */
	uid_t *allowed_uids;		 /* who may change things over the unix socket */
	size_t n_allowed_uids;
	bool expose_rows;
	bool is_closing; /* the server ends */
};

/* One request on its way. */
struct exchange {
	struct route_context *context;
	struct request *request;
	struct answer *answer;
	char job_id[ROUTE_JOB_ID_SIZE]; /* from the path; "" if it has none */
	int64_t now_ns;			/* CLOCK_MONOTONIC */
	int64_t loop_age_ns;
	bool may_wait;	       /* there is room for one more long poll */
	bool must_answer;      /* nothing is waited for any more */
	int64_t wait_until_ns; /* with ROUTE_WAIT */
	struct call *call;     /* a change under way; see call.h */
};

enum route_result {
	ROUTE_DONE,  /* the answer is complete */
	ROUTE_WAIT,  /* call the handler again when the job changes, or at wait_until_ns */
	ROUTE_LATER, /* call it again when the call is done */
};

struct route {
	const char *path;  /* a "*" stands for a job's ID */
	unsigned methods;  /* enum request_method */
	bool is_unix_only; /* changes something */
	enum route_result (*handle)(struct exchange *exchange);
	const char *params[6]; /* the known ones */
};

/*
 * Judges all that is known before the body comes: host, method, path, user, parameters. Returns
 * the route and fills in job_id, or NULL with the answer made (as a problem).
 */
const struct route *route_admit(struct exchange *exchange);

/* Runs the handler of an admitted request; again after it has waited. Finishes the answer. */
enum route_result route_run(const struct route *route, struct exchange *exchange);

/* For a target that request_target_parse() refused with this error. */
void route_refuse_target(struct exchange *exchange, int error);
