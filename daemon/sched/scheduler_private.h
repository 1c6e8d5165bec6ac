/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/sched/env.h"
#include "daemon/sched/history.h"
#include "daemon/sched/job.h"
#include "daemon/sched/run.h"
#include "daemon/sched/scheduler.h"

/* Shared by scheduler.c, start.c, load.c and retention.c. */
struct scheduler {
	struct sched_env env;
	struct job_list jobs;
	struct history *history;
	struct loop_source *kick;  /* looks at the queue in the loop's next turn */
	struct loop_source *retry; /* after a start that failed for want of resources */
	struct loop_source *housekeeping;
	unsigned online_processors;
	struct batch *saving; /* of a result that could not be written before */
	struct job *saving_job;
	int saving_dir_fd;
	int64_t next_saving_ns; /* monotonic; not tried again before */
	bool is_stopping;
	struct loop_source *stopped; /* defers stop_fn */
	void (*stop_fn)(void *userdata);
	void *stop_userdata;
};

/*
 * Takes the job over, on success. One that has a refusal, or the target of another live job, does
 * not run: its failure is written down in the loop's next turn.
 */
int scheduler_enqueue(struct scheduler *scheduler, struct job *job) MUST_CHECK;

struct run_callbacks scheduler_callbacks(struct scheduler *scheduler);

/* Looks at the queue soon; the second is that as a timer's callback. */
void scheduler_kick(struct scheduler *scheduler);
void scheduler_on_retry(void *userdata, int64_t now_ns);

/* Tells the daemon that a job (NULL: any) has changed. */
void scheduler_notify(struct scheduler *scheduler, const char *id);

/* Calls stop_fn, in the loop's next turn, if the scheduler stops and the last run is over. */
void scheduler_check_stopped(struct scheduler *scheduler);

/* Ended jobs have changed: saves counters and removes what is old, now or when it is time. */
void retention_wake(struct scheduler *scheduler);
int retention_init(struct scheduler *scheduler) MUST_CHECK;
