/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "daemon/http/answer.h"
#include "daemon/http/backend.h"
#include "daemon/http/idempotency.h"

/*
 * A change that the backend works on. It belongs to the request until call_release(), and to the
 * backend until its result has come; the later of the two frees it. So a result that comes after
 * the end of the request, or of the whole server, finds its memory.
 */
struct call {
	bool is_done; /* the result has come: the answer is made */
	struct answer answer;
	const char *success_json;     /* NULL or a constant: further members of a good answer */
	void (*wake)(void *userdata); /* called with the result; NULL: none */
	void *userdata;
	struct idempotency *idempotency; /* with the next; NULL: no key was given */
	struct idempotency_entry *entry;
	bool is_released;
};

struct call *call_new(void); /* NULL: no memory */

/* The http_result_fn for the backend; userdata is the call. */
void call_on_result(void *userdata, const struct http_result *result);

/* NULL is fine; returns NULL. */
struct call *call_release(struct call *call);

/* A result -> an answer. */
void call_render(struct answer *answer, const struct http_result *result, const char *success_json);
