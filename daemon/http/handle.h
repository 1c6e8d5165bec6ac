/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "daemon/http/route.h"

/* The handlers of the table of routes; they are called by route_run() only. */

enum {
	HANDLE_MAX_LIMIT = 1000,
	HANDLE_DEFAULT_LIMIT = 100,
	HANDLE_MAX_WAIT_SECONDS = 60,
	HANDLE_MAX_NAME_BYTES = 200, /* a file is named after it, with the job's ID before it */
};

enum route_result handle_page(struct exchange *exchange);
enum route_result handle_metrics(struct exchange *exchange);
enum route_result handle_health(struct exchange *exchange);
enum route_result handle_ready(struct exchange *exchange);
enum route_result handle_status(struct exchange *exchange);

enum route_result handle_job_list(struct exchange *exchange);
enum route_result handle_job(struct exchange *exchange);
enum route_result handle_workers(struct exchange *exchange);
enum route_result handle_rejects(struct exchange *exchange);

enum route_result handle_submit(struct exchange *exchange);
enum route_result handle_validate(struct exchange *exchange);
enum route_result handle_cancel(struct exchange *exchange);
enum route_result handle_forget(struct exchange *exchange);

/* For the handlers. A parameter limit=1 to 1000; false with the answer made if it is none. */
bool handle_limit(struct exchange *exchange, size_t *ret_limit);
void handle_no_such_job(struct exchange *exchange);
