/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"

/* The daemon's HTTP interface (zooparalleld(8)), spoken over its control socket. */

struct api;

/* Connects to nothing yet. 0, -EINVAL for a path longer than a socket's may be, or -ENOMEM. */
int api_open(const char *socket_path, struct api **ret_api) MUST_CHECK;
struct api *api_close(struct api *api); /* takes NULL too; returns NULL */
void api_closep(struct api **api);

struct api_reply {
	long status;  /* HTTP */
	json_t *body; /* owned; NULL if the answer was not JSON */
};

void api_reply_deinit(struct api_reply *reply);

/*
 * 0: the daemon answered, whatever it said; then the reply is the caller's. -ECONNREFUSED: there
 * is no daemon; -EACCES: its socket is not for this user; -ETIMEDOUT: no answer within timeout_ns;
 * -EPROTO: something that is not HTTP, or too much of it; -ENOMEM. `target` begins with "/api/".
 */
int api_get(struct api *api, const char *target, int64_t timeout_ns,
	    struct api_reply *ret_reply) MUST_CHECK;
/* body may be NULL. */
int api_post(struct api *api, const char *target, const char *body, size_t len,
	     struct api_reply *ret_reply) MUST_CHECK;

/* A piece of a path or query, percent-encoded; the caller frees it. NULL: no memory. */
char *api_escape(const char *text) MUST_CHECK;

/* What a problem document (RFC 9457) says: its detail, else its title, else the status. */
void api_problem_text(const struct api_reply *reply, char *ret_text, size_t size);
