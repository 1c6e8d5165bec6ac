/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/*
 * The moving numbers of a running job: held maxima, rate, estimate. Pure: the caller brings the
 * clock.
 */

/* Rows, split up; the sum of the three is what was processed. */
struct progress_rows {
	int64_t success, error, filtered;
};

struct progress {
	struct progress_rows live; /* never goes back */
	double ratio;		   /* 0..1 of the input, never goes back */
	double rows_per_second;	   /* weighted: what is two seconds old counts a third */
	double ratio_per_second;
	int64_t started_ns, updated_ns; /* CLOCK_MONOTONIC */
};

void progress_start(struct progress *progress, int64_t now_ns);

/* Goes on from what an earlier run had done: it counts for no rate. */
void progress_resume(struct progress *progress, int64_t now_ns, const struct progress_rows *rows,
		     double ratio);

/* rows and ratio as they look now; what is below the values held is ignored. */
void progress_update(struct progress *progress, int64_t now_ns, const struct progress_rows *rows,
		     double ratio);

int64_t progress_total(const struct progress *progress);

/* Seconds until ratio 1 at the current pace; -1: not known. */
double progress_eta_seconds(const struct progress *progress);
