/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/buf.h"
#include "daemon/ctl/job_info.h"

/* A running job in one line. Pure: nothing here knows of terminals. */

/* Exactly fits into `width` columns; no line end. Narrow screens lose the least telling parts. */
void bar_add(struct buf *out, const struct job_info *info, size_t width);

/* The same numbers as words, for logs; with a line end. */
void bar_add_plain(struct buf *out, const struct job_info *info);
