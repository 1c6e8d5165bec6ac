/* SPDX-License-Identifier: MIT */

/*
 * A port that is taken and a socket path that somebody serves are the commonest reasons why a
 * daemon does not start, so they are told with the key that names them.
 */
#include "daemon/http/endpoints.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/atomic_file.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/core/config.h"
#include "daemon/core/passed_socket.h"
#include "daemon/http/server.h"

#define PORT_FILE   "http.port"
#define SOCKET_FILE "control.sock"
#define PASSED_NAME "http" /* FileDescriptorName= of systemd/zooparallel.socket */

static int publish_port(int run_dir_fd, uint16_t port)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u\n", port);
	int r = atomic_file_write(run_dir_fd, PORT_FILE, text, (size_t)len, 0644);

	if (r < 0) {
		log_error("cannot write " PORT_FILE " in run_dir: %s", strerror(-r));
	}
	return r;
}

/* 0 with *ret_fd -1: systemd has passed none. */
static int adopt_tcp(int *ret_fd, uint16_t *ret_port)
{
	int r = passed_socket_take(PASSED_NAME, ret_fd);

	if (r == 0 && *ret_fd >= 0) {
		r = server_adopt_tcp(*ret_fd, ret_port);
	}
	if (r < 0) {
		log_error("cannot use the socket that systemd passes: %s; ListenStream= of "
			  "zooparallel.socket must be a TCP port",
			  strerror(-r));
	} else if (*ret_fd >= 0) {
		log_info("listening on port %u of zooparallel.socket; `listen` has no effect",
			 *ret_port);
	}
	return r;
}

static int listen_tcp(const struct config_listen *listen, int *ret_fd, uint16_t *ret_port)
{
	int r = server_listen_tcp(listen->host, listen->port, ret_fd, ret_port);

	if (r < 0) {
		log_error("cannot listen on %s port %u: %s; correct `listen`, or end what uses it",
			  listen->host, listen->port, strerror(-r));
	} else {
		log_info("listening on %s port %u", listen->host, *ret_port);
	}
	return r;
}

static int open_tcp(const struct config_listen *listen, int run_dir_fd, int *ret_fd)
{
	CLEANUP(fd_closep) int fd = -1;
	uint16_t port = 0;
	int r = adopt_tcp(&fd, &port);

	if (r == 0 && fd < 0 && listen->host[0] != '\0') {
		r = listen_tcp(listen, &fd, &port);
	}
	if (r == 0 && fd >= 0) {
		r = publish_port(run_dir_fd, port);
	}
	if (r == 0) {
		*ret_fd = TAKE_FD(fd);
	}
	return r;
}

static int open_unix(const char *run_dir, int *ret_fd)
{
	CLEANUP(free_p) char *path = NULL;

	if (asprintf(&path, "%s/" SOCKET_FILE, run_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	int r = server_listen_unix(path, ret_fd);
	if (r < 0) {
		log_error("cannot listen on %s: %s; correct `run_dir`, or end what uses it", path,
			  strerror(-r));
	}
	return r;
}

int endpoints_open(const struct config *config, int run_dir_fd, struct endpoints *ret_endpoints)
{
	CLEANUP(fd_closep) int tcp_fd = -1;
	int unix_fd;
	int r = open_tcp(&config->listen, run_dir_fd, &tcp_fd);

	if (r < 0) {
		return r;
	}
	r = open_unix(config->run_dir, &unix_fd);
	if (r < 0) {
		return r;
	}
	*ret_endpoints = (struct endpoints){.tcp_fd = TAKE_FD(tcp_fd), .unix_fd = unix_fd};
	return 0;
}

void endpoints_remove(int run_dir_fd)
{
	unlinkat(run_dir_fd, SOCKET_FILE, 0);
	unlinkat(run_dir_fd, PORT_FILE, 0);
}
