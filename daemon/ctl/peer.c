/* SPDX-License-Identifier: MIT */
/*
 * Asked of the kernel, not of the daemon: it is true of one that answers nothing, and of whatever
 * else sits on that path. A full backlog must not make us wait, so the socket does not block.
 */
#include "daemon/ctl/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "common/util/fd.h"

int peer_of_socket(const char *path, struct ucred *ret)
{
	CLEANUP(fd_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(*ret);

	if (fd < 0) {
		return -errno;
	}
	if (strlen(path) >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		return -errno;
	}
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0 ? -errno : 0;
}
