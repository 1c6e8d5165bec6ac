/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/job_spec.h"
#include "common/model/job_view.h"
#include "daemon/sched/job.h"

/* Room for what a view points to. */
struct view_room {
	struct pipe_view pipes[JOB_SPEC_MAX_PIPES];
};

/* Shows a job, whatever its state. The view borrows from the job and from room. */
void view_of_job(const struct job *job, struct view_room *room, struct job_view *ret_view);
