/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/job_spec.h"
#include "common/model/plan.h"
#include "common/util/macro.h"
#include "daemon/sched/env.h"
#include "daemon/sched/failure.h"
#include "daemon/sched/worker_end.h"

/*
 * Has the inputs opened and the plan made by a `zooparallel-worker prepare`: the supervisor itself
 * never parses an input. A process that dies over it is started twice more.
 */
struct prepare;

/* The plan is the receiver's; NULL: *failure says why there is none. May free the prepare. */
typedef void (*prepare_done_fn)(void *userdata, struct plan *plan, const struct failure *failure);

struct prepare_options {
	struct sched_env *env;
	const char *job_id;
	const struct job_spec *spec; /* what the plan has to fit */
	int job_dir_fd;		     /* holds spec.json */
	int run_dir_fd;		     /* plan.json comes here */
	uint64_t chunk_size_bytes;
	struct worker_tally *tally; /* counts go here */
	prepare_done_fn fn;
	void *userdata;
};

/* options are copied. fn is not called if this fails. */
int prepare_start(const struct prepare_options *options, struct prepare **ret_prepare) MUST_CHECK;

/* Kills the process: fn is then called once it is reaped, with the reason `cancelled`. */
void prepare_stop(struct prepare *prepare);

/* No process may be left. */
struct prepare *prepare_free(struct prepare *prepare);
