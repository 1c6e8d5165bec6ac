/* SPDX-License-Identifier: MIT */
/*
 * With a socket unit the port is systemd's: it stays open while we restart, and whoever connects
 * meanwhile waits instead of being refused. libsystemd checks that the sockets are meant for this
 * process and makes them CLOEXEC, so no worker inherits one.
 *
 * One name, one socket: two would need two servers, and whoever wants another address of the same
 * machine has a proxy for that.
 */
#include "daemon/core/passed_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"

static void free_names(char **names)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		free(names[i]);
	}
	free(names);
}

static int check(int fd)
{
	int r = sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0);

	if (r < 0) {
		return r;
	}
	if (r == 0) {
		return -EINVAL;
	}
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int passed_socket_take(const char *name, int *ret_fd)
{
	CLEANUP(fd_closep) int taken = -1;
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (taken < 0 && str_equal(names[i], name)) {
			taken = fd;
			continue;
		}
		log_warning("the socket %s that systemd passes is not used; the one that is has "
			    "FileDescriptorName=%s",
			    names[i], name);
		fd_close(fd);
	}
	free_names(names);
	int r = n < 0 ? n : taken < 0 ? 0 : check(taken);
	if (r == 0) {
		*ret_fd = TAKE_FD(taken);
	}
	return r;
}
