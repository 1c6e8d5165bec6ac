/* SPDX-License-Identifier: MIT */
/*
 * A run that goes on where an earlier one was cut off. All who worked for that one are dead: the
 * lock has proved it. First everything that can be wrong with what it left is looked at, without a
 * change to any of it; whatever is, the job runs again from its input. Only inputs that have
 * changed fail it: a part of the rows would be the old ones'.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/plan_file.h"
#include "daemon/sched/resume.h"
#include "daemon/sched/run_private.h"

/* --- what there is ---------------------------------------------------------------------------- */

static int open_plan(struct run *run)
{
	const struct resume *resume = run->job->resume;
	int dir_fd = run->job_dir_fd;

	if (resume->is_live) {
		run->run_dir_fd = openat(run->env->options.run_jobs_dir_fd, run->job->id,
					 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (run->run_dir_fd < 0) {
			return -errno;
		}
		dir_fd = run->run_dir_fd;
	}
	int r = plan_file_read(dir_fd, run->job->spec->n_pipes, run->env->options.n_roots,
			       &run->plan);
	if (r < 0) {
		return r;
	}
	uint64_t expected = resume->is_live ? resume->account.plan_checksum
					    : resume->account.saved_plan_checksum;
	return run->plan->failure == JOB_REASON_OK && run->plan->checksum == expected ? 0 : -ESTALE;
}

static int open_all(struct run *run)
{
	const struct account *account = &run->job->resume->account;

	if (account->n_lanes != run->job->spec->n_pipes) {
		return -ESTALE;
	}
	int r = open_plan(run);
	if (r == 0) {
		r = outputs_reopen(&run->outputs, run->job_dir_fd, account->inodes, account->lanes);
	}
	if (r == 0) {
		r = lanes_init(&run->lanes, run->plan, run->job->spec);
	}
	return r < 0 ? r : lanes_resume(&run->lanes, account->lanes, account->n_lanes);
}

/* As if nothing had been opened. The files are still to be removed. */
static void forget_all(struct run *run)
{
	run->run_dir_fd = fd_close(run->run_dir_fd);
	run->plan = plan_free(run->plan);
	lanes_deinit(&run->lanes);
	outputs_close_files(&run->outputs);
}

/* --- going on --------------------------------------------------------------------------------- */

static int open_old_table(const struct run *run, struct chunk_table *ret_table)
{
	CLEANUP(fd_closep)
	int fd = openat(run->run_dir_fd, RUN_TABLE_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : chunk_table_map(fd, ret_table);
}

static void go_on(struct run *run)
{
	const struct resume *resume = run->job->resume;
	struct chunk_table old_table = {0};
	bool has_table = resume->is_live && resume->is_same_build &&
			 open_old_table(run, &old_table) == 0;
	struct fold_state sum = run_accepted(run);

	run->is_resumed = true;
	run->saved_plan_checksum = resume->account.saved_plan_checksum;
	run->n_checkpointed = sum.n_folded;
	log_job(LOG_LEVEL_NOTICE, run->job->id, -1, "goes on after %" PRIu64 " rows, from %s",
		sum.rows,
		!resume->is_live	? "the last checkpoint"
		: resume->is_same_build ? "where it was"
					: "the rows that another build has finished");
	run_convert(run, has_table ? &old_table : NULL);
	chunk_table_unmap(&old_table);
}

/* For the workers: the devices may have new numbers. */
static int write_plan(struct run *run)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(fd_closep)
	int fd = openat(run->run_dir_fd, PLAN_FILE_NAME,
			O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0640);

	plan_render(run->plan, &text);
	if (fd < 0 || buf_error(&text) < 0) {
		return fd < 0 ? -errno : buf_error(&text);
	}
	run->plan->checksum = plan_checksum(text.data, text.len);
	return fd_write_all(fd, text.data, text.len);
}

static void on_tidied(void *userdata, int status)
{
	struct run *run = userdata;
	int r = status;

	run->batch = batch_free(run->batch);
	run->is_sync_lost = status < 0;
	if (run->failure.reason != JOB_REASON_OK || run->is_stopping) {
		run_close(run);
		return;
	}
	if (r == 0 && !run->job->resume->is_live) {
		r = run_make_run_dir(run);
		if (r == 0) {
			r = write_plan(run);
		}
	}
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL,
			      "cannot go on with what the run before has left", r);
	} else {
		go_on(run);
	}
}

/*
 * Rows behind the watermark are of no use: cut off, and the runtime files of another boot too. The
 * table that tells of those rows goes first: whoever comes after a kill must not believe it.
 */
static void tidy(struct run *run)
{
	const struct resume *resume = run->job->resume;

	if (resume->is_live && unlinkat(run->run_dir_fd, RUN_TABLE_NAME, 0) < 0 &&
	    errno != ENOENT) {
		run_fail_step(run, JOB_REASON_INTERNAL,
			      "cannot remove the chunk table of another build", -errno);
		return;
	}
	int r = batch_new(run->env->loop, run->storage, run->job->id, on_tidied, run, &run->batch);

	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL,
			      "cannot go on with what the run before has left", r);
		return;
	}
	if (!resume->is_live) {
		batch_remove_tree(run->batch, run->env->options.run_jobs_dir_fd, run->job->id);
	}
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		batch_finish_file(run->batch, run->outputs.files[i].fd,
				  outputs_accepted_end(run->lanes.states, i));
	}
	batch_seal(run->batch);
}

static void on_inputs_checked(void *userdata, const struct failure *failure)
{
	struct run *run = userdata;
	const struct resume *resume = run->job->resume;
	struct failure fault = *failure;

	run->input_check = input_check_free(run->input_check);
	if (fault.reason != JOB_REASON_OK) {
		run_abandon(run, &fault);
	} else if (resume->is_live && resume->is_same_build) {
		go_on(run);
	} else {
		tidy(run);
	}
}

bool run_resume(struct run *run)
{
	int r = open_all(run);

	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot open what the run before has left",
			      r);
		return true;
	}
	if (r < 0) {
		log_job(LOG_LEVEL_WARNING, run->job->id, -1,
			"what the run before has left cannot be gone on with (%s); it runs again "
			"from its input",
			strerror(-r));
		forget_all(run);
		return false;
	}
	struct input_check_options options = {
		.loop = run->env->loop,
		.plan = run->plan,
		.root_fds = run->env->options.root_fds,
		.is_other_boot = !run->job->resume->is_live,
		.fn = on_inputs_checked,
		.userdata = run,
	};

	run->phase = RUN_PHASE_RESUMING;
	run->account_sequence = run->job->resume->account.sequence;
	r = input_check_start(&options, &run->input_check);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot check the inputs", r);
	}
	return true;
}
