/* SPDX-License-Identifier: MIT */
/*
 * A scan lists incoming/, oldest first, and takes the specs one after the other; whatever happens
 * meanwhile only says that another scan is wanted. So no event needs to be matched with a file, and
 * none can be lost: what a scan does not find, the next one does.
 *
 * A spec that is still being written, or that the system can't take now, is left where it is; the
 * next close in incoming/, a timer with a growing delay, or the rescan tries again.
 */
#include "daemon/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"
#include "daemon/spool/intake.h"

#define RESCAN_INTERVAL_NS  (30 * CLOCK_NS_PER_SEC)
#define POLL_INTERVAL_NS    CLOCK_NS_PER_SEC /* where inotify is not to be had */
#define MIN_RETRY_NS	    (100 * CLOCK_NS_PER_MS)
#define MAX_RETRY_NS	    (5 * CLOCK_NS_PER_SEC)
#define MAX_SCAN_NAMES	    10000
#define MAX_FAILURES_IN_ROW 3
#define WATCH_MASK	    (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE)

struct area {
	struct spool *spool;
	int fd;
	struct loop_source *watch; /* NULL: none to be had */
	int64_t n_files;
};

struct spool {
	struct loop *loop;
	struct spool_options options;
	struct area areas[SPOOL_N_AREAS];
	struct intake *intake;
	struct loop_source *rescan_timer, *retry_timer;
	int64_t retry_delay_ns;

	bool is_scan_wanted;
	bool is_scanning; /* from its start to its end, of which these two are parts */
	bool is_listing, is_taking;
	int list_fd;	  /* memfd that the scan's names are written to */
	struct buf names; /* of the scan under way, each with its NUL */
	size_t position;
	unsigned n_taken, n_busy, n_failed, n_failed_in_row; /* in this scan */
	bool is_cut_short;   /* there were more names than a scan takes */
	bool has_left_specs; /* the last scan left some that are being written */

	bool is_scanned;
	bool has_warned; /* of a file that is no spec */
	char *problem;
};

static const char *const area_names[SPOOL_N_AREAS] = {
	[SPOOL_INCOMING] = "incoming", [SPOOL_ACTIVE] = "active",   [SPOOL_DONE] = "done",
	[SPOOL_FAILED] = "failed",     [SPOOL_INVALID] = "invalid",
};

static void spool_go_on(struct spool *spool);

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

/* Whether a count of specs counts it, in any area. */
static bool is_spec_name(const char *name)
{
	return name[0] != '.' && str_ends_with(name, ".json") &&
	       !str_ends_with(name, ".error.json");
}

static void spool_changed(const struct spool *spool)
{
	if (spool->options.callbacks.changed) {
		spool->options.callbacks.changed(spool->options.callbacks.userdata);
	}
}

/* Logs when the problem changes, not each time that it is met. NULL: there is none any more. */
static void spool_set_problem(struct spool *spool, const char *problem)
{
	if (str_equal(spool->problem, problem)) {
		return;
	}
	if (problem) {
		log_error("spool: %s; specs wait, it is tried again", problem);
	} else {
		log_notice("spool: specs can be claimed again");
	}
	free(spool->problem);
	spool->problem = problem ? strdup(problem) : NULL;
}

static void spool_arm(struct loop_source *timer, int64_t delay_ns)
{
	int r = loop_timer_arm(timer, clock_monotonic_ns() + delay_ns);
	if (r < 0) {
		log_error("spool: cannot arm a timer: %s", strerror(-r));
	}
}

static void spool_want_scan(struct spool *spool)
{
	spool->is_scan_wanted = true;
	if (!spool->is_scanning) {
		spool_go_on(spool);
	}
}

static void count_event(struct area *area, const struct inotify_event *event)
{
	if (event->len == 0 || area->n_files < 0 || !is_spec_name(event->name)) {
		return;
	}
	if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
		area->n_files++;
	} else if ((event->mask & (IN_DELETE | IN_MOVED_FROM)) && area->n_files > 0) {
		area->n_files--;
	}
}

