/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/core/loop.h"
#include "daemon/http/connection.h"
#include "daemon/http/route.h"

/* One listening socket and its clients: an instance of libmicrohttpd inside the loop. */

struct MHD_Daemon;

/* How often to look whether a client that waits has gone. */
#define LISTENER_GONE_CHECK_NS INT64_C(1000000000)

struct listener {
	struct loop *loop;
	struct route_context *context;
	struct MHD_Daemon *mhd;
	struct loop_source *io, *run_timer, *sweep_timer;
	int64_t sweep_at_ns; /* INT64_MAX: not armed */
	struct connection_list connections;
	size_t n_waiting, max_waiting; /* long polls */
	bool is_unix;
	bool needs_run; /* the library has something to do that no descriptor tells of */
};

/* Takes over listen_fd, on failure too. */
int listener_new(struct loop *loop, struct route_context *context, int listen_fd, bool is_unix,
		 struct listener **ret_listener) MUST_CHECK;

/* Answers all that wait (context->is_closing is set), closes all. NULL is fine; returns NULL. */
struct listener *listener_free(struct listener *listener);

/* Long polls for this job (NULL: for any) look whether it has ended. */
void listener_job_changed(struct listener *listener, const char *id);

/* For peer.c: run the library in the next turn; look at the deadlines no later than at_ns. */
void listener_kick(struct listener *listener);
void listener_sweep_by(struct listener *listener, int64_t at_ns);
