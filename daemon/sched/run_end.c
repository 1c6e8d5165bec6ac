/* SPDX-License-Identifier: MIT */
/*
 * From the last row on. Nothing is published before three things are known: the inputs are the
 * files that were pinned, the output files hold what was accepted, and not too many rows were
 * rejected. Too many rejects are a failure that is published all the same: its error file, so that
 * people can see why, and nothing else.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util/buf.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "daemon/sched/run_private.h"

/* --- the result ------------------------------------------------------------------------------- */

static void fill_pipe(struct job_result_pipe *pipe, const struct fold_state *state)
{
	pipe->total_processed = (int64_t)state->rows;
	pipe->success_count = (int64_t)state->success;
	pipe->error_count = (int64_t)state->error;
	pipe->filtered = (int64_t)state->filtered;
	pipe->input_bytes = (int64_t)state->input_bytes;
}

static void fill_result(struct run *run)
{
	struct job_result *result = run->result;

	result->n_workers = run->n_workers;
	result->n_worker_restarts = (uint32_t)run->tally.restarts;
	memcpy(result->worker_exits, run->tally.exits, sizeof(result->worker_exits));
	result->stats_files_invalid = run->tally.stats_files_invalid;
	if (run->watch != NULL) {
		result->peak_ram_bytes = watch_memory(run->watch).peak_ram_bytes;
	}
	struct fold_state sum = run_accepted(run);
	if (run->failure.reason != JOB_REASON_OK && run->job->held.rows > sum.rows) {
		/* It failed before it came as far as an earlier run, whose rows were counted. */
		sum = run->job->held;
	}
	result->total_processed = (int64_t)sum.rows;
	result->success_count = (int64_t)sum.success;
	result->error_count = (int64_t)sum.error;
	result->filtered = (int64_t)sum.filtered;
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		result->rejects[code] = (int64_t)sum.rejects[code];
	}
	result->input_bytes = (int64_t)sum.input_bytes;
	result->output_bytes = (int64_t)sum.out_end;
	for (size_t i = 0; i < result->n_pipes && run->lanes.states != NULL; i++) {
		fill_pipe(&result->pipes[i], &run->lanes.states[i]);
	}
}

void run_reserve_sequence(struct run *run)
{
	if (run->job->finish_sequence == 0) {
		run->job->finish_sequence = run->callbacks.reserve_sequence(
			run->callbacks.userdata);
	}
}

static void conclude_result(struct run *run)
{
	run_reserve_sequence(run);
	if (run->recovered == NULL) {
		fill_result(run);
	}
	job_conclude(run->job, run->result, &run->failure, run->job->finish_sequence);
}

/* --- closing ---------------------------------------------------------------------------------- */

/* The run ends, the job does not. */
static bool is_unfinished(const struct run *run)
{
	return (run->is_stopping || run->is_retry) && !run->is_committed;
}

static void leave_to_next_run(struct run *run)
{
	struct job *job = run->job;
	struct fold_state sum = run_accepted(run);

	fold_hold(&job->held, &sum);
	job->tally = run->tally;
	job->is_rerun = true;
	job->is_retry_wanted = run->is_retry && !run->is_stopping;
	job->is_live_lost = run->is_sync_lost;
}

void run_closed(void *userdata, int status)
{
	struct run *run = userdata;

	run->phase = RUN_PHASE_ENDED;
	if (status < 0) {
		log_job(LOG_LEVEL_ERROR, run->job->id, -1,
			"could not clean up (%s); what is left is removed at the next start",
			strerror(-status));
	}
	if (is_unfinished(run)) {
		leave_to_next_run(run);
	}
	run->callbacks.ended(run->callbacks.userdata, run->job,
			     is_unfinished(run) ? NULL : TAKE_PTR(run->result));
}

static uint64_t accepted_end(const struct run *run, size_t file)
{
	return run->lanes.states == NULL ? 0 : outputs_accepted_end(run->lanes.states, file);
}