static void on_area_event(void *userdata, const struct inotify_event *event)
{
	struct area *area = userdata;
	struct spool *spool = area->spool;
	if (event->mask & IN_Q_OVERFLOW) {
		spool_rescan(spool);
		return;
	}
	count_event(area, event);
	if (area == &spool->areas[SPOOL_INCOMING] &&
	    (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) && event->len > 0 &&
	    event->name[0] != '.') {
		spool->retry_delay_ns = MIN_RETRY_NS;
		spool_want_scan(spool);
	}
}

/* Without inotify the area is polled. */
static void area_watch(struct spool *spool, struct area *area)
{
	area->watch = loop_source_free(area->watch);
	int r = loop_add_inotify(spool->loop, area->fd, WATCH_MASK, on_area_event, area,
				 &area->watch);
	if (r < 0) {
		log_warning("spool: cannot watch %s/ (%s), it is polled",
			    area_names[area - spool->areas], strerror(-r));
	}
}

/* 0, or -errno if the area is not to be had. */
static int area_open(struct spool *spool, enum spool_area number)
{
	struct area *area = &spool->areas[number];
	int fd = spool_open_area(spool->options.spool_dir_fd, number);
	if (fd < 0) {
		return fd;
	}
	fd_close(area->fd);
	area->fd = fd;
	area_watch(spool, area);
	return 0;
}

static bool is_area_in_place(const struct spool *spool, enum spool_area number)
{
	struct stat now, then;
	return fstatat(spool->options.spool_dir_fd, area_names[number], &now,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(spool->areas[number].fd, &then) == 0 && now.st_dev == then.st_dev &&
	       now.st_ino == then.st_ino;
}

/* Someone may have removed or exchanged an area's directory under the running daemon. */
static int reopen_areas(struct spool *spool)
{
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		int r = is_area_in_place(spool, (enum spool_area)i)
				? 0
				: area_open(spool, (enum spool_area)i);
		if (r < 0) {
			return r;
		}
	}
	intake_set_dirs(spool->intake,
			&(struct intake_dirs){.incoming_fd = spool->areas[SPOOL_INCOMING].fd,
					      .active_fd = spool->areas[SPOOL_ACTIVE].fd,
					      .invalid_fd = spool->areas[SPOOL_INVALID].fd,
					      .jobs_fd = spool->options.jobs_dir_fd});
	return 0;
}

static void on_counted(void *userdata, const struct storage_reply *reply)
{
	struct area *area = userdata;
	if (reply->status == 0) {
		area->n_files = (int64_t)reply->count;
	}
}

static void count_areas(struct spool *spool)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_LIST, ".json", ".error.json");
	request.n_fds = 1;
	for (int i = 0; r == 0 && i < SPOOL_N_AREAS; i++) {
		struct area *area = &spool->areas[i];
		r = storage_submit(spool->options.storage, &request, &area->fd, on_counted, area);
	}
	if (r < 0) {
		log_warning("spool: cannot count the specs: %s", strerror(-r));
	}
}

/* The system's fault, not a spec's: the rest of this scan would fare no better. */
static void scan_fail(struct spool *spool, int status)
{
	char problem[128];
	snprintf(problem, sizeof(problem), "cannot take specs from incoming/: %s",
		 strerror(-status));
	spool->n_failed++;
	spool->position = spool->names.len;
	spool_set_problem(spool, problem);
}

/* Whether it is to be taken; a scan's names have no dot files. */
static bool is_wanted(struct spool *spool, const char *name)
{
	if (str_ends_with(name, ".json")) {
		return true;
	}
	if (!str_ends_with(name, ".tmp") && !spool->has_warned) {
		spool->has_warned = true;
		log_warning("spool: %s in incoming/ is ignored, as is all whose name does not end "
			    "in .json",
			    name);
	}
	return false;
}

