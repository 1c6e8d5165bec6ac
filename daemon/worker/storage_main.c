/* SPDX-License-Identifier: MIT */
/*
 * One request after the other, each answered before the next is read. When the supervisor closes
 * its end, what still lies in the socket is no longer wanted: it is left undone, so that a storage
 * that was freed touches nothing more after its request in work.
 *
 * It parses nothing, but it is who replaces and removes files. So it is confined, too: to the
 * folders below which the daemon has any.
 */
#include "daemon/worker/storage_main.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/model/worker_protocol.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "daemon/worker/report.h"
#include "daemon/worker/restrict.h"
#include "daemon/worker/storage_ops.h"

struct received {
	struct storage_request request;
	int fds[STORAGE_MAX_FDS];
	size_t n_fds;
};

static void received_close(struct received *received)
{
	for (size_t i = 0; i < received->n_fds; i++) {
		received->fds[i] = fd_close(received->fds[i]);
	}
	received->n_fds = 0;
}

static void take_fds(struct msghdr *message, struct received *received)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
		return;
	}
	received->n_fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(received->fds, CMSG_DATA(header), received->n_fds * sizeof(int));
}

/* Returns 1 and a request, 0 at the end of the file, or -errno. */
static int receive(int socket_fd, struct received *ret_received)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * STORAGE_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = &ret_received->request,
			    .iov_len = sizeof(ret_received->request)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	do {
		n = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	ret_received->n_fds = 0;
	if (n <= 0) {
		return n < 0 ? -errno : 0;
	}
	take_fds(&message, ret_received);
	return n == sizeof(ret_received->request) ? 1 : -EPROTO;
}

static bool is_hung_up(int socket_fd)
{
	struct pollfd pollfd = {.fd = socket_fd};
	return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLHUP | POLLERR));
}

static void carry_out(struct received *received, struct storage_reply *reply)
{
	*reply = (struct storage_reply){.cookie = received->request.cookie};
	if (received->n_fds != received->request.n_fds) {
		reply->status = -EMFILE; /* the kernel drops what has no room in our table */
		return;
	}
	reply->status = storage_ops_run(&received->request, received->fds, reply);
}

static int serve(int socket_fd)
{
	for (;;) {
		struct received received;
		struct storage_reply reply;
		int r = receive(socket_fd, &received);
		if (r <= 0 || is_hung_up(socket_fd)) {
			received_close(&received);
			return r;
		}
		carry_out(&received, &reply);
		received_close(&received);
		if (send(socket_fd, &reply, sizeof(reply), MSG_NOSIGNAL) < 0) {
			return errno == EPIPE ? 0 : -errno;
		}
	}
}

/* The folders are not needed any more once they are allowed. */
static int lock_in(uint64_t n_folders, struct report *report)
{
	CLEANUP(restrict_deinit) struct restriction restriction;

	if (restrict_init(SYSCALL_FILTER_STORAGE, &restriction, report) < 0) {
		return -1;
	}
	for (uint64_t i = 0; i < n_folders; i++) {
		CLEANUP(fd_closep) int fd = STORAGE_FD_FOLDERS + (int)i;

		if (restrict_allow(&restriction, fd, report) < 0) {
			return -1;
		}
	}
	return restrict_enter(&restriction, report);
}

int storage_main(int n_args, char *const *args)
{
	/* Modes are as the requests say. A lease that is broken must not kill (SIGIO does). */
	umask(0);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	uint64_t n_folders;
	struct report report;
	if (n_args != 1 || num_parse_u64(args[0], &n_folders) < 0 ||
	    sigaction(SIGIO, &ignore, NULL) < 0) {
		return WORKER_EXIT_USAGE;
	}
	if (lock_in(n_folders, &report) < 0) {
		log_error("storage: %s", report.message);
		return WORKER_EXIT_USAGE;
	}
	int r = serve(STORAGE_FD_SOCKET);
	if (r < 0 && r != -ECONNRESET) {
		log_error("storage: %s on the supervisor's socket", strerror(-r));
		return WORKER_EXIT_USAGE;
	}
	return WORKER_EXIT_OK;
}
