/* SPDX-License-Identifier: MIT */
/*
 * Ends that could not be written down, for want of room most likely. The job is shown as it ended,
 * and its result is tried again now and then, one job at a time, until it is on disk; only then
 * does the receipt move and do the counters' base take it in. So a daemon that ends before finds a
 * job that has not ended: it goes on with its commit.json, or runs again from its input.
 */
#include "daemon/sched/unsaved.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/batch.h"
#include "daemon/sched/post.h"
#include "daemon/sched/scheduler_private.h"

static struct job *find_unsaved(const struct scheduler *scheduler)
{
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		struct job *job = scheduler->jobs.items[i];

		/* While its run tidies up, the result is still the run's. */
		if (job->unsaved == JOB_UNSAVED && job->result != NULL) {
			return job;
		}
	}
	return NULL;
}

static void settle(struct scheduler *scheduler, struct job *job)
{
	const struct sched_env *env = &scheduler->env;
	bool is_done = job->result->state == JOB_STATE_COMPLETED;

	job->unsaved = JOB_SAVED;
	if (job->result->receipt != NULL) {
		post_rename(env->options.storage, env->active_dir_fd,
			    is_done ? env->done_dir_fd : env->failed_dir_fd, job->result->receipt);
	}
	history_add(scheduler->history, job);
	retention_wake(scheduler);
}

static void on_saved(void *userdata, int status)
{
	struct scheduler *scheduler = userdata;
	struct job *job = TAKE_PTR(scheduler->saving_job);

	scheduler->saving = batch_free(scheduler->saving);
	scheduler->saving_dir_fd = fd_close(scheduler->saving_dir_fd);
	if (status < 0) {
		scheduler->next_saving_ns = clock_monotonic_ns() +
					    UNSAVED_RETRY_SECONDS * CLOCK_NS_PER_SEC;
		log_job(LOG_LEVEL_ERROR, job->id, -1,
			"its result still cannot be written (%s); trying again in %d seconds",
			strerror(-status), UNSAVED_RETRY_SECONDS);
		return;
	}
	log_job(LOG_LEVEL_NOTICE, job->id, -1, "its result is written at last");
	settle(scheduler, job);
	unsaved_retry(scheduler);
}

static int start_saving(struct scheduler *scheduler, struct job *job)
{
	const struct scheduler_options *options = &scheduler->env.options;
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(fd_closep)
	int dir_fd = openat(options->jobs_dir_fd, job->id,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir_fd < 0) {
		return -errno;
	}
	job_result_render(job->result, &text);
	int r = buf_error(&text);
	if (r == 0) {
		r = batch_new(scheduler->env.loop, options->storage, job->id, on_saved, scheduler,
			      &scheduler->saving);
	}
	if (r < 0) {
		return r;
	}
	scheduler->saving_job = job;
	scheduler->saving_dir_fd = TAKE_FD(dir_fd);
	batch_write(scheduler->saving, scheduler->saving_dir_fd, "result.json", text.data,
		    text.len);
	batch_seal(scheduler->saving);
	return 0;
}

bool unsaved_retry(struct scheduler *scheduler)
{
	struct job *job = find_unsaved(scheduler);
	bool is_time = scheduler->saving == NULL &&
		       clock_monotonic_ns() >= scheduler->next_saving_ns;
	int r = job != NULL && is_time ? start_saving(scheduler, job) : 0;

	if (r == -ENOENT) {
		settle(scheduler, job); /* its directory is gone: no start will find it */
	} else if (r < 0) {
		log_job(LOG_LEVEL_WARNING, job->id, -1, "cannot write its result: %s",
			strerror(-r));
	}
	return job != NULL;
}