static void on_listed(void *userdata, const struct storage_reply *reply)
{
	struct spool *spool = userdata;
	int r = reply->status;
	spool->is_listing = false;
	if (r == 0 && lseek(spool->list_fd, 0, SEEK_SET) < 0) {
		r = -errno;
	}
	if (r == 0) {
		r = fd_read_all(spool->list_fd, (size_t)MAX_SCAN_NAMES * STORAGE_NAME_MAX,
				&spool->names);
	}
	spool->list_fd = fd_close(spool->list_fd);
	spool->is_cut_short = reply->count > MAX_SCAN_NAMES;
	if (r < 0) {
		scan_fail(spool, r);
	}
	spool_go_on(spool);
}

/* Returns 0 if a list is under way, or -errno. */
static int scan_start(struct spool *spool)
{
	struct storage_request request;
	spool->is_scan_wanted = false;
	spool->is_scanning = true;
	spool->n_taken = spool->n_busy = spool->n_failed = spool->n_failed_in_row = 0;
	spool->position = 0;
	buf_clear(&spool->names);
	int r = storage_request_init(&request, STORAGE_LIST, NULL, NULL);
	spool->list_fd = fd_memfd("names", "", 0);
	if (r < 0 || spool->list_fd < 0) {
		return r < 0 ? r : TAKE_FD(spool->list_fd);
	}
	request.n_fds = 2;
	request.size = MAX_SCAN_NAMES;
	int fds[] = {spool->areas[SPOOL_INCOMING].fd, spool->list_fd};
	r = storage_submit(spool->options.storage, &request, fds, on_listed, spool);
	if (r < 0) {
		spool->list_fd = fd_close(spool->list_fd);
		return r;
	}
	spool->is_listing = true;
	return 0;
}

static void scan_end(struct spool *spool)
{
	bool is_progress = spool->n_taken > 0;
	spool->is_scanning = false;
	spool->is_scanned = true;
	spool->has_left_specs = spool->n_busy > 0;
	buf_clear(&spool->names);
	spool->position = 0;
	if (spool->n_failed == 0) {
		spool_set_problem(spool, NULL);
	}
	if (spool->is_cut_short && is_progress) {
		spool->is_scan_wanted = true;
	}
	if (spool->n_busy > 0 || spool->n_failed > 0) {
		spool_arm(spool->retry_timer, spool->retry_delay_ns);
		spool->retry_delay_ns = MIN(2 * spool->retry_delay_ns, (int64_t)MAX_RETRY_NS);
	} else {
		spool->retry_delay_ns = MIN_RETRY_NS;
	}
}

static void on_taken(void *userdata, enum intake_end end, const char *problem)
{
	struct spool *spool = userdata;
	spool->is_taking = false;
	spool->n_failed_in_row = end == INTAKE_FAILED ? spool->n_failed_in_row + 1 : 0;
	spool->n_failed += end == INTAKE_FAILED;
	spool->n_busy += end == INTAKE_BUSY;
	spool->n_taken += end == INTAKE_TAKEN || end == INTAKE_REFUSED;
	if (end == INTAKE_FAILED) {
		spool_set_problem(spool, problem);
	}
	if (spool->n_failed_in_row >= MAX_FAILURES_IN_ROW) {
		spool->position = spool->names.len; /* it is not the specs */
	}
	spool_go_on(spool);
}

/* The next spec of the scan under way, or NULL. */
static const char *scan_next(struct spool *spool)
{
	while (spool->position < spool->names.len) {
		const char *name = spool->names.data + spool->position;
		spool->position += strlen(name) + 1;
		if (is_wanted(spool, name)) {
			return name;
		}
	}
	return NULL;
}

