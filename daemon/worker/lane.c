/* SPDX-License-Identifier: MIT */

/*
 * An input is opened by the path and below the root that the plan names, and must be the very file
 * that `prepare` measured: another one under the same name would give rows that no account holds.
 *
 * Landlock's rules are tied to files, not to names. So what was put in an input's place while the
 * job ran is refused by the kernel, as if it were a matter of permissions.
 *
 * Each rule costs a worker some 10 us at its start. Where a pipe has thousands of files, every one
 * of its workers would have to pay for all of them: there their folders are allowed instead.
 */

#include "daemon/worker/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"

#define MAX_RULES_FOR_FILES 256
#define ALLOCATE_STEP_BYTES ((uint64_t)16 << 20)

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

static int fail_open(struct worker *worker, const struct plan_file *file, int error)
{
	return report_set(&worker->report, reason_of_open(error), "%s: %s", file->path,
			  strerror(error));
}

static size_t folder_len(const struct plan_file *file)
{
	const char *slash = strrchr(file->path, '/');

	return slash != NULL ? (size_t)(slash - file->path) : 0;
}

static bool is_same_folder(const struct plan_file *a, const struct plan_file *b)
{
	size_t len = folder_len(a);

	return len == folder_len(b) && memcmp(a->path, b->path, len) == 0;
}

/* Opens the file only to look at it, for which no right to read is needed. */
static int look_at_input(const struct lane *lane, struct worker *worker,
			 const struct plan_file *file, int *ret_fd)
{
	CLEANUP(fd_closep) int fd = fd_open_beneath(lane->root_fd, file->path, O_PATH, 0);

	if (fd < 0) {
		return fail_open(worker, file, -fd);
	}
	if (check_identity(worker, fd, file) < 0) {
		return -1;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int allow_files(const struct lane *lane, struct worker *worker,
		       const struct restriction *restriction)
{
	const struct plan_pipe *pipe = lane->chain.pipe;

	for (size_t i = 0; i < pipe->n_files; i++) {
		CLEANUP(fd_closep) int fd = -1;

		if (look_at_input(lane, worker, &pipe->files[i], &fd) < 0 ||
		    restrict_allow(restriction, fd, &worker->report) < 0) {
			return -1;
		}
	}
	return 0;
}

static int allow_folder(const struct lane *lane, struct worker *worker,
			const struct restriction *restriction, const struct plan_file *file)
{
	size_t len = folder_len(file);
	CLEANUP(free_p) char *folder = len == 0 ? strdup(".") : strndup(file->path, len);

	if (folder == NULL) {
		return fail_open(worker, file, ENOMEM);
	}
	CLEANUP(fd_closep) int fd = fd_open_beneath(lane->root_fd, folder, O_PATH, 0);
	return fd < 0 ? fail_open(worker, file, -fd)
		      : restrict_allow(restriction, fd, &worker->report);
}

/* The files are sorted, so those of one folder mostly follow one another. */
static int allow_folders(const struct lane *lane, struct worker *worker,
			 const struct restriction *restriction)
{
	const struct plan_pipe *pipe = lane->chain.pipe;

	for (size_t i = 0; i < pipe->n_files; i++) {
		if (i > 0 && is_same_folder(&pipe->files[i - 1], &pipe->files[i])) {
			continue;
		}
		if (allow_folder(lane, worker, restriction, &pipe->files[i]) < 0) {
			return -1;
		}
	}
	return 0;
}

int lane_allow_inputs(const struct lane *lane, struct worker *worker,
		      const struct restriction *restriction)
{
	if (!restrict_has_rules(restriction)) {
		return 0;
	}
	return lane->chain.pipe->n_files <= MAX_RULES_FOR_FILES
		       ? allow_files(lane, worker, restriction)
		       : allow_folders(lane, worker, restriction);
}

/* Whether it is the file itself that is refused, or another one in its place. */
static int fail_denied(const struct lane *lane, struct worker *worker, const struct plan_file *file)
{
	CLEANUP(fd_closep) int fd = -1;

	return look_at_input(lane, worker, file, &fd) < 0 ? -1 : fail_open(worker, file, EACCES);
}

int lane_open_input(struct lane *lane, struct worker *worker, size_t file_index)
{
	const struct plan_file *file = &lane->chain.pipe->files[file_index];

	if (lane->input_fd < 0 || lane->input_file != file_index) {
		CLEANUP(fd_closep)
		int fd = fd_open_beneath(lane->root_fd, file->path,
					 O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

		if (fd == -EACCES) {
			return fail_denied(lane, worker, file);
		}
		if (fd < 0) {
			return fail_open(worker, file, -fd);
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

/*
 * Whoever writes over a step's border allocates the blocks of that step. The writes that follow
 * find them, and hold the inode's lock, for which all workers of a pipe queue, for an eighth less
 * (ext4; tests/bench/README.md). A small output never comes to a border.
 *
 * The file's size stays as it is: the truncation before the commit gives back what is too much.
 * That a step cannot be allocated says nothing yet; a write that then fails does.
 */
static void allocate_ahead(int fd, uint64_t offset, size_t len)
{
	uint64_t before = offset == 0 ? 0 : (offset - 1) / ALLOCATE_STEP_BYTES;
	uint64_t step = (offset + len - 1) / ALLOCATE_STEP_BYTES;

	if (step > before) {
		(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)(step * ALLOCATE_STEP_BYTES),
				(off_t)ALLOCATE_STEP_BYTES);
	}
}

int lane_write(struct lane *lane, struct worker *worker, bool is_errors, const struct buf *bytes,
	       uint64_t offset)
{
	int fd = is_errors ? lane->errors_fd : lane->rows_fd;
	const char *path = is_errors ? lane->spec->errors.path : lane->spec->output.path;

	if (bytes->len == 0) {
		return 0;
	}
	allocate_ahead(fd, offset, bytes->len);
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
