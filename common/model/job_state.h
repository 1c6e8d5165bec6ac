/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "common/util/macro.h"

enum job_state {
	JOB_STATE_PENDING,
	JOB_STATE_RUNNING,
	JOB_STATE_COMPLETED,
	JOB_STATE_FAILED,
	JOB_STATE_ABORTED,
	JOB_N_STATES
};

/* Why a job came to its end. A job that has not ended has JOB_REASON_OK. */
enum job_reason {
	JOB_REASON_OK,
	JOB_REASON_REJECTS_EXCEEDED,
	JOB_REASON_INPUT_MISSING,
	JOB_REASON_INPUT_UNREADABLE,
	JOB_REASON_INPUT_CHANGED,
	JOB_REASON_OUTPUT_EXISTS,
	JOB_REASON_OUTPUT_UNWRITABLE,
	JOB_REASON_PATH_DENIED,
	JOB_REASON_IO_ERROR,
	JOB_REASON_NO_SPACE,
	JOB_REASON_WORKER_CRASH,
	JOB_REASON_MEMORY_LIMIT,
	JOB_REASON_TIMEOUT,
	JOB_REASON_STALLED,
	JOB_REASON_CANCELLED,
	JOB_REASON_INTERNAL,
	JOB_N_REASONS
};

/* "pending", "rejects_exceeded": the words of the API and of every file. Never NULL. */
const char *job_state_name(enum job_state state);
const char *job_reason_name(enum job_reason reason);

/* -EINVAL if there is no such name. */
int job_state_parse(const char *name, enum job_state *ret) MUST_CHECK;
int job_reason_parse(const char *name, enum job_reason *ret) MUST_CHECK;

/* Whether the step is one of the life cycle's; no state becomes itself. */
bool job_state_may_become(enum job_state from, enum job_state to);

/* Completed, failed or aborted. */
bool job_state_is_final(enum job_state state);

/* The final state that a job ends in for this reason. */
enum job_state job_reason_state(enum job_reason reason);
