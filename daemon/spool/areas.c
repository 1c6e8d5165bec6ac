/* SPDX-License-Identifier: MIT */

#include "daemon/spool/areas.h"

#include <sys/statvfs.h>

#include "common/util/clock.h"

#define AREAS_INTERVAL_NS (30 * CLOCK_NS_PER_SEC)

static int64_t avail_bytes(int dir_fd)
{
	struct statvfs vfs;

	return fstatvfs(dir_fd, &vfs) < 0 ? -1 : (int64_t)(vfs.f_bavail * vfs.f_frsize);
}

static void sample(struct areas *areas)
{
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		areas->views[i] = (struct area_view){.name = spool_area_name((enum spool_area)i),
						     .avail_bytes = -1};
	}
	areas->views[SPOOL_INCOMING].avail_bytes = avail_bytes(areas->spool_dir_fd);
	for (size_t i = 0; i < areas->n_places; i++) {
		areas->views[SPOOL_N_AREAS + i] = (struct area_view){
			.name = areas->places[i].name,
			.n_files = -1,
			.avail_bytes = avail_bytes(areas->places[i].dir_fd)};
	}
}

size_t areas_get(struct areas *areas, const struct spool *spool, const struct area_view **ret_views)
{
	int64_t now_ns = clock_monotonic_ns();

	if (areas->sampled_at_ns == 0 || now_ns - areas->sampled_at_ns > AREAS_INTERVAL_NS) {
		sample(areas);
		areas->sampled_at_ns = now_ns;
	}
	for (int i = 0; spool != NULL && i < SPOOL_N_AREAS; i++) {
		areas->views[i].n_files = spool_count(spool, (enum spool_area)i);
	}
	*ret_views = areas->views;
	return SPOOL_N_AREAS + areas->n_places;
}
