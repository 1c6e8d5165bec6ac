/* SPDX-License-Identifier: MIT */
/*
 * A run is a chain of steps, each begun by the end of the one before, out of the loop:
 *
 *     LOCKING -> SWEEPING -> PREPARING -> CONVERTING -> CHECKING -> SETTLING -> COMMITTING ->
 * CLOSING
 *
 * A failure is kept and the step under way is told to stop; its end, seeing the failure, leads to
 * CLOSING instead of the next step. So there is one way out, and whatever works on the job's files
 * is gone before they are removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/run_private.h"

#define LOCK_RETRY_NS	(100 * CLOCK_NS_PER_MS)
#define LOCK_TIMEOUT_NS (10 * CLOCK_NS_PER_SEC)
#define TABLE_NEW_NAME	RUN_TABLE_NAME ".new"
#define STOP_GRACE_NS	(200 * CLOCK_NS_PER_MS)
/* A poll_interval that is longer would let a hung worker be for longer than is promised. */
#define MAX_TICK_NS (250 * CLOCK_NS_PER_MS)

static void step_lock(struct run *run);
static void step_sweep(struct run *run);
static void step_prepare(struct run *run);
static void step_convert(struct run *run);

/* --- failing ---------------------------------------------------------------------------------- */

void run_abandon(struct run *run, const struct failure *failure)
{
	bool is_first = run->failure.reason == JOB_REASON_OK;

	if (is_first) {
		run->failure = *failure;
	}
	if (run->prepare != NULL) {
		prepare_stop(run->prepare);
	} else if (run->pool != NULL) {
		pool_stop(run->pool, failure, run->is_stopping ? 0 : STOP_GRACE_NS);
	} else if (run->batch == NULL && run->commit == NULL && run->phase < RUN_PHASE_CLOSING) {
		run_close(run);
	}
}

void run_fail_step(struct run *run, enum job_reason reason, const char *what, int error)
{
	struct failure failure;

	failure_set(&failure, failure_reason_of(-error, reason), "%s: %s", what, strerror(-error));
	failure.is_passing = failure_is_passing(-error);
	run_abandon(run, &failure);
}

/* --- converting ------------------------------------------------------------------------------- */

static void on_folded(void *userdata, uint32_t slot)
{
	struct run *run = userdata;

	pool_note_progress(run->pool, slot);
}

static void set_rejects_exceeded(const struct run *run, struct failure *ret_failure)
{
	struct fold_state sum = lanes_sum(&run->lanes);

	failure_set(ret_failure, JOB_REASON_REJECTS_EXCEEDED,
		    "%" PRIu64 " of the first %" PRIu64
		    " rows were rejected, more than errors.max_rows allows",
		    sum.error, sum.rows);
}

/* Takes over what was written, and acts on what that shows. */
static void advance(struct run *run)
{
	struct failure failure;

	if (run->is_finished || run->failure.reason != JOB_REASON_OK) {
		return;
	}
	int r = lanes_fold(&run->lanes, &run->table, on_folded, run, &failure);
	run_account_save(run);
	if (r < 0) {
		run_abandon(run, &failure);
	} else if (lanes_exceed_rejects(&run->lanes)) {
		set_rejects_exceeded(run, &failure);
		run_abandon(run, &failure);
	} else if (lanes_are_ended(&run->lanes)) {
		run->is_finished = true;
		pool_finish(run->pool);
	}
}

static void sample(struct run *run, int64_t now_ns)
{
	struct progress_rows rows;
	double ratio;

	lanes_live(&run->lanes, &run->table, &rows, &ratio);
	progress_update(&run->progress, now_ns, &rows, ratio);
	watch_tick(run->watch, run->pool, now_ns);
}

static int arm_tick(struct run *run)
{
	int64_t interval_ns = MIN(run->env->options.poll_interval_ns, MAX_TICK_NS);

	return loop_timer_arm(run->timer, clock_monotonic_ns() + interval_ns);
}

static void on_tick(void *userdata, int64_t now_ns)
{
	struct run *run = userdata;

	advance(run);
	sample(run, clock_monotonic_ns());
	run_limits_look(run, clock_monotonic_ns());
	int r = arm_tick(run);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot set a timer", r);
	}
}

