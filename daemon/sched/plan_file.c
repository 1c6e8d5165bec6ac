/* SPDX-License-Identifier: MIT */
/*
 * Whoever reads a plan, fresh from prepare or saved by an earlier run, takes it for untrusted
 * input: the roots that it names by number must be there now.
 */
#include "daemon/sched/plan_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#include "common/util/buf.h"
#include "common/util/fd.h"

static bool plan_fits(const struct plan *plan, size_t n_pipes, size_t n_roots)
{
	if (plan->n_pipes != n_pipes) {
		return false;
	}
	for (size_t i = 0; i < plan->n_pipes; i++) {
		if (plan->pipes[i].root >= n_roots) {
			return false;
		}
	}
	return true;
}

int plan_file_read_text(int dir_fd, struct buf *text)
{
	CLEANUP(fd_closep)
	int fd = openat(dir_fd, PLAN_FILE_NAME, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd_read_all(fd, PLAN_MAX_BYTES, text);
}

int plan_file_read(int dir_fd, size_t n_pipes, size_t n_roots, struct plan **ret_plan)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(plan_freep) struct plan *plan = NULL;
	int r = plan_file_read_text(dir_fd, &text);

	if (r < 0) {
		return r;
	}
	r = plan_load(text.data != NULL ? text.data : "", text.len, &plan);
	if (r < 0) {
		return r;
	}
	if (plan->failure == JOB_REASON_OK && !plan_fits(plan, n_pipes, n_roots)) {
		return -EINVAL;
	}
	*ret_plan = TAKE_PTR(plan);
	return 0;
}
