/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/model/job_view.h"
#include "common/util/buf.h"

/*
 * What the HTTP server asks of the rest of the daemon; daemon/main.c fills it in. All calls are
 * made in the loop and must not block. Views are valid only inside the call that gets them.
 */

/* Called for each job, newest first; return false to stop. */
typedef bool (*http_job_fn)(void *userdata, const struct job_view *job);

/* How a submit, cancel or forget ended. status is an HTTP status; text is a sentence. */
struct http_result {
	unsigned status;
	const char *job_id; /* set when a job was accepted, cancelled or forgotten */
	const char *text;
	const char *detail_json; /* NULL or extra members for the problem document, "..." : ... */
};
typedef void (*http_result_fn)(void *userdata, const struct http_result *result);

struct http_submission {
	const char *text; /* the spec */
	size_t len;
	const char *idempotency_key; /* NULL if none */
	const char *name_hint;	     /* name if the spec has none */
	uid_t uid;
	pid_t pid;
};

struct http_backend {
	void *ctx;

	void (*for_each_job)(void *ctx, http_job_fn fn, void *userdata);
	/* Calls fn once if the job exists; returns whether it does. */
	bool (*with_job)(void *ctx, const char *id, http_job_fn fn, void *userdata);
	/* Valid until the next call into the backend. */
	const struct totals_view *(*totals)(void *ctx);
	size_t (*areas)(void *ctx, const struct area_view **ret_areas);

	/* The file of a job's first rejects, one JSON object a line. Returns an fd to close,
	 * -errno. */
	int (*open_rejects)(void *ctx, const char *id);

	/* Appends one sentence a line for each reason not to be ready; true = ready. */
	bool (*is_ready)(void *ctx, struct buf *reasons);
	bool (*config_last_reload_ok)(void *ctx);

	/*
	 * Changing calls (unix socket only). fn is called exactly once, at once or later, even
	 * after server_free(): the server's memory for it lives until then. Texts are copied
	 * inside fn; those of a submission are valid only during the call.
	 */
	void (*submit)(void *ctx, const struct http_submission *submission, http_result_fn fn,
		       void *userdata);
	/* 200 with "" or 422 with the reason; never starts anything. */
	void (*validate)(void *ctx, const char *text, size_t len, http_result_fn fn,
			 void *userdata);
	void (*cancel)(void *ctx, const char *id, http_result_fn fn, void *userdata);
	void (*forget)(void *ctx, const char *id, http_result_fn fn, void *userdata);
};
