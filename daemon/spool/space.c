/* SPDX-License-Identifier: MIT */

/*
 * statvfs(2) can hang with a file system that does, so it is asked at most twice a minute and not
 * once per scrape; the counts are the spool's own, kept up by its events.
 */
#include "daemon/spool/space.h"

#include <sys/statvfs.h>

#include "common/util/clock.h"

#define SPACE_INTERVAL_NS (30 * CLOCK_NS_PER_SEC)

static int64_t avail_bytes(int dir_fd)
{
	struct statvfs vfs;

	return fstatvfs(dir_fd, &vfs) < 0 ? -1 : (int64_t)(vfs.f_bavail * vfs.f_frsize);
}

static void sample(struct space *space)
{
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		space->views[i] = (struct area_view){.name = spool_area_name((enum spool_area)i),
						     .avail_bytes = -1};
	}
	space->views[SPOOL_INCOMING].avail_bytes = avail_bytes(space->spool_dir_fd);
	for (size_t i = 0; i < space->n_places; i++) {
		space->views[SPOOL_N_AREAS + i] = (struct area_view){
			.name = space->places[i].name,
			.n_files = -1,
			.avail_bytes = avail_bytes(space->places[i].dir_fd)};
	}
}

size_t space_get(struct space *space, const struct spool *spool, const struct area_view **ret_views)
{
	int64_t now_ns = clock_monotonic_ns();

	if (space->sampled_at_ns == 0 || now_ns - space->sampled_at_ns > SPACE_INTERVAL_NS) {
		sample(space);
		space->sampled_at_ns = now_ns;
	}
	for (int i = 0; spool != NULL && i < SPOOL_N_AREAS; i++) {
		space->views[i].n_files = spool_count(spool, (enum spool_area)i);
	}
	*ret_views = space->views;
	return SPOOL_N_AREAS + space->n_places;
}
