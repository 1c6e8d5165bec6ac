/* SPDX-License-Identifier: MIT */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* How a worker process ended, whatever its mode; info is what waitid(2) said. */

/* What the worker processes of a run have come to. */
struct worker_tally {
	int64_t exits_ok, exits_error, exits_signal;
	int64_t restarts;
	int64_t stats_files_invalid;
};

enum { WORKER_END_TEXT_SIZE = 128 };

/* Counts it by cause. */
void worker_end_count(struct worker_tally *tally, const siginfo_t *info);

bool worker_end_is_exit(const siginfo_t *info, int code);

/*
 * Whether it can be the fault of what the worker was doing: a signal that the kernel sends for what
 * a program does, or an exit. Any other signal came from outside.
 */
bool worker_end_is_fault(const siginfo_t *info);

/* "was killed by signal 9 (Killed)", "ended with exit code 3", "ended before its work was done" */
void worker_end_describe(const siginfo_t *info, char ret_text[static WORKER_END_TEXT_SIZE]);
