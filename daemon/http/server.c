/* SPDX-License-Identifier: MIT */
/* What both sockets share: the routes' context, made anew when the options change. */
#include "daemon/http/server.h"

#include <errno.h>
#include <string.h>

#include "common/util/fd.h"
#include "daemon/http/listener.h"

struct server {
	struct http_backend backend;
	struct route_context context;
	struct listener *tcp, *unix_socket;
};

int server_set_options(struct server *server, const struct server_options *options)
{
	struct host_list hosts;
	uid_t *uids;
	int r = host_list_init(&hosts, options->allowed_hosts, options->n_allowed_hosts);

	if (r < 0) {
		return r;
	}
	uids = calloc(options->n_allowed_uids + 1, sizeof(*uids));
	if (uids == NULL) {
		host_list_deinit(&hosts);
		return -ENOMEM;
	}
	if (options->n_allowed_uids > 0) {
		memcpy(uids, options->allowed_uids, options->n_allowed_uids * sizeof(*uids));
	}
	host_list_deinit(&server->context.hosts);
	free(server->context.allowed_uids);
	server->context.hosts = hosts;
	server->context.allowed_uids = uids;
	server->context.n_allowed_uids = options->n_allowed_uids;
	server->context.expose_rows = options->expose_rows;
	return 0;
}

static int fill(struct server *server, struct loop *loop, int tcp_fd, int unix_fd)
{
	CLEANUP(fd_closep) int fd = unix_fd;
	int r = 0;

	if (tcp_fd >= 0) {
		r = listener_new(loop, &server->context, tcp_fd, false, &server->tcp);
	}
	if (r == 0 && fd >= 0) {
		r = listener_new(loop, &server->context, TAKE_FD(fd), true, &server->unix_socket);
	}
	return r;
}

int server_new(struct loop *loop, const struct server_options *options,
	       const struct http_backend *backend, struct server **ret_server)
{
	CLEANUP(fd_closep) int tcp_fd = options->tcp_fd;
	CLEANUP(fd_closep) int unix_fd = options->unix_fd;
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (server == NULL) {
		return -ENOMEM;
	}
	server->backend = *backend;
	server->context.backend = &server->backend;
	server->context.idempotency = idempotency_new();
	r = server->context.idempotency != NULL ? server_set_options(server, options) : -ENOMEM;
	if (r == 0) {
		r = fill(server, loop, TAKE_FD(tcp_fd), TAKE_FD(unix_fd));
	}
	if (r < 0) {
		server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

struct server *server_free(struct server *server)
{
	if (server == NULL) {
		return NULL;
	}
	server->context.is_closing = true;
	listener_free(server->tcp);
	listener_free(server->unix_socket);
	idempotency_free(server->context.idempotency);
	host_list_deinit(&server->context.hosts);
	free(server->context.allowed_uids);
	free(server);
	return NULL;
}

void server_job_changed(struct server *server, const char *id)
{
	if (server->tcp != NULL) {
		listener_job_changed(server->tcp, id);
	}
	if (server->unix_socket != NULL) {
		listener_job_changed(server->unix_socket, id);
	}
}
