/* SPDX-License-Identifier: MIT */
/*
 * How a run is made, shown and taken apart. All that its way out needs, result, storage and the
 * batch of closing requests, is made before it begins: a run that fails for lack of memory or
 * descriptors can still say so and clean up.
 */
#include "daemon/sched/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/util/fd.h"
#include "daemon/sched/run_private.h"

/* Of a running job's rejects, as much is shown. */
#define MAX_REJECTS_COPY_BYTES (1024 * 1024)

static int open_spare_fds(struct run *run)
{
	for (size_t i = 0; i < ARRAY_SIZE(run->spare_fds); i++) {
		run->spare_fds[i] = fcntl(run->job_dir_fd, F_DUPFD_CLOEXEC, 3);
		if (run->spare_fds[i] < 0) {
			return -errno;
		}
	}
	return 0;
}

void run_give_spare_fds(struct run *run)
{
	for (size_t i = 0; i < ARRAY_SIZE(run->spare_fds); i++) {
		run->spare_fds[i] = fd_close(run->spare_fds[i]);
	}
}

/* So runs that fail together for lack of descriptors do not wait for one another's. */
void run_give_fds(struct run *run)
{
	run->run_dir_fd = fd_close(run->run_dir_fd);
	run->table_fd = fd_close(run->table_fd);
	run_give_spare_fds(run);
}

static int open_basics(struct run *run, struct storage *shared)
{
	run->result = job_make_result(run->job);
	run->job_dir_fd = openat(run->env->options.jobs_dir_fd, run->job->id,
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (run->job_dir_fd < 0) {
		return -errno;
	}
	if (run->result == NULL) {
		return -ENOMEM;
	}
	run->storage = shared;
	run->is_storage_shared = shared != NULL;
	int r = open_spare_fds(run);
	if (r == 0 && shared == NULL) {
		r = storage_new_like(run->env->options.storage, &run->storage);
	}
	if (r < 0) {
		return r;
	}
	r = batch_new(run->env->loop, run->storage, run->job->id, run_saved, run, &run->saving);
	return r < 0 ? r
		     : batch_new(run->env->loop, run->storage, run->job->id, run_closed, run,
				 &run->closing);
}

int run_make(struct sched_env *env, struct job *job, struct storage *shared,
	     const struct run_callbacks *callbacks, struct run **ret_run)
{
	struct run *run = calloc(1, sizeof(*run));

	if (run == NULL) {
		return -ENOMEM;
	}
	run->env = env;
	run->job = job;
	run->callbacks = *callbacks;
	run->tally = job->tally;
	run->job_dir_fd = -1;
	run->run_dir_fd = -1;
	run->lock_fd = -1;
	run->table_fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(run->spare_fds); i++) {
		run->spare_fds[i] = -1;
	}
	int r = open_basics(run, shared);
	if (r < 0) {
		run_free(run);
		return r;
	}
	*ret_run = run;
	return 0;
}

int run_new(struct sched_env *env, struct job *job, unsigned n_slots,
	    const struct run_callbacks *callbacks, struct run **ret_run)
{
	struct run *run = NULL;
	int r = run_make(env, job, NULL, callbacks, &run);

	if (r < 0) {
		return r;
	}
	run->n_slots = n_slots;
	run->is_retryable = true;
	r = loop_add_defer(env->loop, run_begin, run, &run->defer);
	if (r < 0) {
		run_free(run);
		return r;
	}
	*ret_run = run;
	return 0;
}

int run_new_refused(struct sched_env *env, struct job *job, const struct failure *failure,
		    const struct run_callbacks *callbacks, struct run **ret_run)
{
	struct run *run = NULL;
	struct failure ignored;
	int r = run_make(env, job, env->options.storage, callbacks, &run);

	if (r < 0) {
		return r;
	}
	if (job->is_rerun && outputs_open(&run->outputs, job->id, job->spec, &job->targets,
					  env->options.root_fds, &ignored) != -ENOMEM) {
		run_expect_temporaries(run);
	}
	*ret_run = run;
	run_abandon(run, failure);
	return 0;
}

int run_fail(struct run *run, const struct failure *failure)
{
	if (run->phase >= RUN_PHASE_COMMITTING || run->failure.reason != JOB_REASON_OK) {
		return -EALREADY;
	}
	run_abandon(run, failure);
	return 0;
}

