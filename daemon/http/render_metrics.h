/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/model/job_view.h"
#include "common/util/buf.h"
#include "daemon/http/live.h"

/* Everything that /metrics tells, as plain values. */
struct metrics_view {
	const struct totals_view *totals;
	const struct area_view *areas;
	size_t n_areas;
	const struct live_view *live;
	struct live_process process;
	bool is_config_ok; /* the last reload was */
};

enum metrics_format {
	METRICS_PROMETHEUS,  /* text format 0.0.4 */
	METRICS_OPENMETRICS, /* 1.0.0 */
};

const char *render_metrics_content_type(enum metrics_format format);

/* Adds the whole exposition. The names in totals are distinct: each makes a series. */
void render_metrics(struct buf *out, const struct metrics_view *view, enum metrics_format format);
