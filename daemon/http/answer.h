/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/http/request.h"

/* A response before it meets the HTTP library. */

#define ANSWER_JSON    "application/json; charset=utf-8"
#define ANSWER_PROBLEM "application/problem+json; charset=utf-8"
#define ANSWER_HTML    "text/html; charset=utf-8"

/* Content-Security-Policy of what is no page: a browser that shows it runs and loads nothing. */
#define ANSWER_POLICY "default-src 'none'; frame-ancestors 'none'"

enum { ANSWER_ETAG_SIZE = 48, ANSWER_LOCATION_SIZE = 96, ANSWER_GZIP_MIN_BYTES = 1024 };

struct answer {
	unsigned status;
	const char *content_type; /* a constant; NULL: no body */
	struct buf body;
	char allow[32]; /* "" if none; for 405 */
	unsigned retry_after_seconds;
	char location[ANSWER_LOCATION_SIZE]; /* "" if none */
	bool may_compress;
	bool varies_by_accept;
	bool is_fresh_always; /* what changes every time has no ETag: nobody could use it */
	const char *policy;   /* of content; NULL: ANSWER_POLICY */
	const void *gzip;     /* the body's compressed form where it was made before; else NULL */
	size_t gzip_len;
	/* What answer_finish() adds. */
	char etag[ANSWER_ETAG_SIZE]; /* "" if none */
	bool is_gzip;
};

#define ANSWER_INIT ((struct answer){0})

void answer_deinit(struct answer *answer);

/* "Not Found"; "Error" for a status that we don't use. */
const char *answer_reason(unsigned status);

/*
 * Makes it a problem document (RFC 9457) whatever it was. detail is one sentence. extra_json is
 * NULL or further members: "\"reasons\":[]".
 */
void answer_set_problem(struct answer *answer, unsigned status, const char *detail,
			const char *extra_json);
void answer_problem(struct answer *answer, unsigned status, const char *format, ...)
	PRINTF_FORMAT(3, 4);

/*
 * The last step, the same for all routes: ?pretty, ETag and If-None-Match, gzip. A body that was
 * not made for want of memory becomes a 500 here.
 */
void answer_finish(struct answer *answer, const struct request *request);
