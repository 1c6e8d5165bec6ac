/* SPDX-License-Identifier: MIT */
/*
 * The order is the whole point: a record that is on disk says that the rows before its watermark
 * are on disk too. So each step begins when the one before has ended well:
 *
 *	PLAN	plan.json is saved, once
 *	SYNC	fdatasync of every output; a failure fails the attempt, since the kernel may have
 *		dropped the pages and no later fdatasync of them would say so
 *	RECORD	the account as it was before SYNC is written over the older record and synced; a
 *		failure leaves the newer one
 *
 * A job that ends within the first interval never gets here.
 */
#include "daemon/sched/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/plan.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/batch.h"
#include "daemon/sched/plan_file.h"

#define RECORD_MAX_BYTES (1u << 20)

enum step {
	STEP_IDLE,
	STEP_PLAN,
	STEP_SYNC,
	STEP_RECORD,
};

struct checkpoint {
	struct checkpoint_options options;
	struct loop_source *timer;
	enum step step;
	struct batch *batch;
	struct buf record;
	unsigned next_record;
	bool is_plan_saved;
	bool is_over; /* takes no more */
	bool is_given_up;
	checkpoint_settled_fn settled;
	void *settled_userdata;
};

static void on_step(void *userdata, int status);

static int add_plan(struct checkpoint *checkpoint)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	int r = plan_file_read_text(checkpoint->options.run_dir_fd, &text);

	if (r == 0) {
		batch_write(checkpoint->batch, checkpoint->options.job_dir_fd, PLAN_FILE_NAME,
			    text.data, text.len);
	}
	return r;
}

static void add_record(struct checkpoint *checkpoint)
{
	char name[CHECKPOINT_NAME_SIZE];

	checkpoint_record_name(checkpoint->next_record, name);
	batch_write_record(checkpoint->batch, checkpoint->options.job_dir_fd, name,
			   checkpoint->record.data, checkpoint->record.len);
}

/* Begins a step. Returns 0 or -errno: then nothing is under way. */
static int begin(struct checkpoint *checkpoint, enum step step)
{
	const struct checkpoint_options *options = &checkpoint->options;
	int r = batch_new(options->env->loop, options->storage, options->job_id, on_step,
			  checkpoint, &checkpoint->batch);

	if (r < 0) {
		return r;
	}
	if (step == STEP_PLAN) {
		r = add_plan(checkpoint);
	} else if (step == STEP_SYNC) {
		for (size_t i = 0; i < options->n_output_fds; i++) {
			batch_sync_file(checkpoint->batch, options->output_fds[i]);
		}
	} else {
		add_record(checkpoint);
	}
	if (r < 0) {
		checkpoint->batch = batch_free(checkpoint->batch);
		return r;
	}
	checkpoint->step = step;
	batch_seal(checkpoint->batch);
	return 0;
}

static void arm(struct checkpoint *checkpoint)
{
	int64_t interval_ns = checkpoint->options.env->options.checkpoint_interval_ns;
	int r = loop_timer_arm(checkpoint->timer, clock_monotonic_ns() + interval_ns);

	if (r < 0) {
		log_job(LOG_LEVEL_ERROR, checkpoint->options.job_id, -1,
			"cannot set the timer of the checkpoints: %s", strerror(-r));
	}
}

/* Whatever became of this one. The last act of a call back: the receiver may free us. */
static void rest(struct checkpoint *checkpoint)
{
	checkpoint->step = STEP_IDLE;
	buf_clear(&checkpoint->record);
	if (checkpoint->settled != NULL) {
		checkpoint->settled(checkpoint->settled_userdata);
	} else if (!checkpoint->is_over) {
		arm(checkpoint);
	}
}

static void give_up(struct checkpoint *checkpoint, int status)
{
	log_job(LOG_LEVEL_WARNING, checkpoint->options.job_id, -1,
		"no checkpoint this time (%s); the one before counts", strerror(-status));
	rest(checkpoint);
}

