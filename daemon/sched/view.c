/* SPDX-License-Identifier: MIT */
/*
 * The one place where the scheduler's structures become what others may see. A job is shown from
 * one of three sources: its result once it has ended, its run while it runs, its spec before.
 */
#include "daemon/sched/view.h"

#include <string.h>

#include "common/util/clock.h"
#include "daemon/sched/run.h"

static double seconds_between(int64_t from_ns, int64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / (double)CLOCK_NS_PER_SEC : 0.0;
}

/* ended_at_ns: 0 if it has not. */
static void show_times(struct job_view *view, int64_t ended_at_ns)
{
	int64_t end_ns = ended_at_ns != 0 ? ended_at_ns : clock_realtime_ns();

	if (view->started_at_ns != 0) {
		view->queue_seconds = seconds_between(view->submitted_at_ns, view->started_at_ns);
		view->duration_seconds = seconds_between(view->started_at_ns, end_ns);
	} else {
		view->queue_seconds = seconds_between(view->submitted_at_ns, end_ns);
	}
}

/* --- ended ------------------------------------------------------------------------------------ */

static void show_result_pipes(const struct job_result *result, struct view_room *room,
			      struct job_view *view)
{
	bool is_completed = result->state == JOB_STATE_COMPLETED;

	view->n_pipes = MIN(result->n_pipes, (size_t)JOB_SPEC_MAX_PIPES);
	view->pipes = room->pipes;
	for (size_t i = 0; i < view->n_pipes; i++) {
		const struct job_result_pipe *pipe = &result->pipes[i];

		room->pipes[i] = (struct pipe_view){
			.input = pipe->input,
			.output = pipe->output,
			.errors = pipe->errors,
			.total_processed = pipe->total_processed,
			.success_count = pipe->success_count,
			.error_count = pipe->error_count,
			.filtered = pipe->filtered,
			.bytes_total = is_completed ? pipe->input_bytes : -1,
			.bytes_done = pipe->input_bytes,
		};
	}
}

static void show_result(const struct job_result *result, struct view_room *room,
			struct job_view *view)
{
	bool is_completed = result->state == JOB_STATE_COMPLETED;

	view->name = result->name;
	view->reason = result->reason;
	view->message = result->message != NULL ? result->message : "";
	view->phase = "finished";
	view->verified = result->verified;
	view->accepted_processed = view->total_processed = result->total_processed;
	view->accepted_success = view->success_count = result->success_count;
	view->accepted_error = view->error_count = result->error_count;
	view->accepted_filtered = view->filtered = result->filtered;
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		view->rejects[code] = result->rejects[code];
	}
	view->input_bytes_total = is_completed ? result->input_bytes : -1;
	view->input_bytes_done = result->input_bytes;
	view->output_bytes = result->output_bytes;
	view->peak_ram_bytes = result->peak_ram_bytes;
	view->progress = is_completed ? 1.0 : -1.0;
	view->eta_seconds = is_completed ? 0.0 : -1.0;
	view->submitted_at_ns = result->submitted_at_ns;
	view->started_at_ns = result->started_at_ns;
	view->finished_at_ns = result->finished_at_ns;
	view->n_workers = result->n_workers;
	view->n_worker_restarts = result->n_worker_restarts;
	memcpy(view->worker_exits, result->worker_exits, sizeof(view->worker_exits));
	show_times(view, view->finished_at_ns);
	if (view->duration_seconds > 0.0) {
		view->items_per_second = (double)view->total_processed / view->duration_seconds;
	}
	show_result_pipes(result, room, view);
}

/* --- live ------------------------------------------------------------------------------------- */

