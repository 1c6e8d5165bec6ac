/* SPDX-License-Identifier: MIT */
/*
 * Everything that can be known to go wrong with a target is found before the first row is read:
 * an hour's work must not end at a directory that was never writable. A target's directory is
 * opened once, beneath its root and through no link; from then on all work is relative to it, so
 * nothing that is moved meanwhile leads elsewhere.
 */
#include "daemon/sched/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util/fd.h"

#define DEFAULT_MODE	0640
#define PERMISSION_BITS 0777

static enum job_reason reason_of_path(int error)
{
	return error == ELOOP || error == EXDEV
		       ? JOB_REASON_PATH_DENIED
		       : failure_reason_of(error, JOB_REASON_OUTPUT_UNWRITABLE);
}

static void fail_directory(const struct target *target, int error, struct failure *ret_failure)
{
	if (error == ELOOP) { /* as prepare says it of an input */
		failure_set(ret_failure, JOB_REASON_PATH_DENIED,
			    "%s: there is a symbolic link in the path", target->absolute);
		return;
	}
	failure_set(ret_failure, reason_of_path(error),
		    "%s: cannot open the output's directory: %s", target->absolute,
		    strerror(error));
}

static int open_directory(struct output_file *file, int root_fd, struct failure *ret_failure)
{
	const struct target *target = file->target;

	file->dir_fd = fd_open_beneath(root_fd, target->directory, O_RDONLY | O_DIRECTORY, 0);
	if (file->dir_fd < 0) {
		fail_directory(target, -file->dir_fd, ret_failure);
		file->dir_fd = -1;
		return -EINVAL;
	}
	if (faccessat(file->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		failure_set(ret_failure, JOB_REASON_OUTPUT_UNWRITABLE,
			    "%s: cannot write to the output's directory: %s", target->absolute,
			    strerror(errno));
		return -EINVAL;
	}
	return 0;
}

/* What stands under the target's name, if anything, must be a plain file. */
static int look_at_target(struct output_file *file, bool must_be_new, struct failure *ret_failure)
{
	const struct target *target = file->target;

	if (strcmp(target->name, ".") == 0) {
		failure_set(ret_failure, JOB_REASON_OUTPUT_UNWRITABLE, "%s: is a directory",
			    target->absolute);
		return -EINVAL;
	}
	if (fstatat(file->dir_fd, target->name, &file->target_stat, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT) {
			return 0;
		}
		failure_set(ret_failure, reason_of_path(errno), "%s: %s", target->absolute,
			    strerror(errno));
		return -EINVAL;
	}
	file->target_exists = true;
	if (S_ISLNK(file->target_stat.st_mode)) {
		failure_set(ret_failure, JOB_REASON_PATH_DENIED, "%s: is a symbolic link",
			    target->absolute);
		return -EINVAL;
	}
	if (!S_ISREG(file->target_stat.st_mode)) {
		failure_set(ret_failure, JOB_REASON_OUTPUT_UNWRITABLE, "%s: is not a regular file",
			    target->absolute);
		return -EINVAL;
	}
	if (must_be_new) {
		failure_set(ret_failure, JOB_REASON_OUTPUT_EXISTS,
			    "%s: exists, and if_exists is \"fail\"", target->absolute);
		return -EINVAL;
	}
	return 0;
}

static int open_file(struct output_file *file, const struct pipe_spec *pipe, const int *root_fds,
		     struct failure *ret_failure)
{
	bool must_be_new = !file->target->is_errors &&
			   pipe->output.if_exists == OUTPUT_IF_EXISTS_FAIL;
	int r = open_directory(file, root_fds[file->target->root], ret_failure);

	return r < 0 ? r : look_at_target(file, must_be_new, ret_failure);
}

static int open_all(struct outputs *outputs, const struct job_spec *spec, const int *root_fds,
		    struct failure *ret_failure)
{
	struct failure later;
	int first_error = 0;

	for (size_t i = 0; i < outputs->n_files; i++) {
		struct output_file *file = &outputs->files[i];

		if (file->target == NULL) {
			continue;
		}
		int r = open_file(file, &spec->pipes[i / 2], root_fds,
				  first_error == 0 ? ret_failure : &later);
		first_error = first_error == 0 ? r : first_error;
	}
	return first_error;
}

int outputs_open(struct outputs *ret_outputs, const char *job_id, const struct job_spec *spec,
		 const struct target_list *targets, const int *root_fds,
		 struct failure *ret_failure)
{
	CLEANUP(outputs_deinit) struct outputs outputs = {.n_files = 2 * spec->n_pipes};

	outputs.files = calloc(outputs.n_files, sizeof(*outputs.files));
	if (outputs.files == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < outputs.n_files; i++) {
		struct output_file *file = &outputs.files[i];

		file->fd = -1;
		file->dir_fd = -1;
		file->target = target_list_find(targets, i / 2, i % 2 == 1);
		snprintf(file->temporary, sizeof(file->temporary), ".zp-%s-%zu.part", job_id, i);
		outputs_rejects_name(i / 2, file->rejects_name);
	}
	int first_error = open_all(&outputs, spec, root_fds, ret_failure);
	*ret_outputs = outputs;
	outputs = (struct outputs){0};
	return first_error;
}

static bool is_same_file(const struct output_file *file, const struct plan_identity *identity)
{
	return file->target_exists && file->target_stat.st_dev == identity->dev &&
	       file->target_stat.st_ino == identity->inode;
}

static int check_input(const struct output_file *file, const struct plan_file *input,
		       struct failure *ret_failure)
{
	if (!is_same_file(file, &input->identity)) {
		return 0;
	}
	failure_set(ret_failure, JOB_REASON_OUTPUT_UNWRITABLE,
		    "%s: is one of the job's own input files", file->target->absolute);
	return -EINVAL;
}

int outputs_check_inputs(const struct outputs *outputs, const struct plan *plan,
			 struct failure *ret_failure)
{
	for (size_t i = 0; i < outputs->n_files; i++) {
		if (!outputs->files[i].target_exists) {
			continue;
		}
		for (size_t p = 0; p < plan->n_pipes; p++) {
			for (size_t f = 0; f < plan->pipes[p].n_files; f++) {
				int r = check_input(&outputs->files[i], &plan->pipes[p].files[f],
						    ret_failure);
				if (r < 0) {
					return r;
				}
			}
		}
	}
	return 0;
}

static mode_t mode_of(const struct output_file *file, const struct pipe_spec *pipe)
{
	if (file->target_exists) {
		return file->target_stat.st_mode & PERMISSION_BITS;
	}
	if (!file->target->is_errors && pipe->output.mode >= 0) {
		return (mode_t)pipe->output.mode & PERMISSION_BITS;
	}
	return DEFAULT_MODE;
}

static int create_part(struct output_file *file, const struct pipe_spec *pipe,
		       struct failure *ret_failure)
{
	file->fd = openat(file->dir_fd, file->temporary,
			  O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	file->has_temporary = file->fd >= 0;
	if (file->fd < 0 || fchmod(file->fd, mode_of(file, pipe)) < 0) {
		failure_set(ret_failure, failure_reason_of(errno, JOB_REASON_OUTPUT_UNWRITABLE),
			    "%s: cannot create a temporary file beside it: %s",
			    file->target->absolute, strerror(errno));
		return -EINVAL;
	}
	return 0;
}

static int create_in_state(struct output_file *file, int job_dir_fd, struct failure *ret_failure)
{
	const char *name = file->rejects_name;

	file->fd = openat(job_dir_fd, name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
			  DEFAULT_MODE);
	if (file->fd < 0) {
		failure_set(ret_failure, failure_reason_of(errno, JOB_REASON_IO_ERROR),
			    "cannot create %s in the job's state directory: %s", name,
			    strerror(errno));
		return -EINVAL;
	}
	return 0;
}

int outputs_create(struct outputs *outputs, const struct job_spec *spec, int job_dir_fd,
		   struct failure *ret_failure)
{
	for (size_t i = 0; i < outputs->n_files; i++) {
		struct output_file *file = &outputs->files[i];
		int r = file->target == NULL ? create_in_state(file, job_dir_fd, ret_failure)
					     : create_part(file, &spec->pipes[i / 2], ret_failure);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

uint64_t outputs_accepted_end(const struct fold_state *states, size_t file)
{
	return file % 2 == 1 ? states[file / 2].err_end : states[file / 2].out_end;
}

static int reopen(struct output_file *file, int job_dir_fd, uint64_t inode, uint64_t min_bytes)
{
	bool is_in_state = file->target == NULL;
	struct stat st;

	file->fd = openat(is_in_state ? job_dir_fd : file->dir_fd,
			  is_in_state ? file->rejects_name : file->temporary,
			  O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (file->fd < 0) {
		return -errno;
	}
	if (fstat(file->fd, &st) < 0) {
		return -errno;
	}
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_ino != inode ||
	    (uint64_t)st.st_size < min_bytes) {
		return -ESTALE;
	}
	file->has_temporary = !is_in_state;
	return 0;
}

int outputs_reopen(struct outputs *outputs, int job_dir_fd, const uint64_t *inodes,
		   const struct fold_state *states)
{
	for (size_t i = 0; i < outputs->n_files; i++) {
		int r = reopen(&outputs->files[i], job_dir_fd, inodes[i],
			       outputs_accepted_end(states, i));

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

void outputs_close_files(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->n_files; i++) {
		outputs->files[i].fd = fd_close(outputs->files[i].fd);
	}
}

void outputs_rejects_name(size_t pipe, char ret_name[static OUTPUTS_NAME_SIZE])
{
	if (pipe == 0) {
		snprintf(ret_name, OUTPUTS_NAME_SIZE, "errors.jsonl");
	} else {
		snprintf(ret_name, OUTPUTS_NAME_SIZE, "errors-%zu.jsonl", pipe);
	}
}

void outputs_deinit(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->n_files && outputs->files != NULL; i++) {
		fd_close(outputs->files[i].fd);
		fd_close(outputs->files[i].dir_fd);
	}
	free(outputs->files);
	*outputs = (struct outputs){0};
}