static void close_rest(struct run *run)
{
	if (run->checkpoint != NULL) {
		checkpoint_give_up(run->checkpoint);
	}
	if (run->job->is_rerun || run->checkpoint != NULL) {
		run_unlink_records(run, run->closing);
	}
	batch_sweep(run->closing, run->job_dir_fd);
	batch_unlink(run->closing, run->job_dir_fd, "lock");
	batch_remove_tree(run->closing, run->env->options.run_jobs_dir_fd, run->job->id);
	batch_seal(run->closing);
}

/* Only a result that is on disk lets the receipt move: else a start would run the job again. */
void run_saved(void *userdata, int status)
{
	struct run *run = userdata;
	const struct job *job = run->job;

	if (status < 0) {
		run->job->unsaved = JOB_UNSAVED;
		log_job(LOG_LEVEL_ERROR, job->id, -1,
			"its result cannot be written (%s); trying again, but a restart before "
			"that runs the job again",
			strerror(-status));
	} else if (!job->is_receipt_moved) {
		batch_rename(run->closing, run->env->active_dir_fd, job->receipt,
			     run->env->failed_dir_fd, job->receipt);
	}
	close_rest(run);
}

static void keep_rejects(struct run *run)
{
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		const struct output_file *file = &run->outputs.files[i];

		if (file->target == NULL && !file->has_temporary && file->fd >= 0) {
			batch_finish_file(run->closing, file->fd, accepted_end(run, i));
		}
	}
}

static void write_failure(struct run *run)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	conclude_result(run);
	job_result_render(run->result, &text);
	batch_write(run->saving, run->job_dir_fd, "result.json", text.data, text.len);
	batch_seal(run->saving);
	log_job(LOG_LEVEL_NOTICE, run->job->id, -1, "%s: %s (%s)",
		job_state_name(run->result->state), run->failure.message,
		job_reason_name(run->failure.reason));
}

/* Waiting for the lock, or going on, has not come so far that it knows an earlier run's files. */
static void find_temporaries(struct run *run)
{
	const struct job *job = run->job;
	struct failure ignored;

	if (!job->is_rerun || run->recovered != NULL) {
		return;
	}
	if (run->outputs.files == NULL &&
	    outputs_open(&run->outputs, job->id, job->spec, &job->targets,
			 run->env->options.root_fds, &ignored) == -ENOMEM) {
		return;
	}
	run_expect_temporaries(run);
}

static void remove_temporaries(struct run *run)
{
	find_temporaries(run);
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		const struct output_file *file = &run->outputs.files[i];

		if (file->has_temporary) {
			batch_unlink(run->closing, file->dir_fd, file->temporary);
		}
	}
}

/* Whether the failure may pass; but not if that was hoped too often, and nothing came of it. */
static bool is_worth_retrying(struct run *run)
{
	const struct failure *failure = &run->failure;
	struct job *job = run->job;

	if (!run->is_retryable || run->is_committed || run->recovered != NULL ||
	    !(failure->is_passing || failure->reason == JOB_REASON_IO_ERROR ||
	      failure->reason == JOB_REASON_NO_SPACE)) {
		return false;
	}
	/* Rows that an attempt before had accepted too, and lost, bring the job no further. */
	if (run_accepted(run).input_bytes > job->held.input_bytes) {
		job->n_attempts = 0;
	}
	job->n_attempts++;
	return job->n_attempts < job->spec->retry.attempts;
}

/* What it has done, or what an earlier run had done before this one came to go on. */
static bool has_left_something(const struct run *run)
{
	return run->account.base != NULL || (run->job->resume != NULL && !run->is_started_over);
}

static void end_unfinished(struct run *run)
{
	bool has_next = !run->is_stopping || !run->env->options.is_once;

	if (run->is_retry) {
		log_job(LOG_LEVEL_WARNING, run->job->id, -1, "%s (%s); trying again",
			run->failure.message, job_reason_name(run->failure.reason));
	}
	if (has_next && has_left_something(run)) {
		run_suspend(run);
		return;
	}
	run_give_fds(run);
	remove_temporaries(run);
	close_rest(run);
}

