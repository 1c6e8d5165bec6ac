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
#include "daemon/sched/scheduler_private.h"

#define START_RETRY_NS (1 * CLOCK_NS_PER_SEC)

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

static void on_run_ended(void *userdata, struct job *job, struct job_result *result)
{
	struct scheduler *scheduler = userdata;

	job->run = run_free(job->run);
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
	return job->state == JOB_STATE_PENDING && job->run == NULL;
}

static struct queue_load current_load(const struct scheduler *scheduler)
{
	struct queue_load load = {
		.max_jobs = scheduler->env.options.max_jobs,
		.max_workers = scheduler->env.options.max_workers,
	};

	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		const struct job *job = scheduler->jobs.items[i];

		if (job->state == JOB_STATE_RUNNING) {
			load.n_running++;
			load.n_slots_taken += job->run != NULL ? run_n_slots(job->run) : 0;
		}
	}
	return load;
}

static struct job *queue_head(const struct scheduler *scheduler)
{
	struct job *head = NULL;

	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		struct job *job = scheduler->jobs.items[i];
		struct queue_entry entry = {.priority = job->priority, .id = job->id};

		if (!is_waiting(job)) {
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
		int r = loop_timer_arm(scheduler->retry, clock_monotonic_ns() + START_RETRY_NS);

		if (r < 0) {
			log_error("cannot set a timer: %s", strerror(-r));
		}
		return;
	}
	failure_set(&failure, JOB_REASON_INTERNAL, "the job's state directory cannot be used: %s",
		    strerror(-error));
	job_conclude(job, result, &failure, history_reserve_sequence(scheduler->history));
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
	job_set_state(job, JOB_STATE_RUNNING);
	job->started_at_ns = clock_realtime_ns();
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
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		struct job *job = scheduler->jobs.items[i];

		if (is_waiting(job) && job->refusal.reason != JOB_REASON_OK) {
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

static void on_kick(void *userdata)
{
	struct scheduler *scheduler = userdata;

	scheduler->kick = loop_source_free(scheduler->kick);
	if (!scheduler->is_stopping) {
		refuse_jobs(scheduler);
		start_jobs(scheduler);
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