static void on_reaped(void *userdata)
{
	advance(userdata);
}

static void give_back_slots(struct run *run, unsigned n_kept)
{
	if (run->n_slots > n_kept) {
		run->n_slots = n_kept;
		run->callbacks.slots_freed(run->callbacks.userdata);
	}
}

static void on_pool_ended(void *userdata, const struct failure *failure)
{
	struct run *run = userdata;

	if (run->failure.reason == JOB_REASON_OK) {
		run->failure = *failure;
	}
	advance(run);
	run_account_save(run); /* how the last workers ended was counted too */
	run->timer = loop_source_free(run->timer);
	sample(run, clock_monotonic_ns());
	run->pool = pool_free(run->pool);
	give_back_slots(run, 0);
	if (run->failure.reason == JOB_REASON_OK && !lanes_are_ended(&run->lanes)) {
		failure_set(&run->failure, JOB_REASON_INTERNAL,
			    "the workers ended before all rows were in");
	}
	run_conclude(run);
}

static void seed_table(struct run *run, const struct chunk_table *old_table)
{
	uint64_t n_imported = 0;

	for (uint32_t lane = 0; lane < run->lanes.n_lanes; lane++) {
		const struct fold_state *state = &run->lanes.states[lane];
		struct chunk_accept before = fold_last_accept(state);

		chunk_table_seed(&run->table, lane, state->n_folded, &before);
		if (state->is_ended) {
			chunk_table_end_lane(&run->table, lane, state->n_folded);
		} else if (old_table != NULL) {
			n_imported += chunk_table_import(&run->table, lane, old_table);
		}
	}
	if (old_table != NULL) {
		log_job(LOG_LEVEL_INFO, run->job->id, -1,
			"chunks that were written out of turn: %" PRIu64, n_imported);
	}
}

/* Made under another name, so that a kill before it is whole leaves the table before. */
static int make_table(struct run *run, const struct chunk_table *old_table)
{
	CLEANUP(free_p) uint64_t *n_chunks = calloc(run->plan->n_pipes, sizeof(*n_chunks));

	if (n_chunks == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < run->plan->n_pipes; i++) {
		n_chunks[i] = run->plan->pipes[i].n_chunks;
	}
	if (unlinkat(run->run_dir_fd, TABLE_NEW_NAME, 0) < 0 && errno != ENOENT) {
		return -errno;
	}
	run->table_fd = openat(run->run_dir_fd, TABLE_NEW_NAME,
			       O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (run->table_fd < 0) {
		return -errno;
	}
	int r = chunk_table_create(run->table_fd, (uint32_t)run->plan->n_pipes, run->n_workers,
				   n_chunks, &run->table);
	if (r < 0) {
		return r;
	}
	seed_table(run, old_table);
	return renameat(run->run_dir_fd, TABLE_NEW_NAME, run->run_dir_fd, RUN_TABLE_NAME) < 0
		       ? -errno
		       : 0;
}

static int start_pool(struct run *run)
{
	struct pool_options options = {
		.env = run->env,
		.job_id = run->job->id,
		.job_name = run->job->name,
		.plan = run->plan,
		.n_slots = run->n_workers,
		.attempts = run->job->spec->retry.attempts,
		.table = &run->table,
		.folded = run->lanes.folded,
		.job_dir_fd = run->job_dir_fd,
		.run_dir_fd = run->run_dir_fd,
		.table_fd = run->table_fd,
		.lock_fd = run->lock_fd,
		.output_fds = run->output_fds,
		.n_output_fds = run->outputs.n_files,
		.tally = &run->tally,
		.memory_limit_bytes = run->job->spec->limits.memory_per_worker_bytes,
		.reaped = on_reaped,
		.ended = on_pool_ended,
		.userdata = run,
	};
	int r = watch_new(&run->tally, run->job->id, run->run_dir_fd, run->n_workers, &run->watch);

	if (r == 0) {
		r = run_limits_watch(run);
	}
	if (r == 0) {
		r = loop_add_timer(run->env->loop, on_tick, run, &run->timer);
	}
	if (r == 0) {
		r = arm_tick(run);
	}
	return r < 0 ? r : pool_new(&options, &run->pool);
}

static int collect_output_fds(struct run *run)
{
	run->output_fds = calloc(run->outputs.n_files, sizeof(*run->output_fds));
	if (run->output_fds == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		run->output_fds[i] = run->outputs.files[i].fd;
	}
	return 0;
}

static uint64_t count_chunks_left(const struct run *run)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < run->plan->n_pipes; i++) {
		const struct fold_state *state = &run->lanes.states[i];

		sum += state->is_ended ? 0 : run->plan->pipes[i].n_chunks - state->n_folded;
	}
	return sum;
}

