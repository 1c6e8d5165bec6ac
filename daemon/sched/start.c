/* SPDX-License-Identifier: MIT */
/*
 * The queue is looked at in a turn of its own, never from inside the call that changed it: a job
 * that ends, is added or gives slots back only asks for that turn. So no caller ever meets a
 * scheduler that is half-way through starting another job.
 */
#include <errno.h>
#include <string.h>

#include "common/util/clock.h"
#include "common/util/log.h"
#include "daemon/sched/queue.h"
#include "daemon/sched/restart.h"
#include "daemon/sched/resume.h"
#include "daemon/sched/scheduler_private.h"

#define START_RETRY_NS	 (1 * CLOCK_NS_PER_SEC)
#define RETRY_LONGEST_NS (30 * CLOCK_NS_PER_SEC)

/* --- callbacks of runs ------------------------------------------------------------------------ */

static uint64_t on_reserve_sequence(void *userdata)
{
	struct scheduler *scheduler = userdata;

	return history_reserve_sequence(scheduler->history);
}

static void on_slots_freed(void *userdata)
{
	scheduler_kick(userdata);
}

static bool has_runs(const struct scheduler *scheduler)
{
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		if (scheduler->jobs.items[i]->run != NULL) {
			return true;
		}
	}
	return false;
}

static void on_stopped(void *userdata)
{
	struct scheduler *scheduler = userdata;

	scheduler->stopped = loop_source_free(scheduler->stopped);
	scheduler->stop_fn(scheduler->stop_userdata);
}

void scheduler_check_stopped(struct scheduler *scheduler)
{
	if (!scheduler->is_stopping || has_runs(scheduler) || scheduler->stopped != NULL) {
		return;
	}
	int r = loop_add_defer(scheduler->env.loop, on_stopped, scheduler, &scheduler->stopped);
	if (r < 0) {
		log_error("cannot add an event: %s", strerror(-r));
		scheduler->stop_fn(scheduler->stop_userdata);
	}
}

/* When it is its turn again, the job goes on from what the run has left. */
static void retry_later(struct scheduler *scheduler, struct job *job)
{
	int64_t now_ns = clock_monotonic_ns();
	int64_t first_ns = job->spec->retry.backoff_ns;

	job->is_retry_wanted = false;
	job->retry_at_ns = now_ns + restart_backoff_ns(first_ns, MAX(first_ns, RETRY_LONGEST_NS),
						       job->n_attempts, (uint64_t)now_ns / 1000);
	job->resume = resume_free(job->resume);
	int r = resume_load(&scheduler->env, job->id, job->is_live_lost, &job->resume);
	if (r < 0) {
		log_job(LOG_LEVEL_WARNING, job->id, -1, "runs again from its input: %s",
			strerror(-r));
	}
}

static void on_run_ended(void *userdata, struct job *job, struct job_result *result)
{
	struct scheduler *scheduler = userdata;

	job->run = run_free(job->run);
	if (job->is_retry_wanted) {
		retry_later(scheduler, job);
	}
	if (result != NULL) {
		job_end(job, result);
		if (job->unsaved == JOB_SAVED) {
			history_add(scheduler->history, job);
		}
		retention_wake(scheduler);
		scheduler_notify(scheduler, job->id);
	}
	scheduler_kick(scheduler);
	scheduler_check_stopped(scheduler);
}

struct run_callbacks scheduler_callbacks(struct scheduler *scheduler)
{
	return (struct run_callbacks){
		.reserve_sequence = on_reserve_sequence,
		.slots_freed = on_slots_freed,
		.ended = on_run_ended,
		.userdata = scheduler,
	};
}

/* --- the queue -------------------------------------------------------------------------------- */

static bool is_waiting(const struct job *job)
{
	return job->result == NULL && job->run == NULL;
}

/* A job that waits for its next attempt gives way to others. */
static bool is_due(const struct job *job, int64_t now_ns)
{
	return is_waiting(job) && job->retry_at_ns <= now_ns;
}

static struct queue_load current_load(const struct scheduler *scheduler)
{
	struct queue_load load = {
		.max_jobs = scheduler->env.options.max_jobs,
		.max_workers = scheduler->env.options.max_workers,
	};

	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		const struct job *job = scheduler->jobs.items[i];

		if (job->state == JOB_STATE_RUNNING && job->run != NULL) {
			load.n_running++;
			load.n_slots_taken += run_n_slots(job->run);
		}
	}
	return load;
}

static struct job *queue_head(const struct scheduler *scheduler)
{
	struct job *head = NULL;
	int64_t now_ns = clock_monotonic_ns();

	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		struct job *job = scheduler->jobs.items[i];
		struct queue_entry entry = {.priority = job->priority, .id = job->id};

