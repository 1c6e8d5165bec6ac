/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/core/loop.h"
#include "daemon/http/backend.h"

/*
 * The HTTP server: libmicrohttpd in external epoll mode inside the daemon's loop, once for TCP
 * (read only) and once for the unix socket (which also changes things).
 */
struct server;

struct server_options {
	int tcp_fd;  /* listening, non-blocking; -1: none. Owned by the server from server_new on */
	int unix_fd; /* the same for control.sock */
	char *const *allowed_hosts; /* n_allowed_hosts names; copied */
	size_t n_allowed_hosts;
	bool expose_rows; /* show rejected rows over TCP */
	const uid_t
		*allowed_uids; /* who may change things; copied. Root and our own uid always may */
	size_t n_allowed_uids;
};

/* Opens listening sockets. host "" or NULL = any; port 0 = any free one, told by *ret_port. */
int server_listen_tcp(const char *host, uint16_t port, int *ret_fd, uint16_t *ret_port) MUST_CHECK;
/* Makes a listening socket that somebody else has opened as server_listen_tcp makes its own. */
int server_adopt_tcp(int fd, uint16_t *ret_port) MUST_CHECK;
/* Replaces a stale socket (nobody accepts on it); -EADDRINUSE if somebody does. Mode 0660. */
int server_listen_unix(const char *path, int *ret_fd) MUST_CHECK;

/* Copies the backend's struct; ctx must outlive the server. On failure the sockets are closed too.
 */
int server_new(struct loop *loop, const struct server_options *options,
	       const struct http_backend *backend, struct server **ret_server) MUST_CHECK;

/* Resumes and answers all long polls with what there is, closes all. NULL is fine. */
struct server *server_free(struct server *server);

/* A job changed its state (or any job did: id NULL): long polls look again. */
void server_job_changed(struct server *server, const char *id);

/* After a reload of the configuration; the descriptors are not looked at. On failure all is as
 * before. */
int server_set_options(struct server *server, const struct server_options *options) MUST_CHECK;
