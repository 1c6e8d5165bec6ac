/* SPDX-License-Identifier: MIT */
/*
 * What a spec's `limits` do to a run. The run's whole time has a timer of its own, which holds in
 * whatever step the run is; workers are looked at in each tick of the conversion.
 *
 * A worker that breaks a limit is killed, no more: its end comes through its pidfd like any other,
 * is counted by its cause, and only then is its work given on.
 */
#include <errno.h>
#include <stdio.h>

#include "common/util/clock.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "daemon/sched/run_private.h"

static void on_wall(void *userdata, int64_t now_ns)
{
	struct run *run = userdata;
	struct failure failure;
	char limit[NUM_TEXT_SIZE];

	run->wall = loop_source_free(run->wall);
	failure_set(&failure, JOB_REASON_TIMEOUT, "it ran longer than limits.wall (%s) allows",
		    num_format_duration_ns(limit, run->job->spec->limits.wall_ns));
	if (run_fail(run, &failure) == -EALREADY) {
		log_job(LOG_LEVEL_INFO, run->job->id, -1,
			"limits.wall (%s) has passed, but the job ends already", limit);
	}
}

int run_limits_begin(struct run *run)
{
	int64_t wall_ns = run->job->spec->limits.wall_ns;

	if (wall_ns == 0) {
		return 0;
	}
	int r = loop_add_timer(run->env->loop, on_wall, run, &run->wall);
	return r < 0 ? r : loop_timer_arm(run->wall, clock_monotonic_ns() + wall_ns);
}

int run_limits_watch(struct run *run)
{
	return stall_init(&run->stall, run->job->spec->limits.stall_ns, run->n_workers);
}

static void kill_hung(struct run *run, uint32_t slot)
{
	char what[WORKER_END_TEXT_SIZE], limit[NUM_TEXT_SIZE];

	snprintf(what, sizeof(what), "gave no sign of life for limits.stall (%s) and was killed",
		 num_format_duration_ns(limit, run->job->spec->limits.stall_ns));
	pool_kill(run->pool, slot, WORKER_CAUSE_STALLED, what);
}

static void look_for_stall(struct run *run, uint32_t slot, const struct pool_slot_info *info)
{
	struct chunk_pulse pulse = chunk_table_pulse(&run->table, slot);
	struct stall_sign sign = {
		.is_alive = info->pid > 0,
		.is_restarting = info->state == POOL_SLOT_RESTARTING,
		.generation = info->generation,
		.n_beats = pulse.n_beats,
		.n_steps = pulse.n_steps,
	};

	switch (stall_look(&run->stall, slot, &sign)) {
	case STALL_NONE:
		break;
	case STALL_HUNG:
		kill_hung(run, slot);
		break;
	case STALL_UNDEAD:
		log_job(LOG_LEVEL_WARNING, run->job->id, (int)slot,
			"worker %ld was killed and does not end, as if it waited for a disk that "
			"does not answer; what it holds is given on when it has ended",
			(long)info->pid);
		break;
	}
}

static void look_at_memory(struct run *run, uint32_t slot, const struct pool_slot_info *info)
{
	const struct worker_view *view = &watch_views(run->watch)[slot];
	uint64_t limit_bytes = run->job->spec->limits.memory_per_worker_bytes;
	char what[WORKER_END_TEXT_SIZE], taken[NUM_TEXT_SIZE], limit[NUM_TEXT_SIZE];

	if (limit_bytes == 0 || info->pid <= 0 || view->generation != info->generation ||
	    view->pss_bytes <= 0 || (uint64_t)view->pss_bytes <= limit_bytes) {
		return;
	}
	snprintf(what, sizeof(what),
		 "took %s, more than limits.memory_per_worker (%s), and was killed",
		 num_format_size(taken, (uint64_t)view->pss_bytes),
		 num_format_size(limit, limit_bytes));
	pool_kill(run->pool, slot, WORKER_CAUSE_MEMORY_LIMIT, what);
}

void run_limits_look(struct run *run, int64_t now_ns)
{
	struct failure failure;
	char limit[NUM_TEXT_SIZE];

	/* When all rows are in, or the run fails, the pool itself sees to it that all leave. */
	if (run->is_finished || run->failure.reason != JOB_REASON_OK) {
		return;
	}
	oom_look(&run->env->oom, now_ns);
	stall_tick(&run->stall, now_ns);
	for (uint32_t slot = 0; slot < run->n_workers; slot++) {
		struct pool_slot_info info = pool_slot(run->pool, slot);

		look_for_stall(run, slot, &info);
		look_at_memory(run, slot, &info);
	}
	if (stall_is_deadlock(&run->stall)) {
		failure_set(&failure, JOB_REASON_STALLED,
			    "for limits.stall (%s) all workers have waited and none has come "
			    "forward",
			    num_format_duration_ns(limit, run->job->spec->limits.stall_ns));
		run_abandon(run, &failure);
	}
}
