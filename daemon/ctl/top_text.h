/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/ctl/top_data.h"

/*
 * `zooparallel top` as lines of text, the same on a screen and in a pipe. Pure. `width` is in
 * columns, 0: as wide as it gets.
 */

/*
 * The daemon in TOP_HEADER_LINES lines; without one the first says so.
 */
enum { TOP_HEADER_LINES = 2 };
void top_text_add_header(struct buf *out, const struct top_data *data, size_t width);

/* A line of titles and one for each job. 0 or -ENOMEM. */
int top_text_add_jobs(struct buf *out, const struct top_data *data, size_t width,
		      bool has_color) MUST_CHECK;

/* The same for the "workers" of /api/v1/jobs/ID/workers. */
int top_text_add_workers(struct buf *out, const json_t *workers, size_t width) MUST_CHECK;