static int start_workers(struct run *run, const struct chunk_table *old_table)
{
	uint64_t n_chunks = count_chunks_left(run);

	run->n_workers = (uint32_t)MIN(MIN((uint64_t)run->n_slots, n_chunks),
				       (uint64_t)CHUNK_TABLE_MAX_SLOTS);
	give_back_slots(run, run->n_workers);
	log_job(LOG_LEVEL_INFO, run->job->id, -1,
		"the inputs are prepared; chunks: %" PRIu64 ", workers: %" PRIu32, n_chunks,
		run->n_workers);
	int r = make_table(run, old_table);
	if (r == 0) {
		r = collect_output_fds(run);
	}
	if (r == 0) {
		r = run_checkpoint_start(run);
	}
	return r < 0 ? r : start_pool(run);
}

/* There is nothing left to convert: the last run was cut off later, or there never was. */
static void finish_at_once(struct run *run)
{
	if (lanes_exceed_rejects(&run->lanes)) {
		set_rejects_exceeded(run, &run->failure);
	}
	give_back_slots(run, 0);
	run_conclude(run);
}

static void start_progress(struct run *run)
{
	struct fold_state sum = lanes_sum(&run->lanes);
	const struct progress_rows rows = {.success = (int64_t)sum.success,
					   .error = (int64_t)sum.error,
					   .filtered = (int64_t)sum.filtered};

	progress_resume(&run->progress, clock_monotonic_ns(), &rows, lanes_ratio(&run->lanes));
}

void run_convert(struct run *run, const struct chunk_table *old_table)
{
	run->phase = RUN_PHASE_CONVERTING;
	start_progress(run);
	int r = run_account_start(run);
	if (r == 0 && (lanes_are_ended(&run->lanes) || lanes_exceed_rejects(&run->lanes))) {
		finish_at_once(run);
		return;
	}
	if (r == 0) {
		r = start_workers(run, old_table);
	}
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot start the workers", r);
	}
}

static void step_convert(struct run *run)
{
	struct failure failure;

	run->phase = RUN_PHASE_CONVERTING;
	if (outputs_check_inputs(&run->outputs, run->plan, &failure) < 0 ||
	    outputs_create(&run->outputs, run->job->spec, run->job_dir_fd, &failure) < 0) {
		run_abandon(run, &failure);
		return;
	}
	run->saved_plan_checksum = run->plan->checksum;
	int r = lanes_init(&run->lanes, run->plan, run->job->spec);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot start the workers", r);
	} else {
		run_convert(run, NULL);
	}
}

/* --- preparing -------------------------------------------------------------------------------- */

static void on_prepared(void *userdata, struct plan *plan, const struct failure *failure)
{
	struct run *run = userdata;

	run->prepare = prepare_free(run->prepare);
	run->plan = plan;
	if (run->failure.reason != JOB_REASON_OK) {
		run_close(run);
	} else if (plan == NULL) {
		run_abandon(run, failure);
	} else {
		step_convert(run);
	}
}

int run_make_run_dir(struct run *run)
{
	int parent_fd = run->env->options.run_jobs_dir_fd;

	if (mkdirat(parent_fd, run->job->id, 0750) < 0) {
		return -errno;
	}
	run->run_dir_fd = openat(parent_fd, run->job->id,
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return run->run_dir_fd < 0 ? -errno : 0;
}

static void step_prepare(struct run *run)
{
	struct prepare_options options = {
		.env = run->env,
		.job_id = run->job->id,
		.spec = run->job->spec,
		.job_dir_fd = run->job_dir_fd,
		.chunk_size_bytes = run->env->options.chunk_size_bytes,
		.tally = &run->tally,
		.fn = on_prepared,
		.userdata = run,
	};

	run->phase = RUN_PHASE_PREPARING;
	int r = run_make_run_dir(run);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot make the job's runtime directory",
			      r);
		return;
	}
	options.run_dir_fd = run->run_dir_fd;
	r = prepare_start(&options, &run->prepare);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot start a worker", r);
	}
}

