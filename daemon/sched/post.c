/* SPDX-License-Identifier: MIT */
/*
 * No state is kept for a request, so there is nothing to free when the daemon ends first.
 */
#include "daemon/sched/post.h"

#include <string.h>

#include "common/util/fd.h"
#include "common/util/log.h"

#define FILE_MODE 0640

static void on_done(void *userdata, const struct storage_reply *reply)
{
	if (reply->status < 0) {
		log_warning("storage: cannot tidy up: %s", strerror(-reply->status));
	}
}

static void post(struct storage *storage, enum storage_op op, const char *name, const char *to_name,
		 const int *fds, uint32_t n_fds)
{
	struct storage_request request;
	int r = storage_request_init(&request, op, name, to_name);

	if (r == 0) {
		request.n_fds = n_fds;
		request.mode = FILE_MODE;
		r = storage_submit(storage, &request, fds, on_done, NULL);
	}
	if (r < 0) {
		log_warning("storage: %s: %s", name, strerror(-r));
	}
}

void post_unlink(struct storage *storage, int dir_fd, const char *name)
{
	post(storage, STORAGE_UNLINK, name, NULL, &dir_fd, 1);
}

void post_remove_tree(struct storage *storage, int dir_fd, const char *name)
{
	post(storage, STORAGE_REMOVE_TREE, name, NULL, &dir_fd, 1);
}

void post_rename(struct storage *storage, int from_fd, int to_fd, const char *name)
{
	post(storage, STORAGE_RENAME, name, name, (int[]){from_fd, to_fd}, 2);
}

void post_write(struct storage *storage, int dir_fd, const char *name, const void *data, size_t len)
{
	CLEANUP(fd_closep) int memfd = fd_memfd(name, data, len);

	if (memfd < 0) {
		log_warning("storage: %s: %s", name, strerror(-memfd));
		return;
	}
	post(storage, STORAGE_WRITE_FILE, name, NULL, (int[]){dir_fd, memfd}, 2);
}
