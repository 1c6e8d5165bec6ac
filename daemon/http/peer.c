/* SPDX-License-Identifier: MIT */
/*
 * The only place where requests and answers meet libmicrohttpd. It calls for one request in this
 * order: peer_on_uri with the raw first line, peer_on_request once for the head, once for each
 * piece of the body, once for the end (and once more after each resume), then peer_on_completed.
 * An answer that is queued for the head alone makes it close the connection after.
 */
#include "daemon/http/peer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/http/call.h"

static void set_phase(struct peer *peer, enum connection_phase phase)
{
	connection_set_phase(&peer->listener->connections, &peer->connection, phase,
			     clock_monotonic_ns());
	listener_sweep_by(peer->listener, peer->connection.deadline_ns);
}

static void end_waiting(struct peer *peer)
{
	peer->listener->n_waiting -= peer->is_waiting;
	peer->is_waiting = false;
	peer->wait_until_ns = INT64_MAX;
}

/* Forgets the request. Fit for one that never began. */
static void end_request(struct peer *peer)
{
	end_waiting(peer);
	peer->exchange.call = call_release(peer->exchange.call);
	request_target_deinit(&peer->request.target);
	buf_deinit(&peer->request.body);
	answer_deinit(&peer->answer);
	peer->request = (struct request){0};
	peer->exchange = (struct exchange){0};
	peer->route = NULL;
	peer->target_error = 0;
	peer->is_admitted = false;
}

static struct peer *peer_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

static struct peer *peer_new(struct listener *listener, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct peer *peer = info != NULL ? calloc(1, sizeof(*peer)) : NULL;
	struct ucred credentials;
	socklen_t len = sizeof(credentials);

	if (peer == NULL) {
		return NULL;
	}
	peer->listener = listener;
	peer->mhd = mhd;
	peer->uid = (uid_t)-1;
	peer->wait_until_ns = INT64_MAX;
	if (listener->is_unix &&
	    getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0) {
		peer->uid = credentials.uid;
		peer->pid = credentials.pid;
	}
	connection_add(&listener->connections, &peer->connection, info->connect_fd,
		       clock_monotonic_ns());
	listener_sweep_by(listener, peer->connection.deadline_ns);
	return peer;
}

void peer_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
			enum MHD_ConnectionNotificationCode code)
{
	struct listener *listener = cls;
	struct peer *peer = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = peer_new(listener, mhd);
		return;
	}
	/* The library listens again, if it had reached its limit, only in a run of its own. */
	listener_kick(listener);
	if (peer != NULL) {
		end_request(peer);
		connection_remove(&listener->connections, &peer->connection);
		free(peer);
		*socket_context = NULL;
	}
}

void *peer_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct peer *peer = peer_of(mhd);

	if (peer != NULL) {
		end_request(peer);
		set_phase(peer, CONNECTION_READING);
		peer->target_error = request_target_parse(uri, &peer->request.target);
	}
	return peer;
}

static enum MHD_Result count_host(void *cls, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	size_t *n_hosts = cls;

	*n_hosts += strcasecmp(name, "Host") == 0;
	return MHD_YES;
}

static const char *header(struct peer *peer, const char *name)
{
	return MHD_lookup_connection_value(peer->mhd, MHD_HEADER_KIND, name);
}

static bool may_change(const struct peer *peer)
{
	const struct route_context *context = peer->listener->context;

	if (!peer->listener->is_unix) {
		return false;
	}
	for (size_t i = 0; i < context->n_allowed_uids; i++) {
		if (context->allowed_uids[i] == peer->uid) {
			return true;
		}
	}
	return peer->uid == 0 || peer->uid == geteuid();
}

static void read_head(struct peer *peer, const char *method, const char *version)
{
	struct request *request = &peer->request;
	const char *length = header(peer, "Content-Length");
	uint64_t n_bytes;

	request->method = request_method_parse(method);
	request->is_http_1_0 = str_equal(version, "HTTP/1.0");
	request->host = header(peer, "Host");
	request->accept = header(peer, "Accept");
	request->accept_encoding = header(peer, "Accept-Encoding");
	request->if_none_match = header(peer, "If-None-Match");
	request->idempotency_key = header(peer, "Idempotency-Key");
	request->is_unix = peer->listener->is_unix;
	request->may_change = may_change(peer);
	request->uid = peer->uid;
	request->pid = peer->pid;
	request->is_body_too_big = length != NULL && num_parse_u64(length, &n_bytes) == 0 &&
				   n_bytes > REQUEST_MAX_BODY_BYTES;
	MHD_get_connection_values(peer->mhd, MHD_HEADER_KIND, count_host, &request->n_hosts);
	peer->exchange.context = peer->listener->context;
	peer->exchange.request = request;
	peer->exchange.answer = &peer->answer;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (value[0] != '\0' && MHD_add_response_header(response, name, value) == MHD_NO) {
		log_debug("An answer goes without its %s: no memory.", name);
	}
}

static void add_headers(struct MHD_Response *response, const struct answer *answer)
{
	char retry_after[16] = "";

	if (answer->retry_after_seconds > 0) {
		snprintf(retry_after, sizeof(retry_after), "%u", answer->retry_after_seconds);
	}
	add_header(response, "Content-Type",
		   answer->content_type != NULL ? answer->content_type : "");
	add_header(response, "Cache-Control", answer->etag[0] != '\0' ? "no-cache" : "no-store");
	add_header(response, "ETag", answer->etag);
	add_header(response, "Vary",
		   answer->varies_by_accept ? "Accept, Accept-Encoding"
		   : answer->may_compress   ? "Accept-Encoding"
					    : "");
	add_header(response, "Content-Encoding", answer->is_gzip ? "gzip" : "");
	add_header(response, "Allow", answer->allow);
	add_header(response, "Location", answer->location);
	add_header(response, "Retry-After", retry_after);
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Content-Security-Policy",
		   answer->policy != NULL ? answer->policy : ANSWER_POLICY);
}