void run_close(struct run *run)
{
	run->phase = RUN_PHASE_CLOSING;
	run->timer = loop_source_free(run->timer);
	run->wall = loop_source_free(run->wall);
	run->defer = loop_source_free(run->defer);
	run->input_check = input_check_free(run->input_check);
	run_give_spare_fds(run);
	run->is_retry = !run->is_stopping && is_worth_retrying(run);
	if (is_unfinished(run)) {
		end_unfinished(run);
		return;
	}
	run_give_fds(run);
	if (run->is_committed) {
		close_rest(run);
		return;
	}
	remove_temporaries(run);
	if (run->recovered == NULL) {
		keep_rejects(run);
	}
	write_failure(run);
}

/* --- commit ----------------------------------------------------------------------------------- */

static void on_output_unsynced(void *userdata)
{
	run_lose_sync(userdata);
}

static void on_committed(void *userdata, int status, enum job_reason reason, const char *message)
{
	struct run *run = userdata;
	char text[NUM_TEXT_SIZE];
	bool is_failed = status < 0 || reason != JOB_REASON_OK;

	if (is_failed) {
		failure_set(&run->failure, reason != JOB_REASON_OK ? reason : JOB_REASON_IO_ERROR,
			    "%s", message != NULL ? message : strerror(-status));
	}
	run->commit = commit_free(run->commit); /* and the message with it */
	if (is_failed) {
		run->is_sync_lost = true; /* and the temporary files are gone */
		run_close(run);
		return;
	}
	run->is_committed = true;
	run->job->unsaved = status == COMMIT_UNSYNCED  ? JOB_LEFT_TO_NEXT_START
			    : status == COMMIT_UNSAVED ? JOB_UNSAVED
						       : JOB_SAVED;
	log_job(LOG_LEVEL_NOTICE, run->job->id, -1, "%s: %s rows, %" PRId64 " of them rejected%s%s",
		job_state_name(run->result->state),
		num_format_count(text, (uint64_t)run->result->total_processed),
		run->result->error_count, run->failure.message[0] != '\0' ? ": " : "",
		run->failure.message);
	run_close(run);
}

static int fill_output(struct run *run, size_t index, struct commit_output *output)
{
	const struct output_file *file = &run->outputs.files[index];
	const struct target *target = file->target;
	const struct output_spec *spec = &run->job->spec->pipes[index / 2].output;
	CLEANUP(buf_deinit) struct buf path = BUF_INIT;

	if (strcmp(target->directory, ".") != 0) {
		buf_printf(&path, "%s/", target->directory);
	}
	buf_add_str(&path, file->temporary);
	*output = (struct commit_output){
		.root = (unsigned)target->root,
		.fd = file->fd,
		.dir_fd = file->dir_fd,
		.temporary_name = strdup(file->temporary),
		.target_name = strdup(target->name),
		.temporary_path = buf_take(&path),
		.target_path = strdup(target->relative),
		.size_bytes = accepted_end(run, index),
		.is_errors = target->is_errors,
		.is_noreplace = !target->is_errors && spec->if_exists == OUTPUT_IF_EXISTS_FAIL,
		.head_name = target->is_errors ? file->rejects_name : NULL,
		.is_published = target->is_errors || run->failure.reason == JOB_REASON_OK,
	};
	return output->temporary_name == NULL || output->target_name == NULL ||
			       output->temporary_path == NULL || output->target_path == NULL
		       ? -ENOMEM
		       : 0;
}

