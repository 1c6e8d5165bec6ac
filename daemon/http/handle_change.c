/* SPDX-License-Identifier: MIT */
/*
 * What changes something, over the unix socket only. Each handler starts a call of the backend when
 * first run, and picks the answer up when run again.
 */
#include <string.h>

#include "daemon/http/call.h"
#include "daemon/http/handle.h"

/* Makes the call, or answers that there is no memory. */
static struct call *begin_call(struct exchange *exchange)
{
	exchange->call = call_new();
	if (exchange->call == NULL) {
		answer_problem(exchange->answer, 503, "There is no memory for this.");
	}
	return exchange->call;
}

static enum route_result end_call(struct exchange *exchange)
{
	struct call *call = exchange->call;

	if (!call->is_done && !exchange->must_answer) {
		return ROUTE_LATER;
	}
	if (call->is_done) {
		answer_deinit(exchange->answer);
		*exchange->answer = call->answer;
		call->answer = ANSWER_INIT;
	} else {
		answer_problem(exchange->answer, 503, "The daemon stops before this is done.");
	}
	exchange->call = call_release(call);
	return ROUTE_DONE;
}

/* With a key that has come before: true, and the answer made. */
static bool answer_by_key(struct exchange *exchange, const struct http_submission *submission)
{
	struct idempotency *idempotency = exchange->context->idempotency;
	struct answer *answer = exchange->answer;
	struct idempotency_entry *entry = NULL;
	struct http_result result;

	switch (idempotency_begin(idempotency, submission, &entry)) {
	case IDEMPOTENCY_FRESH:
		exchange->call->idempotency = idempotency;
		exchange->call->entry = entry;
		return false;
	case IDEMPOTENCY_KNOWN:
		result = idempotency_result(entry);
		call_render(answer, &result, NULL);
		break;
	case IDEMPOTENCY_BUSY:
		answer_problem(answer, 409, "The first request with this key is under way.");
		answer->retry_after_seconds = 1;
		break;
	case IDEMPOTENCY_DIFFERS:
		answer_problem(answer, 422, "This Idempotency-Key came with another spec before.");
		break;
	case IDEMPOTENCY_INVALID:
		answer_problem(answer, 400,
			       "An Idempotency-Key is 1 to %d printable ASCII characters.",
			       IDEMPOTENCY_MAX_KEY_BYTES);
		break;
	default:
		answer_problem(answer, 503, "There is no memory for the key.");
	}
	/* The backend has not been asked, so nobody else holds the call. */
	exchange->call->is_done = true;
	exchange->call = call_release(exchange->call);
	return true;
}

enum route_result handle_submit(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	const struct request *request = exchange->request;
	struct http_submission submission = {
		.text = request->body.data != NULL ? request->body.data : "",
		.len = request->body.len,
		.idempotency_key = request->idempotency_key,
		.name_hint = request_param(request, "name"),
		.uid = request->uid,
		.pid = request->pid,
	};

	if (exchange->call != NULL) {
		return end_call(exchange);
	}
	if (submission.name_hint != NULL && strlen(submission.name_hint) > HANDLE_MAX_NAME_BYTES) {
		answer_problem(exchange->answer, 400, "name has at most %d bytes.",
			       HANDLE_MAX_NAME_BYTES);
		return ROUTE_DONE;
	}
	if (begin_call(exchange) == NULL) {
		return ROUTE_DONE;
	}
	if (submission.idempotency_key != NULL && answer_by_key(exchange, &submission)) {
		return ROUTE_DONE;
	}
	backend->submit(backend->ctx, &submission, call_on_result, exchange->call);
	return end_call(exchange);
}

enum route_result handle_validate(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	const struct buf *body = &exchange->request->body;

	if (exchange->call != NULL) {
		return end_call(exchange);
	}
	if (begin_call(exchange) == NULL) {
		return ROUTE_DONE;
	}
	exchange->call->success_json = "\"valid\":true";
	backend->validate(backend->ctx, body->data != NULL ? body->data : "", body->len,
			  call_on_result, exchange->call);
	return end_call(exchange);
}

typedef void (*change_fn)(void *ctx, const char *id, http_result_fn fn, void *userdata);

static enum route_result change_job(struct exchange *exchange, change_fn change)
{
	if (exchange->call != NULL) {
		return end_call(exchange);
	}
	if (begin_call(exchange) == NULL) {
		return ROUTE_DONE;
	}
	change(exchange->context->backend->ctx, exchange->job_id, call_on_result, exchange->call);
	return end_call(exchange);
}

enum route_result handle_cancel(struct exchange *exchange)
{
	return change_job(exchange, exchange->context->backend->cancel);
}

enum route_result handle_forget(struct exchange *exchange)
{
	return change_job(exchange, exchange->context->backend->forget);
}