		if (!is_due(job, now_ns)) {
			continue;
		}
		if (head != NULL) {
			struct queue_entry best = {.priority = head->priority, .id = head->id};

			if (!queue_is_before(&entry, &best)) {
				continue;
			}
		}
		head = job;
	}
	return head;
}

static unsigned wanted_workers(const struct scheduler *scheduler, const struct job *job)
{
	if (job->spec->workers > 0) {
		return job->spec->workers;
	}
	return job->spec->n_pipes > 1 ? (unsigned)job->spec->n_pipes : scheduler->online_processors;
}

void scheduler_on_retry(void *userdata, int64_t now_ns)
{
	scheduler_kick(userdata);
}

/* Not even a run could be made. Either it is tried again, or the job ends in memory alone. */
static void start_failed(struct scheduler *scheduler, struct job *job, int error)
{
	struct job_result *result = failure_is_passing(-error) ? NULL : job_make_result(job);
	struct failure failure;

	log_job(LOG_LEVEL_ERROR, job->id, -1, "cannot be started: %s; %s", strerror(-error),
		result == NULL ? "trying again" : "it fails");
	if (result == NULL) {
		job->retry_at_ns = clock_monotonic_ns() + START_RETRY_NS;
		return;
	}
	failure_set(&failure, JOB_REASON_INTERNAL, "the job's state directory cannot be used: %s",
		    strerror(-error));
	if (job->finish_sequence == 0) {
		job->finish_sequence = history_reserve_sequence(scheduler->history);
	}
	job_conclude(job, result, &failure, job->finish_sequence);
	on_run_ended(scheduler, job, result);
}

static int start_job(struct scheduler *scheduler, struct job *job, unsigned n_slots)
{
	struct run_callbacks callbacks = scheduler_callbacks(scheduler);
	int r = run_new(&scheduler->env, job, n_slots, &callbacks, &job->run);

	if (r < 0) {
		start_failed(scheduler, job, r);
		return r;
	}
	if (job->state == JOB_STATE_PENDING) {
		job_set_state(job, JOB_STATE_RUNNING);
	}
	if (job->started_at_ns == 0) {
		job->started_at_ns = clock_realtime_ns();
	}
	log_job(LOG_LEVEL_NOTICE, job->id, -1, "%s: starts; worker slots: %u", job->name, n_slots);
	scheduler_notify(scheduler, job->id);
	return 0;
}

static void refuse_job(struct scheduler *scheduler, struct job *job)
{
	struct run_callbacks callbacks = scheduler_callbacks(scheduler);
	int r = run_new_refused(&scheduler->env, job, &job->refusal, &callbacks, &job->run);

	if (r < 0) {
		start_failed(scheduler, job, r);
	}
}

static void refuse_jobs(struct scheduler *scheduler)
{
	int64_t now_ns = clock_monotonic_ns();

	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		struct job *job = scheduler->jobs.items[i];

		if (is_due(job, now_ns) && job->refusal.reason != JOB_REASON_OK) {
			refuse_job(scheduler, job);
		}
	}
}

static void start_jobs(struct scheduler *scheduler)
{
	struct job *job;

	while ((job = queue_head(scheduler)) != NULL && job->refusal.reason == JOB_REASON_OK) {
		struct queue_load load = current_load(scheduler);
		unsigned n_slots = queue_grant(&load, wanted_workers(scheduler, job));

		if (n_slots == 0 || start_job(scheduler, job, n_slots) < 0) {
			return;
		}
	}
}

/* Comes back when the next job that waits for its next attempt is due. */
static void arm_retries(struct scheduler *scheduler)
{
	int64_t now_ns = clock_monotonic_ns(), next_ns = INT64_MAX;

	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		const struct job *job = scheduler->jobs.items[i];

		if (is_waiting(job) && job->retry_at_ns > now_ns) {
			next_ns = MIN(next_ns, job->retry_at_ns);
		}
	}
	int r = next_ns == INT64_MAX ? 0 : loop_timer_arm(scheduler->retry, next_ns);
	if (r < 0) {
		log_error("cannot set a timer: %s", strerror(-r));
	}
}

static void on_kick(void *userdata)
{
	struct scheduler *scheduler = userdata;

	scheduler->kick = loop_source_free(scheduler->kick);
	if (!scheduler->is_stopping) {
		refuse_jobs(scheduler);
		start_jobs(scheduler);
		arm_retries(scheduler);
	}
}

void scheduler_kick(struct scheduler *scheduler)
{
	if (scheduler->kick != NULL || scheduler->is_stopping) {
		return;
	}
	int r = loop_add_defer(scheduler->env.loop, on_kick, scheduler, &scheduler->kick);
	if (r < 0) {
		log_error("cannot add an event: %s", strerror(-r));
	}
}