/* Errors first: where the output is, its rejects are already. */
static int fill_outputs(struct run *run)
{
	size_t n_files = run->outputs.n_files;

	run->commit_outputs = calloc(n_files, sizeof(*run->commit_outputs));
	if (run->commit_outputs == NULL) {
		return -ENOMEM;
	}
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 1 - pass; i < n_files; i += 2) {
			size_t *n_outputs = &run->commit_options.n_outputs;

			if (run->outputs.files[i].target == NULL) {
				continue;
			}
			int r = fill_output(run, i, &run->commit_outputs[(*n_outputs)++]);
			if (r < 0) {
				return r;
			}
		}
	}
	return 0;
}

int run_publish(struct run *run)
{
	bool is_ok = run->result->state == JOB_STATE_COMPLETED;

	run->commit_options.loop = run->env->loop;
	run->commit_options.storage = run->storage;
	run->commit_options.job_dir_fd = run->job_dir_fd;
	run->commit_options.active_dir_fd = run->env->active_dir_fd;
	run->commit_options.receipt_dir_fd = is_ok ? run->env->done_dir_fd
						   : run->env->failed_dir_fd;
	run->commit_options.receipt = run->job->receipt;
	run->commit_options.result = run->result;
	run->commit_options.outputs = run->commit_outputs;
	run->commit_options.unsynced = on_output_unsynced;
	run->result->finished_at_ns = 0; /* not yet: the commit takes time too */
	int r = commit_start(&run->commit_options, on_committed, run, &run->commit);
	if (r == 0) {
		run->phase = RUN_PHASE_COMMITTING;
	}
	return r;
}

static void step_commit(struct run *run)
{
	int r = fill_outputs(run);

	if (r == 0) {
		conclude_result(run);
		r = run_publish(run);
	}
	if (r < 0) {
		run->failure.reason = JOB_REASON_OK;
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot publish the outputs", r);
	}
}

/* --- rejects that stay in the state ----------------------------------------------------------- */

static void on_settled(void *userdata, int status)
{
	struct run *run = userdata;
	bool is_unwinding = run->failure.reason != JOB_REASON_OK &&
			    run->failure.reason != JOB_REASON_REJECTS_EXCEEDED;

	run->batch = batch_free(run->batch);
	if (is_unwinding || run->is_stopping) {
		run_close(run);
	} else if (status < 0) {
		run_lose_sync(run);
		run->failure.reason = JOB_REASON_OK;
		run_fail_step(run, JOB_REASON_IO_ERROR,
			      "cannot write the first rejects to the state", status);
	} else {
		step_commit(run);
	}
}

static bool is_written(const struct output_file *file)
{
	struct stat st;

	return file->target == NULL && file->fd >= 0 &&
	       (fstat(file->fd, &st) < 0 || st.st_size > 0);
}

static void step_settle(struct run *run)
{
	run->phase = RUN_PHASE_SETTLING;
	int r = batch_new(run->env->loop, run->storage, run->job->id, on_settled, run, &run->batch);
	if (r < 0) {
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot settle", r);
		return;
	}
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		if (is_written(&run->outputs.files[i])) {
			batch_finish_file(run->batch, run->outputs.files[i].fd,
					  accepted_end(run, i));
		}
	}
	batch_seal(run->batch);
}

/* --- the verdict ------------------------------------------------------------------------------ */

/* What was accepted must be in the files. */
static int check_account(const struct run *run, struct failure *ret_failure)
{
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		const struct output_file *file = &run->outputs.files[i];
		struct stat st;

		if (fstat(file->fd, &st) < 0) {
			failure_set(ret_failure, JOB_REASON_IO_ERROR, "%s: %s", file->temporary,
				    strerror(errno));
			return -EIO;
		}
		if ((uint64_t)st.st_size < accepted_end(run, i)) {
			failure_set(ret_failure, JOB_REASON_INTERNAL,
				    "%s holds %" PRIu64 " bytes, but %" PRIu64 " were accepted",
				    file->temporary, (uint64_t)st.st_size, accepted_end(run, i));
			return -EIO;
		}
	}
	struct fold_state sum = lanes_sum(&run->lanes);
	if (sum.rows != sum.success + sum.error + sum.filtered) {
		failure_set(ret_failure, JOB_REASON_INTERNAL, "the rows do not add up");
		return -EPROTO;
	}
	return 0;
}

