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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/atomic_file.h"
#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"
#include "daemon/spool/area.h"
#include "daemon/spool/intake.h"

#define SPEC_SUFFIX	    ".json"
#define RESCAN_INTERVAL_NS  (30 * CLOCK_NS_PER_SEC)
#define POLL_INTERVAL_NS    CLOCK_NS_PER_SEC /* where inotify is not to be had */
#define MIN_RETRY_NS	    (100 * CLOCK_NS_PER_MS)
#define MAX_RETRY_NS	    (5 * CLOCK_NS_PER_SEC)
#define MAX_SCAN_NAMES	    10000
#define MAX_FAILURES_IN_ROW 100 /* some may be stuck; so many are not the specs' fault */

struct spool {
	struct loop *loop;
	struct spool_options options;
	struct area areas[SPOOL_N_AREAS];
	struct intake *intake;
	struct loop_source *rescan_timer, *retry_timer;
	int64_t retry_delay_ns;

	bool is_scan_wanted;
	bool is_scanning;
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

static void spool_go_on(struct spool *spool);

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

/* "#INODE" is what inotify(7) calls a file without a name (O_TMPFILE), as probes of rights make. */
static void warn_once(struct spool *spool, const char *name)
{
	if (!spool->has_warned && !str_ends_with(name, ".tmp") && name[0] != '#') {
		spool->has_warned = true;
		log_warning("spool: %s in incoming/ is ignored, as is all whose name does not end "
			    "in " SPEC_SUFFIX,
			    name);
	}
}

static void on_area_event(void *userdata, enum area_event event, const char *name)
{
	struct spool *spool = userdata;
	if (event == AREA_EVENT_LOST) {
		spool_rescan(spool);
	}
}

static void on_incoming_event(void *userdata, enum area_event event, const char *name)
{
	struct spool *spool = userdata;
	if (event == AREA_EVENT_LOST) {
		spool_rescan(spool);
	} else if (str_ends_with(name, SPEC_SUFFIX)) {
		spool->retry_delay_ns = MIN_RETRY_NS;
		spool_want_scan(spool);
	} else {
		warn_once(spool, name);
	}
}

/* 0 or -errno; also while the daemon runs, should a directory have been exchanged. */
static int open_areas(struct spool *spool)
{
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		int r = area_open(&spool->areas[i]);
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

static void count_areas(struct spool *spool)
{
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		int r = area_count(&spool->areas[i], spool->options.storage);
		if (r < 0) {
			log_warning("spool: cannot count the specs: %s", strerror(-r));
			return;
		}
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

static void on_listed(void *userdata, const struct storage_reply *reply)
{
	struct spool *spool = userdata;
	int r = reply->status;
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
	} else if (!spool->is_scanned) {
		/* Not when all are taken: of ten thousand, that is minutes from now. */
		spool->is_scanned = true;
		spool_changed(spool);
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
	int r = storage_request_init(&request, STORAGE_LIST, SPEC_SUFFIX, NULL);
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
	spool->n_failed_in_row = end == INTAKE_FAILED ? spool->n_failed_in_row + 1 : 0;
	spool->n_failed += end == INTAKE_FAILED;
	spool->n_busy += end == INTAKE_BUSY;
	spool->n_taken += end == INTAKE_TAKEN || end == INTAKE_REFUSED;
	if (end == INTAKE_FAILED && spool->n_failed == 1) {
		spool_set_problem(spool, problem); /* the first, or the log would have them all */
	}
	if (spool->n_failed_in_row >= MAX_FAILURES_IN_ROW) {
		spool->position = spool->names.len;
	}
	spool_go_on(spool);
}

/* The next spec of the scan under way, or NULL. */
static const char *scan_next(struct spool *spool)
{
	if (spool->position >= spool->names.len) {
		return NULL;
	}
	const char *name = spool->names.data + spool->position;
	spool->position += strlen(name) + 1;
	return name;
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
	int r = spool->is_scanning ? 0 : open_areas(spool);
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

/* What a writer that was killed left half-written. Nobody writes there yet. */
static void sweep_areas(struct spool *spool)
{
	static const enum spool_area written[] = {SPOOL_ACTIVE, SPOOL_INVALID};
	for (size_t i = 0; i < ARRAY_SIZE(written); i++) {
		int r = atomic_file_sweep(spool->areas[written[i]].fd);
		if (r < 0) {
			log_warning("spool: cannot remove temporary files from %s/: %s",
				    spool_area_name(written[i]), strerror(-r));
		}
	}
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
	if (r == 0) {
		r = open_areas(spool);
	}
	if (r == 0) {
		sweep_areas(spool);
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
	spool->options = *options;
	spool->options.allowed_uids = NULL;
	spool->list_fd = -1;
	spool->retry_delay_ns = MIN_RETRY_NS;
	for (int i = 0; i < SPOOL_N_AREAS; i++) {
		area_init(&spool->areas[i], (enum spool_area)i, loop, options->spool_dir_fd,
			  i == SPOOL_INCOMING ? on_incoming_event : on_area_event, spool);
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
		area_deinit(&spool->areas[i], spool->options.storage);
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
	return spool->is_scanned && !spool->is_scanning && !spool->is_scan_wanted &&
	       !spool->has_left_specs;
}

int64_t spool_count(const struct spool *spool, enum spool_area area)
{
	return spool->areas[area].n_files;
}