/* --- leftovers -------------------------------------------------------------------------------- */

static void on_swept(void *userdata, int status)
{
	struct run *run = userdata;

	run->batch = batch_free(run->batch);
	if (run->failure.reason != JOB_REASON_OK) {
		run_close(run);
	} else if (status < 0) {
		run_fail_step(run, JOB_REASON_IO_ERROR, "cannot remove what an earlier run left",
			      status);
	} else {
		step_prepare(run);
	}
}

void run_expect_temporaries(struct run *run)
{
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		struct output_file *file = &run->outputs.files[i];

		file->has_temporary = run->job->is_rerun && file->dir_fd >= 0;
	}
}

/* What a run under the same ID has left when it was cut off. */
static void step_sweep(struct run *run)
{
	struct failure failure;
	int r = outputs_open(&run->outputs, run->job->id, run->job->spec, &run->job->targets,
			     run->env->options.root_fds, &failure);

	run->phase = RUN_PHASE_SWEEPING;
	if (r == -EINVAL) {
		run_expect_temporaries(run);
		run_abandon(run, &failure);
		return;
	}
	if (r == -ENOMEM) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot open the outputs", r);
	} else if (!run->job->is_rerun) {
		step_prepare(run);
	} else if (run->job->resume == NULL || !run_resume(run)) {
		run_start_over(run);
	}
}

/* The records go first, and for good: they must not be taken for those of files made anew. */
void run_start_over(struct run *run)
{
	int r = batch_new(run->env->loop, run->storage, run->job->id, on_swept, run, &run->batch);

	run->phase = RUN_PHASE_SWEEPING;
	run->is_started_over = true;
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot sweep", r);
		return;
	}
	run_unlink_records(run, run->batch);
	batch_sync_dir(run->batch, run->job_dir_fd);
	batch_remove_tree(run->batch, run->env->options.run_jobs_dir_fd, run->job->id);
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		const struct output_file *file = &run->outputs.files[i];

		if (file->target != NULL) {
			batch_unlink(run->batch, file->dir_fd, file->temporary);
		}
	}
	batch_seal(run->batch);
}

/* --- the lock --------------------------------------------------------------------------------- */

static int try_lock(struct run *run)
{
	if (run->lock_fd < 0) {
		run->lock_fd = openat(run->job_dir_fd, "lock",
				      O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0640);
	}
	if (run->lock_fd < 0 || flock(run->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		return -errno;
	}
	return 0;
}

static void on_lock_retry(void *userdata, int64_t now_ns)
{
	step_lock(userdata);
}

static int retry_lock(struct run *run)
{
	int64_t now_ns = clock_monotonic_ns();
	int r = 0;

	if (run->timer == NULL) {
		run->lock_deadline_ns = now_ns + LOCK_TIMEOUT_NS;
		log_job(LOG_LEVEL_NOTICE, run->job->id, -1,
			"workers of an earlier run still hold the job; waiting for their end");
		r = loop_add_timer(run->env->loop, on_lock_retry, run, &run->timer);
	}
	if (now_ns > run->lock_deadline_ns) {
		return -EWOULDBLOCK;
	}
	return r < 0 ? r : loop_timer_arm(run->timer, now_ns + LOCK_RETRY_NS);
}

/* Workers of a daemon that died hold the lock until they are dead too. */
static void step_lock(struct run *run)
{
	int r = try_lock(run);

	if (r == -EWOULDBLOCK) {
		r = retry_lock(run);
		if (r == 0) {
			return;
		}
	}
	run->timer = loop_source_free(run->timer);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot lock the job", r);
		return;
	}
	step_sweep(run);
}

/* --- the beginning ---------------------------------------------------------------------------- */

void run_begin(void *userdata)
{
	struct run *run = userdata;

	run->defer = loop_source_free(run->defer);
	int r = run_limits_begin(run);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot set a timer", r);
		return;
	}
	step_lock(run);
}
