/* SPDX-License-Identifier: MIT */
/*
 * What happens to jobs after their end. A job's directory is its share of the counters until the
 * base that includes it is on disk; only then may it be removed, however old or unwanted it is. A
 * job that was forgotten is hidden at once and removed as soon as that is so.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/post.h"
#include "daemon/sched/scheduler_private.h"
#include "daemon/sched/unsaved.h"

#define SAVE_DELAY_NS	  (1 * CLOCK_NS_PER_SEC)
#define MAX_SLEEP_SECONDS 60

static bool is_due(const struct scheduler *scheduler, const struct job *job, int64_t now_ns)
{
	int64_t age_ns = now_ns - job->result->finished_at_ns;

	return job->is_forgotten || age_ns >= scheduler->env.options.retention_ns;
}

/*
 * The spec goes first: should the removal be cut off, a job without spec and result is removed by
 * the next start, but one that has only lost its result would run again.
 */
static void remove_files(const struct scheduler_options *options, const struct job *job)
{
	CLEANUP(fd_closep)
	int dir_fd = openat(options->jobs_dir_fd, job->id,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir_fd >= 0) {
		post_unlink(options->storage, dir_fd, "spec.json");
	}
	post_remove_tree(options->storage, options->jobs_dir_fd, job->id);
}

/* Returns whether a job that is due must wait for the base. */
static bool remove_due(struct scheduler *scheduler)
{
	int64_t now_ns = clock_realtime_ns();
	bool must_wait = false;

	for (size_t i = scheduler->jobs.n_items; i-- > 0;) {
		struct job *job = scheduler->jobs.items[i];

		if (job->result == NULL || job->run != NULL || job->unsaved != JOB_SAVED ||
		    !is_due(scheduler, job, now_ns)) {
			continue;
		}
		if (!history_is_safe_without(scheduler->history, job)) {
			must_wait = true;
			continue;
		}
		remove_files(&scheduler->env.options, job);
		log_job(LOG_LEVEL_DEBUG, job->id, -1, "removed: %s",
			job->is_forgotten ? "forgotten" : "older than the retention");
		job_list_remove(&scheduler->jobs, job);
		job_free(job);
	}
	return must_wait;
}

static void on_housekeeping(void *userdata, int64_t now_ns)
{
	struct scheduler *scheduler = userdata;

	history_save(scheduler->history);
	bool must_wait = remove_due(scheduler);
	int64_t delay_ns = MIN(MAX_SLEEP_SECONDS * CLOCK_NS_PER_SEC,
			       MAX(scheduler->env.options.retention_ns / 4, SAVE_DELAY_NS));

	if (unsaved_retry(scheduler)) {
		delay_ns = MIN(delay_ns, UNSAVED_RETRY_SECONDS * CLOCK_NS_PER_SEC);
	}
	if (must_wait || history_is_dirty(scheduler->history)) {
		delay_ns = SAVE_DELAY_NS;
	}
	if (scheduler->jobs.n_items > 0 || must_wait) {
		int r = loop_timer_arm(scheduler->housekeeping, clock_monotonic_ns() + delay_ns);

		if (r < 0) {
			log_error("cannot set a timer: %s", strerror(-r));
		}
	}
}

void retention_wake(struct scheduler *scheduler)
{
	int r = loop_timer_arm(scheduler->housekeeping, clock_monotonic_ns() + SAVE_DELAY_NS);

	if (r < 0) {
		log_error("cannot set a timer: %s", strerror(-r));
	}
}

int retention_init(struct scheduler *scheduler)
{
	return loop_add_timer(scheduler->env.loop, on_housekeeping, scheduler,
			      &scheduler->housekeeping);
}