static void on_step(void *userdata, int status)
{
	struct checkpoint *checkpoint = userdata;
	enum step step = checkpoint->step;

	checkpoint->batch = batch_free(checkpoint->batch);
	if (status < 0 && step == STEP_SYNC) {
		checkpoint->step = STEP_IDLE;
		checkpoint->is_over = true;
		checkpoint->options.failed(checkpoint->options.userdata, status);
		return;
	}
	if (status < 0) {
		give_up(checkpoint, status);
		return;
	}
	if (checkpoint->is_given_up) {
		checkpoint->step = STEP_IDLE;
		return;
	}
	if (step == STEP_RECORD) {
		checkpoint->next_record = (checkpoint->next_record + 1) % CHECKPOINT_N_RECORDS;
		checkpoint->options.written(checkpoint->options.userdata);
		rest(checkpoint);
		return;
	}
	checkpoint->is_plan_saved = true;
	int r = begin(checkpoint, step + 1);
	if (r < 0) {
		give_up(checkpoint, r);
	}
}

void checkpoint_now(struct checkpoint *checkpoint)
{
	if (checkpoint->is_over || checkpoint->step != STEP_IDLE) {
		return;
	}
	int r = checkpoint->options.take(checkpoint->options.userdata, &checkpoint->record);
	if (r > 0) {
		r = begin(checkpoint, checkpoint->is_plan_saved ? STEP_SYNC : STEP_PLAN);
	} else if (r == 0) {
		arm(checkpoint);
	}
	if (r < 0) {
		give_up(checkpoint, r);
	}
}

static void on_timer(void *userdata, int64_t now_ns)
{
	checkpoint_now(userdata);
}

bool checkpoint_settle(struct checkpoint *checkpoint, checkpoint_settled_fn fn, void *userdata)
{
	checkpoint->is_over = true;
	checkpoint->settled = fn;
	checkpoint->settled_userdata = userdata;
	return checkpoint->step == STEP_IDLE;
}

void checkpoint_give_up(struct checkpoint *checkpoint)
{
	checkpoint->is_over = true;
	checkpoint->is_given_up = true;
}

int checkpoint_new(const struct checkpoint_options *options, struct checkpoint **ret_checkpoint)
{
	struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));

	if (checkpoint == NULL) {
		return -ENOMEM;
	}
	checkpoint->options = *options;
	checkpoint->is_plan_saved = options->is_plan_saved;
	checkpoint->next_record = options->next_record % CHECKPOINT_N_RECORDS;
	int r = loop_add_timer(options->env->loop, on_timer, checkpoint, &checkpoint->timer);
	if (r < 0) {
		free(checkpoint);
		return r;
	}
	arm(checkpoint);
	*ret_checkpoint = checkpoint;
	return 0;
}

struct checkpoint *checkpoint_free(struct checkpoint *checkpoint)
{
	if (checkpoint != NULL) {
		batch_free(checkpoint->batch);
		loop_source_free(checkpoint->timer);
		buf_deinit(&checkpoint->record);
		free(checkpoint);
	}
	return NULL;
}

void checkpoint_record_name(unsigned record, char ret_name[static CHECKPOINT_NAME_SIZE])
{
	snprintf(ret_name, CHECKPOINT_NAME_SIZE, "checkpoint-%u", record);
}

/* 1: this one is the newest so far; 0: it is not, is missing, torn or of another version. */
static int read_record(int job_dir_fd, unsigned record, struct account *newest)
{
	CLEANUP(buf_deinit) struct buf data = BUF_INIT;
	char name[CHECKPOINT_NAME_SIZE];

	checkpoint_record_name(record, name);
	CLEANUP(fd_closep)
	int fd = openat(job_dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : fd_read_all(fd, RECORD_MAX_BYTES, &data);
	if (r == -ENOMEM) {
		account_deinit(newest);
		return r;
	}
	return r < 0 || data.len == 0 ? 0 : account_keep_newest(newest, data.data, data.len);
}

int checkpoint_read(int job_dir_fd, struct account *ret_account, unsigned *ret_next_record)
{
	struct account newest = {0};
	unsigned newest_record = 0;

	for (unsigned record = 0; record < CHECKPOINT_N_RECORDS; record++) {
		int r = read_record(job_dir_fd, record, &newest);

		if (r < 0) {
			return r;
		}
		newest_record = r > 0 ? record : newest_record;
	}
	if (newest.owned == NULL) {
		return -ENOENT;
	}
	*ret_account = newest;
	*ret_next_record = (newest_record + 1) % CHECKPOINT_N_RECORDS;
	return 0;
}
