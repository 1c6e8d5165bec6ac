/* SPDX-License-Identifier: MIT */
/*
 * Rates are exponentially weighted with a time constant of two seconds; in a run's first two
 * seconds the constant is the run's age, so the first rate is the plain average and not a slow
 * climb from zero. dt / (tau + dt) stands in for 1 - exp(-dt / tau): the same for small steps, and
 * it needs no math library.
 */
#include "daemon/sched/progress.h"

#include "common/util/clock.h"
#include "common/util/macro.h"

#define TIME_CONSTANT_SECONDS 2.0

static double seconds_between(int64_t from_ns, int64_t to_ns)
{
	return (double)(to_ns - from_ns) / (double)CLOCK_NS_PER_SEC;
}

static void rate_update(double *rate, double gain, double per_second)
{
	*rate += (per_second - *rate) * gain;
}

void progress_start(struct progress *progress, int64_t now_ns)
{
	*progress = (struct progress){.started_ns = now_ns, .updated_ns = now_ns};
}

void progress_resume(struct progress *progress, int64_t now_ns, const struct progress_rows *rows,
		     double ratio)
{
	progress_start(progress, now_ns);
	progress->live = *rows;
	progress->ratio = MIN(ratio, 1.0);
}

void progress_update(struct progress *progress, int64_t now_ns, const struct progress_rows *rows,
		     double ratio)
{
	if (now_ns <= progress->updated_ns) {
		return;
	}
	double step = seconds_between(progress->updated_ns, now_ns);
	double age = seconds_between(progress->started_ns, progress->updated_ns);
	double gain = step / (MIN(age, TIME_CONSTANT_SECONDS) + step);
	int64_t total_before = progress_total(progress);
	double ratio_before = progress->ratio;
	struct progress_rows *live = &progress->live;

	live->success = MAX(live->success, rows->success);
	live->error = MAX(live->error, rows->error);
	live->filtered = MAX(live->filtered, rows->filtered);
	progress->ratio = MAX(progress->ratio, MIN(ratio, 1.0));
	rate_update(&progress->rows_per_second, gain,
		    (double)(progress_total(progress) - total_before) / step);
	rate_update(&progress->ratio_per_second, gain, (progress->ratio - ratio_before) / step);
	progress->updated_ns = now_ns;
}

int64_t progress_total(const struct progress *progress)
{
	return progress->live.success + progress->live.error + progress->live.filtered;
}

double progress_eta_seconds(const struct progress *progress)
{
	if (progress->ratio >= 1.0) {
		return 0.0;
	}
	if (progress->ratio_per_second <= 0.0) {
		return -1.0;
	}
	return (1.0 - progress->ratio) / progress->ratio_per_second;
}
