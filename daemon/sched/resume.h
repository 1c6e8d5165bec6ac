/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "common/util/macro.h"
#include "daemon/sched/account.h"
#include "daemon/sched/env.h"

/* What a run that was cut off has left to go on from. */
struct resume {
	struct account account;
	/*
	 * From the runtime directory, on the same boot: plan and chunk table are there too. Else
	 * from a checkpoint: what was written after it may be lost.
	 */
	bool is_live;
	/*
	 * The same build made the rows: chunks that it wrote out of order are worth keeping.
	 * Another one goes on from the rows that have been taken over.
	 */
	bool is_same_build;
	unsigned next_record; /* of the checkpoints */
};

/*
 * Looks at what there is of job `id`: the account in its runtime directory (not if is_live_lost),
 * else the newest checkpoint. Returns 0 with *ret_resume, NULL if there is nothing; -ENOMEM.
 */
int resume_load(const struct sched_env *env, const char *id, bool is_live_lost,
		struct resume **ret_resume) MUST_CHECK;
struct resume *resume_free(struct resume *resume);
void resume_freep(struct resume **resume);
