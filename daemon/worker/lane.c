/* SPDX-License-Identifier: MIT */

/*
 * An input is opened by the path and below the root that the plan names, and must be the very file
 * that `prepare` measured: another one under the same name would give rows that no account holds.
 */

#include "daemon/worker/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/util/fd.h"

static enum job_reason reason_of_open(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return JOB_REASON_INPUT_CHANGED;
	case ELOOP:
	case EXDEV:
		return JOB_REASON_PATH_DENIED;
	case EACCES:
	case EPERM:
		return JOB_REASON_INPUT_UNREADABLE;
	default:
		return JOB_REASON_IO_ERROR;
	}
}

static int check_identity(struct worker *worker, int fd, const struct plan_file *file)
{
	struct plan_identity now;
	int r = plan_identity_of(fd, &now);

	if (r < 0) {
		return report_set(&worker->report, JOB_REASON_IO_ERROR, "%s: %s", file->path,
				  strerror(-r));
	}
	if (!plan_identity_equal(&now, &file->identity)) {
		return report_set(&worker->report, JOB_REASON_INPUT_CHANGED,
				  "%s was changed or replaced while the job ran", file->path);
	}
	return 0;
}

int lane_open_input(struct lane *lane, struct worker *worker, size_t file_index)
{
	const struct plan_file *file = &lane->chain.pipe->files[file_index];

	if (lane->input_fd < 0 || lane->input_file != file_index) {
		CLEANUP(fd_closep)
		int fd = fd_open_beneath(lane->root_fd, file->path,
					 O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

		if (fd < 0) {
			return report_set(&worker->report, reason_of_open(-fd), "%s: %s",
					  file->path, strerror(-fd));
		}
		if (check_identity(worker, fd, file) < 0) {
			return -1;
		}
		fd_close(lane->input_fd);
		lane->input_fd = TAKE_FD(fd);
		lane->input_file = file_index;
	}
	reader_open(&worker->reader, lane->input_fd, file->identity.size_bytes);
	return 0;
}

int lane_write(struct lane *lane, struct worker *worker, bool is_errors, const struct buf *bytes,
	       uint64_t offset)
{
	int fd = is_errors ? lane->errors_fd : lane->rows_fd;
	const char *path = is_errors ? lane->spec->errors.path : lane->spec->output.path;

	if (bytes->len == 0) {
		return 0;
	}
	int r = fd_pwrite_all(fd, bytes->data, bytes->len, (off_t)offset);
	if (r < 0) {
		bool is_full = r == -ENOSPC || r == -EDQUOT || r == -EFBIG;

		return report_set(&worker->report,
				  is_full ? JOB_REASON_NO_SPACE : JOB_REASON_IO_ERROR,
				  "cannot write %s: %s",
				  path != NULL ? path : "the job's rejected rows", strerror(-r));
	}
	worker->progress.bytes_written += (int64_t)bytes->len;
	return 0;
}

void lane_deinit(struct lane *lane)
{
	lane->pipe = convert_pipe_free(lane->pipe);
	lane->input_fd = fd_close(lane->input_fd);
}