static enum MHD_Result send_answer(struct peer *peer)
{
	struct answer *answer = &peer->answer;
	size_t n_bytes = answer->body.len;
	unsigned status = answer->status;
	struct MHD_Response *response;
	enum MHD_Result r;

	if (answer->body.data != NULL) {
		response = MHD_create_response_from_buffer(answer->body.len, answer->body.data,
							   MHD_RESPMEM_MUST_FREE);
	} else {
		response = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "",
							   MHD_RESPMEM_PERSISTENT);
	}
	if (response == NULL) {
		return MHD_NO; /* closes the connection */
	}
	answer->body = BUF_INIT; /* the response owns it now */
	add_headers(response, answer);
	connection_set_writing(&peer->listener->connections, &peer->connection, n_bytes,
			       clock_monotonic_ns());
	listener_sweep_by(peer->listener, peer->connection.deadline_ns);
	r = MHD_queue_response(peer->mhd, status, response);
	MHD_destroy_response(response);
	return r;
}

/*
 * The head is there. A refusal waits for the end of the body too, which is thrown away: a client
 * that is cut off while it sends may never read why. Only a body that says that it is too big is
 * not waited for.
 */
static enum MHD_Result admit(struct peer *peer, const char *method, const char *version)
{
	read_head(peer, method, version);
	peer->is_admitted = true;
	if (peer->target_error < 0) {
		route_refuse_target(&peer->exchange, peer->target_error);
	} else {
		peer->route = route_admit(&peer->exchange);
	}
	if (!peer->request.is_body_too_big) {
		return MHD_YES;
	}
	if (peer->route != NULL) {
		route_run(peer->route, &peer->exchange);
	}
	return send_answer(peer);
}

static void take_body(struct peer *peer, const char *data, size_t len)
{
	struct request *request = &peer->request;

	if (peer->route == NULL) {
		return; /* refused */
	}
	if (len > REQUEST_MAX_BODY_BYTES - request->body.len) {
		request->is_body_too_big = true; /* it came in chunks, so nothing told before */
		buf_deinit(&request->body);
	}
	if (!request->is_body_too_big) {
		buf_add(&request->body, data, len);
	}
}

static void wake(void *userdata)
{
	peer_resume(userdata);
}

/* The request is whole, or was suspended and is to be looked at again. */
static enum MHD_Result run(struct peer *peer)
{
	struct exchange *exchange = &peer->exchange;
	struct listener *listener = peer->listener;
	enum route_result result;

	end_waiting(peer);
	exchange->now_ns = clock_monotonic_ns();
	if (peer->request.received_ns == 0) {
		peer->request.received_ns = exchange->now_ns;
	}
	exchange->loop_age_ns = exchange->now_ns - loop_last_wakeup_ns(listener->loop);
	exchange->may_wait = listener->n_waiting < listener->max_waiting;
	exchange->must_answer = listener->context->is_closing || peer->is_gone;
	result = route_run(peer->route, exchange);
	if (result == ROUTE_DONE) {
		return send_answer(peer);
	}
	if (result == ROUTE_WAIT) {
		peer->is_waiting = true;
		peer->wait_until_ns = exchange->wait_until_ns;
		listener->n_waiting++;
		listener_sweep_by(listener, MIN(peer->wait_until_ns,
						exchange->now_ns + LISTENER_GONE_CHECK_NS));
	} else {
		exchange->call->wake = wake;
		exchange->call->userdata = peer;
	}
	set_phase(peer, CONNECTION_WORKING);
	peer->is_suspended = true;
	MHD_suspend_connection(peer->mhd);
	return MHD_YES;
}

/* NOLINTNEXTLINE(readability-function-size): the library's signature. */
enum MHD_Result peer_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
				const char *method, const char *version, const char *data,
				size_t *data_len, void **request_context)
{
	struct peer *peer = peer_of(mhd);

	if (peer == NULL) {
		return MHD_NO; /* there was no memory for it */
	}
	if (!peer->is_admitted) {
		return admit(peer, method, version);
	}
	if (*data_len > 0) {
		take_body(peer, data, *data_len);
		*data_len = 0;
		return MHD_YES;
	}
	return peer->route != NULL ? run(peer) : send_answer(peer);
}

/*
 * The client has closed its side together with its last byte. The library was told in one event
 * with that byte and did not look again; but it may still hold a further request, so it gets time.
 */
static void hurry(struct peer *peer)
{
	peer->connection.deadline_ns = clock_monotonic_ns() + CONNECTION_LAST_NS;
	listener_sweep_by(peer->listener, peer->connection.deadline_ns);
}

void peer_on_completed(void *cls, struct MHD_Connection *mhd, void **request_context,
		       enum MHD_RequestTerminationCode code)
{
	struct peer *peer = peer_of(mhd);

	if (peer != NULL) {
		end_request(peer);
		set_phase(peer, CONNECTION_IDLE);
		if (connection_is_gone(&peer->connection)) {
			hurry(peer);
		}
	}
}

void peer_resume(struct peer *peer)
{
	if (peer->is_suspended) {
		peer->is_suspended = false;
		MHD_resume_connection(peer->mhd);
		listener_kick(peer->listener);
	}
}
