/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/job_view.h"
#include "daemon/core/directories.h"
#include "daemon/spool/spool.h"

/*
 * Files and free space per area, for the metrics. Free space is sampled, not asked at each scrape:
 * a scrape must not hang on a file system that does.
 */

/* Directories that are shown as one area: the one that has the least space left stands for all. */
struct space_place {
	const char *name;   /* "state" */
	const int *dir_fds; /* borrowed */
	size_t n_dirs;	    /* at least 1 */
};

enum { SPACE_MAX_PLACES = 4, SPACE_MAX = SPOOL_N_AREAS + SPACE_MAX_PLACES };

struct space {
	int spool_dir_fd;
	struct space_place places[SPACE_MAX_PLACES];
	size_t n_places;
	int64_t sampled_at_ns; /* 0: never */
	struct area_view views[SPACE_MAX];
};

/* Of the daemon's own directories, which stay open as long as the space is used. */
void space_init(struct space *ret_space, const struct directories *dirs);

/* Looks again if the last sample is older than 30 s; counts are those of `spool` (may be NULL). */
size_t space_get(struct space *space, const struct spool *spool,
		 const struct area_view **ret_views);
