/* SPDX-License-Identifier: MIT */
/*
 * A watch keeps the count current between two listings; each listing sets it right. Someone may
 * remove or exchange the directory under a running daemon. The descriptor and its watch then stay
 * with the old one and say nothing, so it is compared with what has the name now.
 */
#include "daemon/spool/area.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"

#define SPEC_SUFFIX  ".json"
#define ERROR_SUFFIX ".error.json"
#define WATCH_MASK   (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE)

static const char *const area_names[SPOOL_N_AREAS] = {
	[SPOOL_INCOMING] = "incoming", [SPOOL_ACTIVE] = "active",   [SPOOL_DONE] = "done",
	[SPOOL_FAILED] = "failed",     [SPOOL_INVALID] = "invalid",
};

const char *spool_area_name(enum spool_area area)
{
	return area_names[area];
}

int spool_open_area(int spool_dir_fd, enum spool_area area)
{
	mode_t mode = area == SPOOL_INCOMING ? 0770 : 0750;
	if (mkdirat(spool_dir_fd, area_names[area], mode) < 0 && errno != EEXIST) {
		/* A read-only spool may still have it. */
		int r = -errno;
		if (faccessat(spool_dir_fd, area_names[area], F_OK, 0) < 0) {
			return r;
		}
	}
	int fd = openat(spool_dir_fd, area_names[area],
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void area_init(struct area *area, enum spool_area number, struct loop *loop, int spool_dir_fd,
	       area_event_fn fn, void *userdata)
{
	*area = (struct area){.number = number,
			      .loop = loop,
			      .spool_dir_fd = spool_dir_fd,
			      .fn = fn,
			      .userdata = userdata,
			      .fd = -1,
			      .n_files = -1};
}

static bool is_counted(const char *name)
{
	return name[0] != '.' && str_ends_with(name, SPEC_SUFFIX) &&
	       !str_ends_with(name, ERROR_SUFFIX);
}

static void count_event(struct area *area, const struct inotify_event *event)
{
	if (area->n_files < 0 || !is_counted(event->name)) {
		return;
	}
	if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
		area->n_files++;
	} else if ((event->mask & (IN_DELETE | IN_MOVED_FROM)) && area->n_files > 0) {
		area->n_files--;
	}
}

static void on_event(void *userdata, const struct inotify_event *event)
{
	struct area *area = userdata;
	if (event->mask & IN_Q_OVERFLOW) {
		area->fn(area->userdata, AREA_EVENT_LOST, NULL);
		return;
	}
	if (event->len == 0 || event->name[0] == '.') {
		return;
	}
	count_event(area, event);
	if (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) {
		area->fn(area->userdata, AREA_EVENT_FILE, event->name);
	}
}

static bool is_in_place(const struct area *area)
{
	struct stat now, then;
	return area->fd >= 0 &&
	       fstatat(area->spool_dir_fd, area_names[area->number], &now, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       fstat(area->fd, &then) == 0 && now.st_dev == then.st_dev &&
	       now.st_ino == then.st_ino;
}

int area_open(struct area *area)
{
	if (is_in_place(area)) {
		return 0;
	}
	int fd = spool_open_area(area->spool_dir_fd, area->number);
	if (fd < 0) {
		return fd;
	}
	fd_close(area->fd);
	area->fd = fd;
	area->watch = loop_source_free(area->watch);
	int r = loop_add_inotify(area->loop, fd, WATCH_MASK, on_event, area, &area->watch);
	if (r < 0) {
		log_warning("spool: cannot watch %s/: %s; it is looked at now and then",
			    area_names[area->number], strerror(-r));
	}
	return 0;
}

static void on_counted(void *userdata, const struct storage_reply *reply)
{
	struct area *area = userdata;
	if (reply->status == 0) {
		area->n_files = (int64_t)reply->count;
	}
}

int area_count(struct area *area, struct storage *storage)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_LIST, SPEC_SUFFIX, ERROR_SUFFIX);
	if (r < 0) {
		return r;
	}
	request.n_fds = 1;
	return storage_submit(storage, &request, &area->fd, on_counted, area);
}

void area_deinit(struct area *area, struct storage *storage)
{
	storage_forget(storage, area);
	area->watch = loop_source_free(area->watch);
	area->fd = fd_close(area->fd);
}
