/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd in external epoll mode: its epoll descriptor is one source of our loop, and
 * MHD_run() does whatever is due. What 0.9.75 does not tell by that descriptor, as measured: a
 * resumed connection and a place that a closed one has freed; both need a run of their own, which
 * listener_kick() asks of a timer that is due at once, so that it is never nested in another run.
 * MHD_get_timeout() tells of work left over. Stopping aborts the process if a connection is still
 * suspended, so all are resumed and answered first.
 *
 * The sweep is our own: deadlines of phases (connection.h), the ends of long polls, and clients
 * that went away while they were suspended, which the library does not look at.
 */
#include "daemon/http/listener.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"
#include "daemon/http/peer.h"

enum {
	LISTENER_TCP_LIMIT = 512,
	LISTENER_UNIX_LIMIT = 128,
	LISTENER_MIN_LIMIT = 8,
	LISTENER_MAX_WAITING = 64,
	LISTENER_MEMORY_BYTES = 16 * 1024, /* of a connection: its headers must fit */
};

static void PRINTF_FORMAT(2, 0) on_library_log(void *cls, const char *format, va_list args)
{
	char text[LOG_MESSAGE_SIZE];
	int n = vsnprintf(text, sizeof(text), format, args);

	while (n > 0 && (size_t)n < sizeof(text) && text[n - 1] == '\n') {
		text[--n] = '\0';
	}
	log_debug("libmicrohttpd: %s", text);
}

/* Connections take a quarter of the descriptors at most, those of the unix socket a sixteenth. */
static size_t connection_limit(bool is_unix)
{
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
	rlim_t share;

	getrlimit(RLIMIT_NOFILE, &limit);
	share = limit.rlim_cur / (is_unix ? 16 : 4);
	share = MIN(share, (rlim_t)(is_unix ? LISTENER_UNIX_LIMIT : LISTENER_TCP_LIMIT));
	return MAX(share, (rlim_t)LISTENER_MIN_LIMIT);
}

static void run(struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
	int64_t now_ns = clock_monotonic_ns();

	listener->needs_run = false;
	if (MHD_run(listener->mhd) == MHD_NO) {
		log_error("The HTTP server on the %s socket failed in a run; it goes on.",
			  listener->is_unix ? "unix" : "TCP");
	}
	if (listener->needs_run || (MHD_get_timeout(listener->mhd, &timeout_ms) == MHD_YES)) {
		int64_t at_ns = now_ns;

		if (!listener->needs_run) {
			at_ns += (int64_t)MIN(timeout_ms, 1000ULL) * CLOCK_NS_PER_MS;
		}
		if (loop_timer_arm(listener->run_timer, at_ns) < 0) {
			log_error("The HTTP server's timer cannot be armed; it may be slow.");
		}
	}
}

static void on_io(void *userdata, int fd, uint32_t epoll_events)
{
	run(userdata);
}

static void on_run_timer(void *userdata, int64_t now_ns)
{
	run(userdata);
}

void listener_kick(struct listener *listener)
{
	listener->needs_run = true;
	if (listener->run_timer != NULL && loop_timer_arm(listener->run_timer, 0) < 0) {
		log_error("The HTTP server's timer cannot be armed; it may be slow.");
	}
}

void listener_sweep_by(struct listener *listener, int64_t at_ns)
{
	if (at_ns < listener->sweep_at_ns && listener->sweep_timer != NULL &&
	    loop_timer_arm(listener->sweep_timer, at_ns) == 0) {
		listener->sweep_at_ns = at_ns;
	}
}

/* A client that waits for us: resumed when its time is up or it has gone. When to look again. */
static int64_t sweep_waiting(struct peer *peer, int64_t now_ns)
{
	if (!peer->is_waiting || !peer->is_suspended) {
		return INT64_MAX;
	}
	peer->is_gone = connection_is_gone(&peer->connection);
	if (peer->is_gone || peer->wait_until_ns <= now_ns) {
		peer_resume(peer);
		return INT64_MAX;
	}
	return MIN(peer->wait_until_ns, now_ns + LISTENER_GONE_CHECK_NS);
}

