/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/model/job_view.h"
#include "common/util/macro.h"
#include "daemon/core/loop.h"
#include "daemon/core/storage.h"

/*
 * The spool directory (design §4): watches incoming/, claims one spec after the other through the
 * storage process, and hands its text on. inotify is a hint, a rescan (at start, on overflow,
 * every 30 s) the truth. A spec that must not be taken goes to invalid/ with a .error.json.
 */
struct spool;

struct spool_claim {
	const char *id;	       /* fresh job ID */
	const char *file_name; /* as dropped */
	const char *text;      /* with a NUL behind it */
	size_t len;
	uid_t uid; /* owner */
};

struct spool_callbacks {
	/* Writes the next job ID. */
	void (*next_id)(void *userdata, char ret_id[24]);
	/*
	 * A spec was claimed: its copy is <jobs>/ID/spec.json, its receipt active/ID.file_name.
	 * Returns 0 if a job was made of it; -EINVAL with *error_line set (one line, malloc'ed) if
	 * the spec is invalid: the spool then moves the receipt to invalid/ and removes the copy.
	 */
	int (*claimed)(void *userdata, const struct spool_claim *claim, char **ret_error);
	/* What spool_is_scanned, spool_is_idle or spool_problem say may have changed. May be NULL.
	 */
	void (*changed)(void *userdata);
	void *userdata;
};

struct spool_options {
	int spool_dir_fd;	   /* opened by spool_open_dirs */
	int jobs_dir_fd;	   /* <state_dir>/jobs */
	const uid_t *allowed_uids; /* copied; root and our own uid always may */
	size_t n_allowed_uids;
	struct storage *storage;
	struct spool_callbacks callbacks;
};

/* The areas, in the order in which spool_areas counts them. */
enum spool_area {
	SPOOL_INCOMING,
	SPOOL_ACTIVE,
	SPOOL_DONE,
	SPOOL_FAILED,
	SPOOL_INVALID,
	SPOOL_N_AREAS,
};

/* Opens (and creates, where missing) the area below spool_dir_fd. Returns an fd or -errno. */
int spool_open_area(int spool_dir_fd, enum spool_area area) MUST_CHECK;
const char *spool_area_name(enum spool_area area);

int spool_new(struct loop *loop, const struct spool_options *options,
	      struct spool **ret_spool) MUST_CHECK;
/* Before its storage. NULL is fine; returns NULL. */
struct spool *spool_free(struct spool *spool);

/* Looks at incoming/ now. */
void spool_rescan(struct spool *spool);

/* True once incoming/ was listed. What lay there may still wait to be claimed: spool_is_idle. */
bool spool_is_scanned(const struct spool *spool);
/*
 * What keeps specs from being claimed (a full disk, a read-only spool...), one sentence, or NULL if
 * nothing does. It is tried again after a while.
 */
const char *spool_problem(const struct spool *spool);
/*
 * True if nothing is being claimed and the last scan found nothing to claim (for --once). Specs
 * that could not be claimed because of spool_problem do not count.
 */
bool spool_is_idle(const struct spool *spool);

/* Specs per area: counted at each rescan, kept up by inotify. -1: not known yet. */
int64_t spool_count(const struct spool *spool, enum spool_area area);
