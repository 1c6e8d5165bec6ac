/* SPDX-License-Identifier: MIT */

/*
 * statvfs(2) can hang with a file system that does, so it is asked at most twice a minute and not
 * once per scrape; the counts are the spool's own, kept up by its events.
 */
#include "daemon/spool/space.h"

#include <sys/statvfs.h>

#include "common/util/clock.h"

#define SPACE_INTERVAL_NS (30 * CLOCK_NS_PER_SEC)

struct room {
	int64_t avail_bytes, size_bytes; /* -1: not known */
};

static struct room room_at(int dir_fd)
{
	struct statvfs vfs;

	if (fstatvfs(dir_fd, &vfs) < 0) {
		return (struct room){-1, -1};
	}
	return (struct room){(int64_t)(vfs.f_bavail * vfs.f_frsize),
			     (int64_t)(vfs.f_blocks * vfs.f_frsize)};
}

/* The least room that is known. */
static struct room room_of(const struct space_place *place)
{
	struct room least = {-1, -1};

	for (size_t i = 0; i < place->n_dirs; i++) {
		struct room room = room_at(place->dir_fds[i]);

		if (least.avail_bytes < 0 ||
		    (room.avail_bytes >= 0 && room.avail_bytes < least.avail_bytes)) {
			least = room;
		}
	}
	return least;
}

static void sample(struct space *space)
{
	struct room room = room_at(space->spool_dir_fd);

	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		space->views[i] = (struct area_view){.name = spool_area_name((enum spool_area)i),
						     .avail_bytes = -1,
						     .size_bytes = -1};
	}
	space->views[SPOOL_INCOMING].avail_bytes = room.avail_bytes;
	space->views[SPOOL_INCOMING].size_bytes = room.size_bytes;
	for (size_t i = 0; i < space->n_places; i++) {
		room = room_of(&space->places[i]);
		space->views[SPOOL_N_AREAS + i] = (struct area_view){
			.name = space->places[i].name,
			.n_files = -1,
			.avail_bytes = room.avail_bytes,
			.size_bytes = room.size_bytes};
	}
}

void space_init(struct space *ret_space, const struct directories *dirs)
{
	*ret_space = (struct space){.spool_dir_fd = dirs->spool,
				    .places = {{"state", &dirs->state, 1},
					       {"run", &dirs->run, 1},
					       {"data", dirs->roots, dirs->n_roots}},
				    .n_places = 3};
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
