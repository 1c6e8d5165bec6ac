/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/chunk_table.h"
#include "common/model/job_state.h"
#include "common/util/macro.h"

/* Why this worker can't go on: what it reports before it exits with WORKER_EXIT_REPORTED. */
struct report {
	enum job_reason reason; /* JOB_REASON_OK: none */
	char message[CHUNK_TABLE_MESSAGE_MAX];
};

/* Sets it and returns -1, for `return report_set(...)`. */
int report_set(struct report *report, enum job_reason reason, const char *format, ...)
	PRINTF_FORMAT(3, 4);