static void judge_rejects(const struct run *run, size_t pipe, struct failure *failure)
{
	const struct pipe_spec *spec = &run->job->spec->pipes[pipe];
	const struct fold_state *state = &run->lanes.states[pipe];

	if (state->rows == 0 || state->error == 0) {
		return;
	}
	if (state->error == state->rows) {
		failure_set(failure, JOB_REASON_REJECTS_EXCEEDED,
			    "%s: every row was rejected, %" PRIu64
			    " of them; is the delimiter right?",
			    spec->input.path, state->error);
	} else if ((double)state->error > spec->errors.max_ratio * (double)state->rows) {
		failure_set(failure, JOB_REASON_REJECTS_EXCEEDED,
			    "%s: %" PRIu64 " of %" PRIu64
			    " rows were rejected, more than errors.max_ratio %g allows",
			    spec->input.path, state->error, state->rows, spec->errors.max_ratio);
	}
}

static void on_inputs_checked(void *userdata, const struct failure *failure)
{
	struct run *run = userdata;
	struct failure fault = *failure;

	run->input_check = input_check_free(run->input_check);
	if (fault.reason != JOB_REASON_OK || check_account(run, &fault) < 0) {
		run->failure.reason = JOB_REASON_OK;
		run_abandon(run, &fault);
		return;
	}
	for (size_t i = 0; i < run->lanes.n_lanes; i++) {
		if (run->failure.reason == JOB_REASON_OK) {
			judge_rejects(run, i, &run->failure);
		}
	}
	step_settle(run);
}

static void on_checkpoint_settled(void *userdata)
{
	struct run *run = userdata;

	if (run->phase == RUN_PHASE_CHECKING) {
		run_conclude(run);
	}
}

void run_conclude(struct run *run)
{
	bool is_publishable = run->failure.reason == JOB_REASON_OK ||
			      run->failure.reason == JOB_REASON_REJECTS_EXCEEDED;

	if (!is_publishable || run->is_stopping) {
		run_close(run);
		return;
	}
	run->phase = RUN_PHASE_CHECKING;
	if (run->checkpoint != NULL &&
	    !checkpoint_settle(run->checkpoint, on_checkpoint_settled, run)) {
		return; /* a failed sync must be heard of before the outputs are published */
	}
	struct input_check_options options = {
		.loop = run->env->loop,
		.plan = run->plan,
		.root_fds = run->env->options.root_fds,
		.fn = on_inputs_checked,
		.userdata = run,
	};
	int r = input_check_start(&options, &run->input_check);
	if (r < 0) {
		run->failure.reason = JOB_REASON_OK;
		run_fail_step(run, JOB_REASON_INTERNAL, "cannot check the inputs", r);
	}
}

/* --- stop ------------------------------------------------------------------------------------- */

void run_stop(struct run *run)
{
	struct failure failure;

	if (run->failure.reason == JOB_REASON_CANCELLED && run->commit == NULL) {
		/* Someone was told that it is cancelled: it must not run again, so it ends now. */
		if (run->pool != NULL) {
			pool_stop(run->pool, &run->failure, 0);
		}
		return;
	}
	run->is_stopping = true;
	if (run->commit != NULL) {
		/* It may hang on a slow disk; the next start finds out how far it came. */
		run->storage = storage_free(run->storage);
		run->commit = commit_free(run->commit);
		run->phase = RUN_PHASE_ENDED;
		leave_to_next_run(run);
		run->callbacks.ended(run->callbacks.userdata, run->job, NULL);
		return;
	}
	failure_set(&failure, JOB_REASON_CANCELLED, "the daemon stops");
	run_abandon(run, &failure);
}