static void on_sweep_timer(void *userdata, int64_t now_ns)
{
	struct listener *listener = userdata;
	struct connection *connection;
	int64_t next_ns = INT64_MAX;

	TAILQ_FOREACH(connection, &listener->connections.head, link)
	{
		int64_t at_ns = connection->deadline_ns;

		if (connection->phase == CONNECTION_WORKING) {
			at_ns = sweep_waiting((struct peer *)connection, now_ns);
		} else if (at_ns <= now_ns) {
			connection_shut(&listener->connections, connection);
			at_ns = INT64_MAX;
		}
		next_ns = MIN(next_ns, at_ns);
	}
	listener->sweep_at_ns = INT64_MAX;
	listener_sweep_by(listener, next_ns);
}

struct job_look {
	bool has_ended;
};

static bool look_at_job(void *userdata, const struct job_view *job)
{
	((struct job_look *)userdata)->has_ended = job_state_is_final(job->state);
	return true;
}

void listener_job_changed(struct listener *listener, const char *id)
{
	const struct http_backend *backend = listener->context->backend;
	struct connection *connection;

	if (listener->n_waiting == 0) {
		return;
	}
	TAILQ_FOREACH(connection, &listener->connections.head, link)
	{
		struct peer *peer = (struct peer *)connection;
		struct job_look look = {.has_ended = true}; /* forgotten is as good */

		if (!peer->is_waiting || (id != NULL && !str_equal(id, peer->exchange.job_id))) {
			continue;
		}
		backend->with_job(backend->ctx, peer->exchange.job_id, look_at_job, &look);
		if (look.has_ended) {
			peer_resume(peer);
		}
	}
}

static int start_library(struct listener *listener, int listen_fd)
{
	listener->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		peer_on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)listener->connections.limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)LISTENER_MEMORY_BYTES, MHD_OPTION_NOTIFY_CONNECTION, peer_on_connection,
		listener, MHD_OPTION_URI_LOG_CALLBACK, peer_on_uri, listener,
		MHD_OPTION_NOTIFY_COMPLETED, peer_on_completed, listener, MHD_OPTION_END);
	if (listener->mhd == NULL) {
		fd_close(listen_fd);
		return -ENOMEM; /* it doesn't tell; there is little else */
	}
	return 0;
}

static int add_to_loop(struct listener *listener)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->mhd,
							       MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (info == NULL) {
		return -ENOTSUP;
	}
	r = loop_add_timer(listener->loop, on_run_timer, listener, &listener->run_timer);
	if (r == 0) {
		r = loop_add_timer(listener->loop, on_sweep_timer, listener,
				   &listener->sweep_timer);
	}
	if (r == 0) {
		r = loop_add_io(listener->loop, info->epoll_fd, EPOLLIN, on_io, listener,
				&listener->io);
	}
	return r;
}

int listener_new(struct loop *loop, struct route_context *context, int listen_fd, bool is_unix,
		 struct listener **ret_listener)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (listener == NULL) {
		fd_close(listen_fd);
		return -ENOMEM;
	}
	listener->loop = loop;
	listener->context = context;
	listener->is_unix = is_unix;
	listener->sweep_at_ns = INT64_MAX;
	connection_list_init(&listener->connections, connection_limit(is_unix));
	listener->max_waiting = MIN(listener->connections.limit / 2, (size_t)LISTENER_MAX_WAITING);
	r = start_library(listener, listen_fd);
	if (r == 0) {
		r = add_to_loop(listener);
	}
	if (r < 0) {
		listener_free(listener);
		return r;
	}
	*ret_listener = listener;
	return 0;
}

/* Each run answers those that are resumed; an answer may not suspend again (must_answer). */
static void answer_all(struct listener *listener)
{
	struct connection *connection;

	TAILQ_FOREACH(connection, &listener->connections.head, link)
	{
		peer_resume((struct peer *)connection);
	}
	listener->needs_run = false;
	MHD_run(listener->mhd);
	if (listener->needs_run) {
		MHD_run(listener->mhd);
	}
}

struct listener *listener_free(struct listener *listener)
{
	if (listener == NULL) {
		return NULL;
	}
	listener->io = loop_source_free(listener->io);
	listener->run_timer = loop_source_free(listener->run_timer);
	listener->sweep_timer = loop_source_free(listener->sweep_timer);
	if (listener->mhd != NULL) {
		answer_all(listener);
		MHD_stop_daemon(listener->mhd);
	}
	free(listener);
	return NULL;
}