/* Takes the next spec, else starts the scan that is wanted, else rests. */
static void spool_go_on(struct spool *spool)
{
	while (spool->is_scanning || spool->is_scan_wanted) {
		const char *name = scan_next(spool);
		if (!name && spool->is_scanning) {
			scan_end(spool);
			continue;
		}
		int r = name ? intake_start(spool->intake, name) : scan_start(spool);
		if (r == 0) {
			spool->is_taking = name != NULL;
			return;
		}
		scan_fail(spool, r);
	}
	spool_changed(spool);
}

static void on_retry(void *userdata, int64_t now_ns)
{
	spool_want_scan(userdata);
}

void spool_rescan(struct spool *spool)
{
	bool has_watch = spool->areas[SPOOL_INCOMING].watch != NULL;
	int r = spool->is_scanning ? 0 : reopen_areas(spool);
	spool_arm(spool->rescan_timer, has_watch ? RESCAN_INTERVAL_NS : POLL_INTERVAL_NS);
	if (r < 0) {
		scan_fail(spool, r);
		spool_changed(spool);
		return;
	}
	count_areas(spool);
	spool_want_scan(spool);
}

static void on_rescan(void *userdata, int64_t now_ns)
{
	spool_rescan(userdata);
}

static int spool_init(struct spool *spool)
{
	int r = intake_new(&spool->options, on_taken, spool, &spool->intake);
	if (r == 0) {
		r = loop_add_timer(spool->loop, on_rescan, spool, &spool->rescan_timer);
	}
	if (r == 0) {
		r = loop_add_timer(spool->loop, on_retry, spool, &spool->retry_timer);
	}
	for (int i = 0; r == 0 && i < SPOOL_N_AREAS; i++) {
		r = area_open(spool, (enum spool_area)i);
	}
	return r;
}

static int copy_uids(const struct spool_options *options, struct spool *spool)
{
	uid_t *uids = calloc(options->n_allowed_uids + 1, sizeof(*uids));
	if (!uids) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < options->n_allowed_uids; i++) {
		uids[i] = options->allowed_uids[i];
	}
	spool->options = *options;
	spool->options.allowed_uids = uids;
	return 0;
}

int spool_new(struct loop *loop, const struct spool_options *options, struct spool **ret_spool)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	if (!spool) {
		return -ENOMEM;
	}
	spool->loop = loop;
	spool->list_fd = -1;
	spool->retry_delay_ns = MIN_RETRY_NS;
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		spool->areas[i] = (struct area){.spool = spool, .fd = -1, .n_files = -1};
	}
	int r = copy_uids(options, spool);
	if (r == 0) {
		r = spool_init(spool);
	}
	if (r < 0) {
		spool_free(spool);
		return r;
	}
	spool_arm(spool->rescan_timer, 0); /* from the loop, as all that calls back */
	*ret_spool = spool;
	return 0;
}

struct spool *spool_free(struct spool *spool)
{
	if (!spool) {
		return NULL;
	}
	intake_free(spool->intake);
	storage_forget(spool->options.storage, spool);
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		storage_forget(spool->options.storage, &spool->areas[i]);
		loop_source_free(spool->areas[i].watch);
		fd_close(spool->areas[i].fd);
	}
	loop_source_free(spool->rescan_timer);
	loop_source_free(spool->retry_timer);
	fd_close(spool->list_fd);
	buf_deinit(&spool->names);
	free(spool->problem);
	free_p(&spool->options.allowed_uids);
	free(spool);
	return NULL;
}

bool spool_is_scanned(const struct spool *spool)
{
	return spool->is_scanned;
}

const char *spool_problem(const struct spool *spool)
{
	return spool->problem;
}

bool spool_is_idle(const struct spool *spool)
{
	return spool->is_scanned && !spool->is_listing && !spool->is_taking &&
	       !spool->is_scan_wanted && !spool->has_left_specs;
}

int64_t spool_count(const struct spool *spool, enum spool_area area)
{
	return spool->areas[area].n_files;
}
