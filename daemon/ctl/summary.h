/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/job_state.h"
#include "common/util/buf.h"
#include "daemon/ctl/job_info.h"

/* How a job that has ended is told to people. Pure: JSON in, text out. */

/* One line: state, reason if any, name, ID, rows, time. */
void summary_add_line(struct buf *out, const struct job_info *info);

struct summary_options {
	const char *data_root; /* put before relative paths; NULL: leave them as they are */
	const json_t *rejects; /* array of the first error rows, or NULL */
	bool color;
};

/* The end of a run: the account, the speed, where things are; for a failure why, and what to do. */
void summary_add_all(struct buf *out, const struct job_info *info,
		     const struct summary_options *options);

/* What to try after a job has ended like this; NULL: nothing. */
const char *summary_hint(enum job_reason reason);
