/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/buf.h"
#include "daemon/http/live.h"

/*
 * The landing page: HTML without scripts or anything from elsewhere, which loads itself anew every
 * other second. Begin, one row for each job, end.
 */
void render_page_begin(struct buf *out, const struct live_view *live);
void render_page_job(struct buf *out, const struct job_view *job);
/* n_left_out: jobs that got no row. */
void render_page_end(struct buf *out, size_t n_left_out);
