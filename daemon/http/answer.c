/* SPDX-License-Identifier: MIT */
/*
 * The ETag is a hash of the very bytes, so it is strong, and there is no version number that a
 * route could forget to raise. 64 bits and the length: the risk is one wrong "not modified" in
 * 2^64, and whoever forges one misleads only those who read what he wrote. The compressed form is
 * another representation and has a tag of its own.
 */
#include "daemon/http/answer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/http/gzip.h"
#include "daemon/http/hash.h"
#include "daemon/http/json.h"
#include "daemon/http/negotiate.h"

void answer_deinit(struct answer *answer)
{
	buf_deinit(&answer->body);
	*answer = ANSWER_INIT;
}

const char *answer_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{500, "Internal Server Error"},
		{503, "Service Unavailable"},
		{507, "Insufficient Storage"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (reasons[i].status == status) {
			return reasons[i].reason;
		}
	}
	return "Error";
}

void answer_set_problem(struct answer *answer, unsigned status, const char *detail,
			const char *extra_json)
{
	struct buf *body = &answer->body;

	buf_clear(body);
	buf_add_str(body, "{\"type\":\"about:blank\",\"title\":");
	json_add_text(body, answer_reason(status));
	buf_printf(body, ",\"status\":%u,\"detail\":", status);
	json_add_text(body, detail);
	if (extra_json != NULL && extra_json[0] != '\0') {
		buf_add_char(body, ',');
		buf_add_str(body, extra_json);
	}
	buf_add_str(body, "}\n");
	answer->status = status;
	answer->content_type = ANSWER_PROBLEM;
	answer->is_fresh_always = true;
	answer->location[0] = '\0';
	answer->policy = NULL;
	answer->gzip = NULL;
}

void answer_problem(struct answer *answer, unsigned status, const char *format, ...)
{
	CLEANUP(free_p) char *detail = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&detail, format, args);
	va_end(args);
	if (n < 0) {
		detail = NULL; /* which vasprintf leaves undefined */
	}
	answer_set_problem(answer, status, detail != NULL ? detail : answer_reason(status), NULL);
}

static bool is_json(const struct answer *answer)
{
	return answer->content_type != NULL && (strcmp(answer->content_type, ANSWER_JSON) == 0 ||
						strcmp(answer->content_type, ANSWER_PROBLEM) == 0);
}

static void make_pretty(struct answer *answer)
{
	struct buf pretty = BUF_INIT;

	json_add_pretty(&pretty, answer->body.data, answer->body.len);
	if (buf_error(&pretty) < 0) {
		buf_deinit(&pretty); /* plain will do */
		return;
	}
	buf_deinit(&answer->body);
	answer->body = pretty;
}

static void drop_body(struct answer *answer)
{
	buf_clear(&answer->body);
	answer->content_type = NULL;
}

static void compress_body(struct answer *answer)
{
	struct buf packed = BUF_INIT;
	int r = 0;

	if (answer->gzip != NULL) {
		buf_add(&packed, answer->gzip, answer->gzip_len);
	} else {
		r = gzip_add(&packed, answer->body.data, answer->body.len);
	}
	if (r < 0 || buf_error(&packed) < 0) {
		buf_deinit(&packed); /* plain will do */
		return;
	}
	buf_deinit(&answer->body);
	answer->body = packed;
	answer->is_gzip = true;
}

void answer_finish(struct answer *answer, const struct request *request)
{
	const char *pretty = request_param(request, "pretty");
	bool wants_gzip;

	if (buf_error(&answer->body) < 0) {
		answer_set_problem(answer, 500, "There is no memory for the answer.", NULL);
		answer->may_compress = false;
	}
	if (pretty != NULL && strcmp(pretty, "0") != 0 && strcmp(pretty, "false") != 0 &&
	    is_json(answer)) {
		make_pretty(answer);
	}
	wants_gzip = answer->may_compress && answer->body.len > ANSWER_GZIP_MIN_BYTES &&
		     negotiate_gzip(request->accept_encoding);
	if (answer->status == 200 && !answer->is_fresh_always &&
	    (request->method & (REQUEST_GET | REQUEST_HEAD)) != 0) {
		snprintf(answer->etag, sizeof(answer->etag), "\"%016llx-%zx%s\"",
			 (unsigned long long)hash_add(HASH_START, answer->body.data,
						      answer->body.len),
			 answer->body.len, wants_gzip ? "-gz" : "");
		if (negotiate_none_match(request->if_none_match, answer->etag)) {
			answer->status = 304;
			drop_body(answer);
			return;
		}
	}
	if (wants_gzip) {
		compress_body(answer);
	}
}
