/* SPDX-License-Identifier: MIT */
/*
 * The life cycle as three tables. An end without a start is real: a job can fail or be cancelled
 * while it waits in the queue. Nothing leaves a final state; a job that runs again after the
 * daemon's death is a new entry under its old ID.
 */
#include "common/model/job_state.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "common/util/str.h"

static const char *const state_names[JOB_N_STATES] = {
	[JOB_STATE_PENDING] = "pending",     [JOB_STATE_RUNNING] = "running",
	[JOB_STATE_COMPLETED] = "completed", [JOB_STATE_FAILED] = "failed",
	[JOB_STATE_ABORTED] = "aborted",
};

static const bool state_steps[JOB_N_STATES][JOB_N_STATES] = {
	[JOB_STATE_PENDING] =
		{[JOB_STATE_RUNNING] = true, [JOB_STATE_FAILED] = true, [JOB_STATE_ABORTED] = true},
	[JOB_STATE_RUNNING] = {[JOB_STATE_COMPLETED] = true,
			       [JOB_STATE_FAILED] = true,
			       [JOB_STATE_ABORTED] = true},
};

static const struct {
	const char *name;
	enum job_state state;
} reasons[JOB_N_REASONS] = {
	[JOB_REASON_OK] = {"ok", JOB_STATE_COMPLETED},
	[JOB_REASON_REJECTS_EXCEEDED] = {"rejects_exceeded", JOB_STATE_FAILED},
	[JOB_REASON_INPUT_MISSING] = {"input_missing", JOB_STATE_FAILED},
	[JOB_REASON_INPUT_UNREADABLE] = {"input_unreadable", JOB_STATE_FAILED},
	[JOB_REASON_INPUT_CHANGED] = {"input_changed", JOB_STATE_FAILED},
	[JOB_REASON_OUTPUT_EXISTS] = {"output_exists", JOB_STATE_FAILED},
	[JOB_REASON_OUTPUT_UNWRITABLE] = {"output_unwritable", JOB_STATE_FAILED},
	[JOB_REASON_PATH_DENIED] = {"path_denied", JOB_STATE_FAILED},
	[JOB_REASON_IO_ERROR] = {"io_error", JOB_STATE_FAILED},
	[JOB_REASON_NO_SPACE] = {"no_space", JOB_STATE_FAILED},
	[JOB_REASON_WORKER_CRASH] = {"worker_crash", JOB_STATE_FAILED},
	[JOB_REASON_MEMORY_LIMIT] = {"memory_limit", JOB_STATE_FAILED},
	[JOB_REASON_TIMEOUT] = {"timeout", JOB_STATE_FAILED},
	[JOB_REASON_STALLED] = {"stalled", JOB_STATE_FAILED},
	[JOB_REASON_CANCELLED] = {"cancelled", JOB_STATE_ABORTED},
	[JOB_REASON_INTERNAL] = {"internal", JOB_STATE_FAILED},
};

const char *job_state_name(enum job_state state)
{
	assert(state < JOB_N_STATES);
	return state_names[state];
}

const char *job_reason_name(enum job_reason reason)
{
	assert(reason < JOB_N_REASONS);
	return reasons[reason].name;
}

int job_state_parse(const char *name, enum job_state *ret)
{
	for (enum job_state state = 0; state < JOB_N_STATES; state++) {
		if (str_equal(name, state_names[state])) {
			*ret = state;
			return 0;
		}
	}
	return -EINVAL;
}

int job_reason_parse(const char *name, enum job_reason *ret)
{
	for (enum job_reason reason = 0; reason < JOB_N_REASONS; reason++) {
		if (str_equal(name, reasons[reason].name)) {
			*ret = reason;
			return 0;
		}
	}
	return -EINVAL;
}

bool job_state_may_become(enum job_state from, enum job_state to)
{
	assert(from < JOB_N_STATES && to < JOB_N_STATES);
	return state_steps[from][to];
}

bool job_state_is_final(enum job_state state)
{
	return state == JOB_STATE_COMPLETED || state == JOB_STATE_FAILED ||
	       state == JOB_STATE_ABORTED;
}

enum job_state job_reason_state(enum job_reason reason)
{
	assert(reason < JOB_N_REASONS);
	return reasons[reason].state;
}
