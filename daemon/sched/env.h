/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "daemon/sched/account.h"
#include "daemon/sched/oom.h"
#include "daemon/sched/scheduler.h"

/* What all runs share; outlives them. */
struct sched_env {
	struct loop *loop;
	struct scheduler_options options; /* descriptors and paths are borrowed from the caller */
	struct oom oom;
	int active_dir_fd, done_dir_fd, failed_dir_fd; /* of the spool */
	char boot_id[ACCOUNT_BOOT_ID_SIZE];	       /* "": not known */
	uint64_t build_id;			       /* of the workers; 0: not known */
};
