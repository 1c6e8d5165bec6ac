/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets. A name to listen on is resolved here, before the loop runs; the address is
 * reused, so that a restart does not wait for old connections. Of a socket file that is there
 * already, only connecting tells whether somebody still listens behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "daemon/http/server.h"

/* A burst of clients waits here while the loop does something else; the kernel caps it. */
enum { LISTEN_BACKLOG = 4096 };

/* Inherited by connections: a client that does not read keeps only that much in the kernel. */
enum { LISTEN_SEND_BUFFER_BYTES = 128 * 1024 };

enum { SOCKET_FLAGS = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK };

static int resolve(const char *host, uint16_t port, struct addrinfo **ret_addresses)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host != NULL && host[0] != '\0' ? host : NULL, service, &hints,
			ret_addresses);
	switch (r) {
	case 0:
		return 0;
	case EAI_SYSTEM:
		return -errno;
	case EAI_MEMORY:
		return -ENOMEM;
	default:
		return -EADDRNOTAVAIL;
	}
}

static int limit_send_buffer(int fd)
{
	const int n_bytes = LISTEN_SEND_BUFFER_BYTES;

	return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n_bytes, sizeof(n_bytes)) < 0 ? -errno : 0;
}

static int listen_on(const struct addrinfo *address, int *ret_fd)
{
	CLEANUP(fd_closep) int fd = socket(address->ai_family, SOCKET_FLAGS, 0);
	const int on = 1;

	if (fd < 0) {
		return -errno;
	}
	int r = limit_send_buffer(fd);
	if (r < 0) {
		return r;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		return -errno;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int port_of(int fd, uint16_t *ret_port)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
		return -errno;
	}
	*ret_port = ntohs(address.ss_family == AF_INET6
				  ? ((struct sockaddr_in6 *)&address)->sin6_port
				  : ((struct sockaddr_in *)&address)->sin_port);
	return 0;
}

int server_listen_tcp(const char *host, uint16_t port, int *ret_fd, uint16_t *ret_port)
{
	CLEANUP(fd_closep) int fd = -1;
	struct addrinfo *addresses, *address;
	int r = resolve(host, port, &addresses);

	if (r < 0) {
		return r;
	}
	r = -EADDRNOTAVAIL;
	for (address = addresses; address != NULL && fd < 0; address = address->ai_next) {
		r = listen_on(address, &fd);
	}
	freeaddrinfo(addresses);
	if (r == 0) {
		r = port_of(fd, ret_port);
	}
	if (r == 0) {
		*ret_fd = TAKE_FD(fd);
	}
	return r;
}

int server_adopt_tcp(int fd, uint16_t *ret_port)
{
	int r = limit_send_buffer(fd);

	return r < 0 ? r : port_of(fd, ret_port);
}

/* 0: nobody listens and the name is free now; -EADDRINUSE: somebody does. */
static int clear_name(const struct sockaddr_un *address)
{
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
	struct stat status;

	if (fd < 0) {
		return -errno;
	}
	if (lstat(address->sun_path, &status) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(status.st_mode)) {
		return -EEXIST;
	}
	/* EAGAIN is a full backlog: somebody is there. */
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno == EAGAIN) {
		return -EADDRINUSE;
	}
	if (errno != ECONNREFUSED && errno != ENOENT) {
		return -errno;
	}
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

int server_listen_unix(const char *path, int *ret_fd)
{
	CLEANUP(fd_closep) int fd = -1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r;

	if (strlen(path) >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	r = clear_name(&address);
	if (r < 0) {
		return r;
	}
	fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
	/* The mode is taken from the socket when its name is made: never open to more for a moment.
	 */
	if (fd < 0 || fchmod(fd, 0660) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, 0660) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		return -errno;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}