unsigned run_n_slots(const struct run *run)
{
	return run->n_slots;
}

static const char *const phase_names[RUN_N_PHASES] = {
	[RUN_PHASE_LOCKING] = "preparing",     [RUN_PHASE_SWEEPING] = "preparing",
	[RUN_PHASE_PREPARING] = "preparing",   [RUN_PHASE_RESUMING] = "preparing",
	[RUN_PHASE_CONVERTING] = "converting", [RUN_PHASE_CHECKING] = "committing",
	[RUN_PHASE_SETTLING] = "committing",   [RUN_PHASE_COMMITTING] = "committing",
	[RUN_PHASE_CLOSING] = "closing",       [RUN_PHASE_ENDED] = "finished",
};

struct run_info run_info(const struct run *run)
{
	struct run_info info = {
		.phase = phase_names[run->phase],
		.sum = run_accepted(run),
		.progress = run->progress,
		.plan = run->plan,
		.n_workers = run->n_workers,
		.tally = run->tally,
		.ended_at_ns = run->result != NULL ? run->result->finished_at_ns : 0,
	};

	fold_hold(&info.sum, &run->job->held);
	info.lanes = run->lanes.states;
	if (run->pool != NULL) {
		info.n_workers_alive = pool_n_alive(run->pool);
	}
	if (run->watch != NULL) {
		info.memory = watch_memory(run->watch);
		info.workers = watch_views(run->watch);
	}
	return info;
}

/* The first error file that has accepted rows; SIZE_MAX: none has. */
static size_t first_rejects(const struct run *run)
{
	for (size_t lane = 0; lane < run->lanes.n_lanes; lane++) {
		if (run->lanes.states[lane].err_end > 0) {
			return 2 * lane + 1;
		}
	}
	return SIZE_MAX;
}

int run_open_rejects(const struct run *run)
{
	size_t index = first_rejects(run);
	uint64_t n_bytes = 0;
	CLEANUP(free_p) char *text = malloc(MAX_REJECTS_COPY_BYTES);

	if (text == NULL) {
		return -ENOMEM;
	}
	if (index != SIZE_MAX) {
		n_bytes = MIN(run->lanes.states[index / 2].err_end,
			      (uint64_t)MAX_REJECTS_COPY_BYTES);
		ssize_t n = fd_pread_full(run->outputs.files[index].fd, text, n_bytes, 0);
		if (n < 0) {
			return (int)n;
		}
		n_bytes = (uint64_t)n;
	}
	while (n_bytes > 0 && text[n_bytes - 1] != '\n') {
		n_bytes--;
	}
	return fd_memfd("rejects", text, n_bytes);
}

void run_drop_outputs(struct run *run)
{
	for (size_t i = 0; i < run->commit_options.n_outputs; i++) {
		free(run->commit_outputs[i].temporary_name);
		free(run->commit_outputs[i].target_name);
		free(run->commit_outputs[i].temporary_path);
		free(run->commit_outputs[i].target_path);
	}
	free(run->commit_outputs);
	run->commit_outputs = NULL;
	run->commit_options.n_outputs = 0;
	outputs_deinit(&run->outputs);
}

/* Storage first: it drops requests that batch and commit wait for. */
struct run *run_free(struct run *run)
{
	if (run == NULL) {
		return NULL;
	}
	if (!run->is_storage_shared) {
		storage_free(run->storage);
	}
	checkpoint_free(run->checkpoint);
	batch_free(run->batch);
	batch_free(run->saving);
	batch_free(run->closing);
	commit_free(run->commit);
	input_check_free(run->input_check);
	prepare_free(run->prepare);
	pool_free(run->pool);
	watch_free(run->watch);
	stall_deinit(&run->stall);
	loop_source_free(run->timer);
	loop_source_free(run->defer);
	loop_source_free(run->wall);
	run_drop_outputs(run);
	commit_record_free(run->recovered);
	lanes_deinit(&run->lanes);
	account_pages_close(&run->account);
	free(run->inodes);
	chunk_table_unmap(&run->table);
	plan_free(run->plan);
	job_result_free(run->result);
	free(run->output_fds);
	fd_close(run->job_dir_fd);
	fd_close(run->lock_fd);
	run_give_fds(run);
	free(run);
	return NULL;
}
