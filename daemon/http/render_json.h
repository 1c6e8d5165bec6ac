/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_view.h"
#include "common/util/buf.h"
#include "daemon/http/live.h"

/*
 * Views -> compact JSON, as the API shows them (zooparallel(1) and the manual name the fields).
 * What is not known is null; times are given twice, as text and as seconds since 1970.
 */

/* One flat object. */
void render_json_job(struct buf *out, const struct job_view *job);

/* {"job_id":..., "workers":[...]}; empty unless the job runs. */
void render_json_workers(struct buf *out, const struct job_view *job);

struct status_view {
	const struct totals_view *totals;
	const struct area_view *areas;
	size_t n_areas;
	const struct live_view *live;
	struct live_process process;
	double loop_age_seconds;
	bool is_ready;
	struct buf *reasons; /* why not, a sentence a line */
	bool is_config_ok;
};

/* "reasons":["...","..."] of a sentence a line. */
void render_json_reasons(struct buf *out, struct buf *lines);

/* The aggregate over all jobs and workers. */
void render_json_status(struct buf *out, const struct status_view *view);

/*
 * One line of a file of rejected rows -> its JSON object, without `row` and `row_base64` unless
 * with_row. Returns false, and adds nothing, if the line is no JSON object (the writer may be
 * half-way through it).
 */
bool render_json_reject(struct buf *out, const char *line, size_t len, bool with_row);
