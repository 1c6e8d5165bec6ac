/* SPDX-License-Identifier: MIT */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/model/job_state.h"
#include "common/model/worker_cause.h"

/* How a worker process ended, whatever its mode; info is what waitid(2) said. */
struct oom;

/* What the worker processes of a run have come to. */
struct worker_tally {
	int64_t exits[WORKER_N_CAUSES];
	int64_t restarts;
	int64_t stats_files_invalid;
};

enum { WORKER_END_TEXT_SIZE = 128 };

/* That the supervisor itself has sent a worker SIGKILL, and why. Zeros: it has not. */
struct worker_kill {
	bool is_sent;
	enum worker_cause cause;	 /* OK: there was no more need for it */
	char what[WORKER_END_TEXT_SIZE]; /* as in struct worker_end; "": nobody will ask */
};

struct worker_end {
	enum worker_cause cause;
	/* "was killed by signal 9 (Killed)", "ended with exit code 3" */
	char what[WORKER_END_TEXT_SIZE];
};

void worker_end_judge(const siginfo_t *info, const struct worker_kill *kill, struct oom *oom,
		      struct worker_end *ret_end);

bool worker_end_is_exit(const siginfo_t *info, int code);

/*
 * Whether its sandbox has ended it: no fault of a chunk or a row, but one of ours, or someone who
 * has taken the process over. It is not to be tried again.
 */
bool worker_end_is_refused(const siginfo_t *info);

/*
 * Whether it can be the fault of what the worker was doing: a signal that the kernel sends for what
 * a program does, an exit, or a kill of ours for it. Any other signal came from outside.
 */
bool worker_end_is_fault(const siginfo_t *info, const struct worker_end *end);

/* Why a job fails whose workers end like that again and again. */
enum job_reason worker_end_reason(enum worker_cause cause);
