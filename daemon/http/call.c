/* SPDX-License-Identifier: MIT */
/*
 * The answer is made at once, while the backend's texts are valid; the request picks it up when it
 * is called again. A released call knows nothing any more of what has waited for it.
 */
#include "daemon/http/call.h"

#include <stdio.h>

#include "daemon/http/json.h"

struct call *call_new(void)
{
	return calloc(1, sizeof(struct call));
}

static void call_free(struct call *call)
{
	answer_deinit(&call->answer);
	free(call);
}

void call_render(struct answer *answer, const struct http_result *result, const char *success_json)
{
	unsigned status = result->status >= 200 && result->status <= 599 ? result->status : 500;
	const char *extra = result->detail_json;

	if (status >= 300) {
		answer_set_problem(answer, status,
				   result->text != NULL ? result->text : answer_reason(status),
				   extra);
		return;
	}
	answer->status = status;
	answer->is_fresh_always = true;
	if (result->job_id != NULL && status == 202) {
		snprintf(answer->location, sizeof(answer->location), "/api/v1/jobs/%s",
			 result->job_id);
	}
	if (status == 204) {
		return;
	}
	answer->content_type = ANSWER_JSON;
	buf_add_str(&answer->body, "{\"id\":");
	json_add_text(&answer->body, result->job_id);
	buf_add_str(&answer->body, ",\"message\":");
	json_add_text(&answer->body, result->text);
	extra = extra != NULL && extra[0] != '\0' ? extra : success_json;
	if (extra != NULL) {
		buf_add_char(&answer->body, ',');
		buf_add_str(&answer->body, extra);
	}
	buf_add_str(&answer->body, "}\n");
}

void call_on_result(void *userdata, const struct http_result *result)
{
	struct call *call = userdata;

	if (call->is_released) {
		call_free(call);
		return;
	}
	call->is_done = true;
	if (call->entry != NULL) {
		idempotency_end(call->idempotency, call->entry, result);
		call->entry = NULL;
	}
	call_render(&call->answer, result, call->success_json);
	if (call->wake != NULL) {
		call->wake(call->userdata);
	}
}

struct call *call_release(struct call *call)
{
	if (call == NULL) {
		return NULL;
	}
	if (call->is_done) {
		call_free(call);
	} else {
		call->is_released = true;
	}
	return NULL;
}
