/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util/buf.h"
#include "common/util/macro.h"

/* A request as the routes see it: plain values, nothing of the HTTP library. */

enum {
	REQUEST_MAX_TARGET_BYTES = 4096,
	REQUEST_MAX_PARAMS = 16,
	REQUEST_MAX_BODY_BYTES = 1024 * 1024,
};

/* Bits: a route names the set that it answers. */
enum request_method {
	REQUEST_OTHER = 0,
	REQUEST_GET = 1,
	REQUEST_HEAD = 2,
	REQUEST_POST = 4,
	REQUEST_DELETE = 8,
};

/* Methods are case-sensitive (RFC 9110, section 9.1). */
enum request_method request_method_parse(const char *name);

struct request_param {
	const char *name;
	const char *value; /* "" where there is no "=" */
};

/* What stands between method and version in the first line. Zeros are an empty one. */
struct request_target {
	const char *path;      /* decoded; begins with "/" */
	const char *authority; /* of the absolute form "http://AUTHORITY/..."; else NULL */
	size_t n_params;
	struct request_param params[REQUEST_MAX_PARAMS];
	char *text; /* what all of these point into */
};

/*
 * Takes a target apart (RFC 9112, section 3.2) and decodes its %XX; a "+" in a value is a "+".
 * -EINVAL: no path, a bad %XX, %00, a control character; -E2BIG: too long or too many parameters;
 * -EEXIST: a parameter stands there twice. ret_target is set on success only.
 */
int request_target_parse(const char *raw, struct request_target *ret_target) MUST_CHECK;
void request_target_deinit(struct request_target *target);

/* Headers are NULL where the request has none. */
struct request {
	enum request_method method;
	struct request_target target;
	const char *host;
	const char *accept;
	const char *accept_encoding;
	const char *if_none_match;
	const char *idempotency_key;
	struct buf body;
	size_t n_hosts;	      /* Host headers: more than one is an attack or a mistake */
	bool is_http_1_0;     /* may come without Host */
	bool is_unix;	      /* came over control.sock; uid and pid are the peer's */
	bool may_change;      /* an allowed user over control.sock */
	bool is_body_too_big; /* and was thrown away */
	uid_t uid;
	pid_t pid;
	int64_t received_ns; /* CLOCK_MONOTONIC at its last byte */
};

/* The value of a parameter, NULL if it is not there. */
const char *request_param(const struct request *request, const char *name);
