/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "common/model/job_state.h"
#include "common/util/macro.h"

/* Why a job cannot go on: a reason from the fixed list and a sentence for people. */
enum { FAILURE_MESSAGE_SIZE = 512 };

struct failure {
	enum job_reason reason;		    /* JOB_REASON_OK: nothing has failed */
	bool is_passing;		    /* for want of memory or descriptors */
	char message[FAILURE_MESSAGE_SIZE]; /* UTF-8, one line */
};

/*
 * Sets reason and sentence. The text is cut at a character's border; control characters and bytes
 * that are not UTF-8 become `?`, since parts of it may come from a worker.
 */
void failure_set(struct failure *failure, enum job_reason reason, const char *format, ...)
	PRINTF_FORMAT(3, 4);

/* no_space for what a full disk or quota answers, else `otherwise`. error: an errno, positive. */
enum job_reason failure_reason_of(int error, enum job_reason otherwise);

/* Memory and descriptors come back; a directory that is gone does not. error: positive. */
bool failure_is_passing(int error);
