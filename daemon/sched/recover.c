/* SPDX-License-Identifier: MIT */
/*
 * A job that was COMMITTING when the daemon died is not run again: its rows are all there. The
 * record in commit.json names each temporary file with its inode; what still stands under that
 * name is published now, in the same order, and of what was published before only the directory's
 * sync is repeated. As in commit_recover.c, the device is not compared: its number may change at a
 * reboot.
 *
 * Whatever keeps them from being looked at (rights, a disk that answers with errors, descriptors)
 * says nothing about the rows: the job waits and looks again, until it can, is cancelled, or the
 * daemon stops. Meanwhile its targets are its own, and its counts are counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/run_private.h"

#define LOOK_AGAIN_NS CLOCK_NS_PER_SEC

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static int open_dir_of(const char *path, int root_fd)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free_p)
	char *directory = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path));

	if (directory == NULL) {
		return -ENOMEM;
	}
	return fd_open_beneath(root_fd, directory, O_RDONLY | O_DIRECTORY, 0);
}

static int fill_names(struct commit_output *output, const struct commit_file *file)
{
	output->temporary_name = strdup(last_component(file->temporary));
	output->target_name = strdup(last_component(file->target));
	output->temporary_path = strdup(file->temporary);
	output->target_path = strdup(file->target);
	return output->temporary_name == NULL || output->target_name == NULL ||
			       output->temporary_path == NULL || output->target_path == NULL
		       ? -ENOMEM
		       : 0;
}

static bool is_file(int fd, const struct commit_file *file)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == file->inode &&
	       (uint64_t)st.st_size == file->size_bytes;
}

/* It was renamed, but perhaps the directory was not synced any more: the commit repeats that. */
static int open_renamed(const struct commit_file *file, struct output_file *opened)
{
	opened->fd = openat(opened->dir_fd, last_component(file->target),
			    O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (opened->fd < 0) {
		return -errno;
	}
	return is_file(opened->fd, file) ? 0 : -ESTALE;
}

/* Returns 1 if the file is still to be renamed, 0 if it has been, or -errno. */
static int open_file(struct run *run, const struct commit_file *file, struct output_file *opened)
{
	const struct scheduler_options *options = &run->env->options;

	opened->fd = -1;
	opened->dir_fd = -1;
	if (file->root >= options->n_roots) {
		return -EINVAL;
	}
	opened->dir_fd = open_dir_of(file->target, options->root_fds[file->root]);
	if (opened->dir_fd < 0) {
		return opened->dir_fd;
	}
	opened->fd = openat(opened->dir_fd, last_component(file->temporary),
			    O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (opened->fd < 0) {
		return errno == ENOENT ? open_renamed(file, opened) : -errno;
	}
	opened->has_temporary = true;
	snprintf(opened->temporary, sizeof(opened->temporary), "%s",
		 last_component(file->temporary));
	return is_file(opened->fd, file) ? 1 : -ESTALE;
}

static int add_output(struct run *run, const struct commit_file *file, struct output_file *opened)
{
	int r = open_file(run, file, opened);

	if (r < 0) {
		return r;
	}
	struct commit_output *output = &run->commit_outputs[run->commit_options.n_outputs++];
	*output = (struct commit_output){
		.root = file->root,
		.fd = opened->fd,
		.dir_fd = opened->dir_fd,
		.size_bytes = file->size_bytes,
		.is_errors = file->is_errors,
		.is_noreplace = file->is_noreplace,
		.is_published = true,
		.is_in_place = r == 0,
	};
	return fill_names(output, file);
}

static int open_outputs(struct run *run)
{
	const struct commit_record *record = run->recovered;

	run->outputs.files = calloc(record->n_files + 1, sizeof(*run->outputs.files));
	run->commit_outputs = calloc(record->n_files + 1, sizeof(*run->commit_outputs));
	if (run->outputs.files == NULL || run->commit_outputs == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < record->n_files; i++) {
		struct output_file *file = &run->outputs.files[run->outputs.n_files++];
		int r = add_output(run, &record->files[i], file);

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int go_on(struct run *run)
{
	const struct scheduler_options *options = &run->env->options;
	int r = commit_recover(run->recovered, options->root_fds, options->n_roots);

	if (r >= 0) {
		r = open_outputs(run);
	}
	if (r == 0) {
		run_reserve_sequence(run);
		run->result->finish_sequence = run->job->finish_sequence;
		r = run_publish(run);
	}
	return r;
}

static void give_up(struct run *run, const char *why)
{
	struct failure failure;

	failure_set(&failure, JOB_REASON_IO_ERROR,
		    "the daemon ended while the outputs were published, and %s", why);
	run_abandon(run, &failure);
}

static void look(struct run *run)
{
	int r = go_on(run);

	if (r == 0) {
		return;
	}
	run_drop_outputs(run); /* nothing of it must be removed */
	if (r == -ENOENT) {
		give_up(run, "they are not there any more");
		return;
	}
	if (run->look_error != r) {
		run->look_error = r;
		log_job(LOG_LEVEL_ERROR, run->job->id, -1,
			"was being published when the daemon ended, and its outputs cannot be "
			"looked at: %s; trying again each second",
			strerror(-r));
	}
	if (loop_timer_arm(run->timer, clock_monotonic_ns() + LOOK_AGAIN_NS) < 0) {
		give_up(run, strerror(-r));
	}
}

static void on_timer(void *userdata, int64_t now_ns)
{
	look(userdata);
}

static void on_start(void *userdata)
{
	struct run *run = userdata;

	run->defer = loop_source_free(run->defer);
	run->phase = RUN_PHASE_SETTLING;
	run->commit_options.is_recorded = true;
	look(run);
}

int run_new_recovered(struct sched_env *env, struct job *job, struct commit_record *record,
		      const struct run_callbacks *callbacks, struct run **ret_run)
{
	struct run *run = NULL;
	int r = run_make(env, job, NULL, callbacks, &run);

	if (r < 0) {
		return r;
	}
	job_result_free(run->result);
	run->result = TAKE_PTR(record->result);
	run->recovered = record;
	if ((r = loop_add_timer(env->loop, on_timer, run, &run->timer)) < 0 ||
	    (r = loop_add_defer(env->loop, on_start, run, &run->defer)) < 0) {
		run->recovered = NULL;
		record->result = TAKE_PTR(run->result);
		run_free(run);
		return r;
	}
	*ret_run = run;
	return 0;
}
