/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/sched/account.h"
#include "daemon/sched/env.h"

/*
 * What lets a job go on after the machine has gone down: every checkpoint_interval the account is
 * taken, the outputs are synced, and then the account is written to one of two records in turn,
 * `checkpoint-0` and `checkpoint-1` in the job's state directory, and synced. The plan is saved
 * beside them before the first.
 */
struct checkpoint;

enum { CHECKPOINT_N_RECORDS = 2, CHECKPOINT_NAME_SIZE = 24 };

struct checkpoint_options {
	struct sched_env *env;
	struct storage *storage; /* the run's: a checkpoint is over before its commit begins */
	const char *job_id;
	int job_dir_fd, run_dir_fd;
	const int *output_fds;
	size_t n_output_fds;
	bool is_plan_saved;
	unsigned next_record; /* whose turn it is */
	/* Adds the encoded account as it is now. Returns 1; 0 if nothing is new; -errno. */
	int (*take)(void *userdata, struct buf *out);
	/* What was taken is on disk. */
	void (*written)(void *userdata);
	/* An output could not be synced: what became of its bytes is not known. Not called twice.
	 */
	void (*failed)(void *userdata, int status);
	void *userdata;
};

/* The first one is due after an interval. options are copied, what they point to is borrowed. */
int checkpoint_new(const struct checkpoint_options *options,
		   struct checkpoint **ret_checkpoint) MUST_CHECK;

/* Takes one now, unless one is under way. */
void checkpoint_now(struct checkpoint *checkpoint);

typedef void (*checkpoint_settled_fn)(void *userdata);

/*
 * No more are taken. True: none is under way; false: fn is called once that has ended, unless it
 * fails.
 */
bool checkpoint_settle(struct checkpoint *checkpoint, checkpoint_settled_fn fn, void *userdata);

/* The job has ended: no more are taken, and one under way comes to no record any more. */
void checkpoint_give_up(struct checkpoint *checkpoint);

/* If one is under way, its storage must have been freed. */
struct checkpoint *checkpoint_free(struct checkpoint *checkpoint);

void checkpoint_record_name(unsigned record, char ret_name[static CHECKPOINT_NAME_SIZE]);

/*
 * The newest whole record in a job's state directory. Returns 0 with *ret_next_record, which must
 * not overwrite it; -ENOENT: there is none; -ENOMEM.
 */
int checkpoint_read(int job_dir_fd, struct account *ret_account,
		    unsigned *ret_next_record) MUST_CHECK;
