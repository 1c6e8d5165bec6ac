/* SPDX-License-Identifier: MIT */
/*
 * What a run leaves for the next one. The account in the runtime directory follows each fold within
 * the same turn of the loop, so nothing that a scrape has shown is ever lost with the daemon. It
 * may lag behind the table by the chunks of one turn: those are converted again, to the same bytes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util/clock.h"
#include "common/util/log.h"
#include "daemon/sched/plan_file.h"
#include "daemon/sched/resume.h"
#include "daemon/sched/run_private.h"

/* A stop waits no longer for a disk; the checkpoint before counts then. */
#define LAST_CHECKPOINT_NS (2 * CLOCK_NS_PER_SEC)

struct fold_state run_accepted(const struct run *run)
{
	struct fold_state sum = {0};

	if (run->lanes.states != NULL) {
		sum = lanes_sum(&run->lanes);
	}
	return sum;
}

/* --- the account ------------------------------------------------------------------------------ */

static struct account account_of(const struct run *run)
{
	struct account account = {
		.sequence = run->account_sequence,
		.build_id = run->env->build_id,
		.plan_checksum = run->plan->checksum,
		.saved_plan_checksum = run->saved_plan_checksum,
		.started_at_ns = run->job->started_at_ns,
		.tally = run->tally,
		.held = run->job->held,
		.n_lanes = run->lanes.n_lanes,
		.lanes = run->lanes.states,
		.inodes = run->inodes,
	};

	memcpy(account.boot_id, run->env->boot_id, sizeof(account.boot_id));
	return account;
}

static int collect_inodes(struct run *run)
{
	run->inodes = calloc(run->outputs.n_files, sizeof(*run->inodes));
	if (run->inodes == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < run->outputs.n_files; i++) {
		struct stat st;

		if (fstat(run->outputs.files[i].fd, &st) < 0) {
			return -errno;
		}
		run->inodes[i] = st.st_ino;
	}
	return 0;
}

int run_account_start(struct run *run)
{
	int r = collect_inodes(run);

	if (r == 0) {
		r = account_pages_create(run->run_dir_fd, run->lanes.n_lanes, &run->account);
	}
	if (r == 0) {
		run_account_save(run);
		r = account_pages_publish(run->run_dir_fd);
	}
	return r;
}

void run_account_save(struct run *run)
{
	if (run->account.base != NULL && !run->is_sync_lost) {
		run->account_sequence++;
		struct account account = account_of(run);

		account_pages_write(&run->account, &account);
	}
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static int take(void *userdata, struct buf *out)
{
	struct run *run = userdata;
	size_t size = account_size(run->lanes.n_lanes);
	uint64_t n_folded = run_accepted(run).n_folded;

	if (n_folded == run->n_checkpointed) {
		return 0;
	}
	int r = buf_reserve(out, size);
	if (r < 0) {
		return r;
	}
	run->account_sequence++;
	struct account account = account_of(run);

	account_encode(&account, out->data + out->len);
	out->len += size;
	run->n_taken = n_folded;
	return 1;
}

static void on_written(void *userdata)
{
	struct run *run = userdata;

	run->n_checkpointed = run->n_taken;
}

void run_lose_sync(struct run *run)
{
	run->is_sync_lost = true;
	account_pages_spoil(&run->account);
}

static void on_sync_failed(void *userdata, int status)
{
	struct run *run = userdata;
	struct failure failure;

	run_lose_sync(run);
	if (run->failure.reason == JOB_REASON_REJECTS_EXCEEDED) {
		run->failure.reason = JOB_REASON_OK; /* its error file is not to be trusted */
	}
	failure_set(&failure, failure_reason_of(-status, JOB_REASON_IO_ERROR),
		    "the outputs cannot be synced: %s", strerror(-status));
	run_abandon(run, &failure);
}

int run_checkpoint_start(struct run *run)
{
	const struct resume *resume = run->job->resume;
	bool is_resumed = resume != NULL && run->is_resumed;
	struct checkpoint_options options = {
		.env = run->env,
		.storage = run->storage,
		.job_id = run->job->id,
		.job_dir_fd = run->job_dir_fd,
		.run_dir_fd = run->run_dir_fd,
		.output_fds = run->output_fds,
		.n_output_fds = run->outputs.n_files,
		/* Another boot has saved it, with other devices: its records are of that text. */
		.is_plan_saved = is_resumed && run->saved_plan_checksum != run->plan->checksum,
		.next_record = is_resumed ? resume->next_record : 0,
		.take = take,
		.written = on_written,
		.failed = on_sync_failed,
		.userdata = run,
	};

	return checkpoint_new(&options, &run->checkpoint);
}

void run_unlink_records(struct run *run, struct batch *batch)
{
	for (unsigned record = 0; record < CHECKPOINT_N_RECORDS; record++) {
		char name[CHECKPOINT_NAME_SIZE];

		checkpoint_record_name(record, name);
		batch_unlink(batch, run->job_dir_fd, name);
	}
	batch_unlink(batch, run->job_dir_fd, PLAN_FILE_NAME);
}

/* --- the end of a run that is not the job's ----------------------------------------------------
 */

static void seal(void *userdata)
{
	struct run *run = userdata;

	run->timer = loop_source_free(run->timer);
	batch_seal(run->closing);
}

static void on_deadline(void *userdata, int64_t now_ns)
{
	struct run *run = userdata;

	log_job(LOG_LEVEL_WARNING, run->job->id, -1,
		"the last checkpoint takes too long; the one before counts");
	run_closed(run, 0);
}

/* True: it is under way. */
static bool take_last_checkpoint(struct run *run)
{
	if (run->checkpoint == NULL) {
		return false;
	}
	checkpoint_now(run->checkpoint);
	if (checkpoint_settle(run->checkpoint, seal, run)) {
		return false;
	}
	int r = loop_add_timer(run->env->loop, on_deadline, run, &run->timer);
	if (r == 0) {
		r = loop_timer_arm(run->timer, clock_monotonic_ns() + LAST_CHECKPOINT_NS);
	}
	if (r < 0) {
		log_job(LOG_LEVEL_ERROR, run->job->id, -1, "cannot set a timer: %s", strerror(-r));
	}
	return true;
}

void run_suspend(struct run *run)
{
	struct fold_state sum = run_accepted(run);

	fold_hold(&sum, &run->job->held);
	run_account_save(run);
	log_job(LOG_LEVEL_NOTICE, run->job->id, -1, "%s after %" PRIu64 " rows; it goes on %s",
		run->is_stopping ? "stopped" : "cut off", sum.rows,
		run->is_stopping ? "at the next start" : "later");
	if (run->is_sync_lost) {
		batch_remove_tree(run->closing, run->env->options.run_jobs_dir_fd, run->job->id);
	}
	if (!run->is_stopping || run->is_sync_lost || !take_last_checkpoint(run)) {
		batch_seal(run->closing);
	}
}