static void show_live_pipes(const struct job_spec *spec, const struct run_info *info,
			    struct view_room *room, struct job_view *view)
{
	view->n_pipes = spec->n_pipes;
	view->pipes = room->pipes;
	for (size_t i = 0; i < spec->n_pipes; i++) {
		struct pipe_view *pipe = &room->pipes[i];

		*pipe = (struct pipe_view){
			.input = spec->pipes[i].input.path,
			.output = spec->pipes[i].output.path,
			.errors = spec->pipes[i].errors.path,
			.bytes_total = -1,
		};
		if (info->lanes != NULL) {
			pipe->total_processed = (int64_t)info->lanes[i].rows;
			pipe->success_count = (int64_t)info->lanes[i].success;
			pipe->error_count = (int64_t)info->lanes[i].error;
			pipe->filtered = (int64_t)info->lanes[i].filtered;
			pipe->bytes_total = (int64_t)info->plan->pipes[i].n_bytes;
			pipe->bytes_done = (int64_t)info->lanes[i].input_bytes;
		}
	}
}

static int64_t plan_bytes(const struct plan *plan)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < plan->n_pipes; i++) {
		sum += plan->pipes[i].n_bytes;
	}
	return (int64_t)sum;
}

static void show_counters(const struct run_info *info, struct job_view *view)
{
	view->accepted_processed = (int64_t)info->sum.rows;
	view->accepted_success = (int64_t)info->sum.success;
	view->accepted_error = (int64_t)info->sum.error;
	view->accepted_filtered = (int64_t)info->sum.filtered;
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		view->rejects[code] = (int64_t)info->sum.rejects[code];
	}
	view->success_count = MAX(info->progress.live.success, view->accepted_success);
	view->error_count = MAX(info->progress.live.error, view->accepted_error);
	view->filtered = MAX(info->progress.live.filtered, view->accepted_filtered);
	view->total_processed = view->success_count + view->error_count + view->filtered;
	view->input_bytes_done = (int64_t)info->sum.input_bytes;
	view->output_bytes = (int64_t)info->sum.out_end;
}

static void show_run(const struct job *job, const struct run_info *info, struct job_view *view)
{
	view->phase = info->phase;
	show_counters(info, view);
	view->ram_bytes = info->memory.ram_bytes;
	view->pss_bytes = info->memory.pss_bytes;
	view->peak_ram_bytes = info->memory.peak_ram_bytes;
	view->n_workers = info->n_workers;
	view->n_workers_alive = info->n_workers_alive;
	view->n_worker_restarts = (uint32_t)info->tally.restarts;
	memcpy(view->worker_exits, info->tally.exits, sizeof(view->worker_exits));
	view->workers = job->state == JOB_STATE_RUNNING ? info->workers : NULL;
	if (info->plan != NULL) {
		view->input_bytes_total = plan_bytes(info->plan);
		view->progress = info->progress.ratio;
		view->eta_seconds = progress_eta_seconds(&info->progress);
		view->items_per_second = info->progress.rows_per_second;
	}
}

static void show_live(const struct job *job, struct view_room *room, struct job_view *view)
{
	struct run_info info = {.phase = job->state == JOB_STATE_PENDING ? "queued" : "waiting",
				.sum = job->held};

	view->name = job->name;
	view->message = "";
	view->phase = info.phase;
	view->verified = true;
	view->input_bytes_total = -1;
	view->progress = -1.0;
	view->eta_seconds = -1.0;
	view->submitted_at_ns = job->submitted_at_ns;
	view->started_at_ns = job->started_at_ns;
	if (job->run != NULL) {
		info = run_info(job->run);
		show_run(job, &info, view);
	} else {
		show_counters(&info, view);
	}
	show_times(view, info.ended_at_ns);
	show_live_pipes(job->spec, &info, room, view);
}

void view_of_job(const struct job *job, struct view_room *room, struct job_view *ret_view)
{
	*ret_view = (struct job_view){
		.id = job->id, .state = job->state, .priority = job->priority};
	if (job->result != NULL) {
		show_result(job->result, room, ret_view);
	} else {
		show_live(job, room, ret_view);
	}
}
