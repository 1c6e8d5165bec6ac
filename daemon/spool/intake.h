/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/storage_request.h"
#include "common/util/macro.h"
#include "daemon/core/storage.h"
#include "daemon/spool/spool.h"

/*
 * The way of one spec out of incoming/: claimed and handed over, or moved to invalid/ with the
 * reason beside it. One at a time.
 */
enum intake_end {
	INTAKE_TAKEN,	/* a job was made of it */
	INTAKE_REFUSED, /* it is in invalid/ */
	INTAKE_GONE,	/* it is no longer there */
	INTAKE_BUSY,	/* it is being written: later */
	INTAKE_FAILED,	/* the spool or the state is at fault: later */
};

/* problem: a sentence if INTAKE_FAILED, else NULL. May start the next one, or free the intake. */
typedef void (*intake_done_fn)(void *userdata, enum intake_end end, const char *problem);

struct intake_dirs {
	int incoming_fd, active_fd, invalid_fd, jobs_fd;
};

struct intake;

/* Copies the options; `dirs` may change while nothing is under way (intake_dirs). */
int intake_new(const struct spool_options *options, intake_done_fn fn, void *userdata,
	       struct intake **ret_intake) MUST_CHECK;
struct intake *intake_free(struct intake *intake);
void intake_set_dirs(struct intake *intake, const struct intake_dirs *dirs);

/* Takes the spec `name`. fn is called once, not from in here; never if this returns -errno. */
int intake_start(struct intake *intake, const char *name) MUST_CHECK;
