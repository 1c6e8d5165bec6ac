/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/ctl/api.h"
#include "daemon/ctl/ctl.h"

struct job_wait_options {
	int64_t timeout_ns; /* for all of them together; INT64_MAX: none */
	bool strict;
	bool is_quiet;	    /* no progress */
	bool is_for_aborts; /* that a job was aborted is its success, all else its failure */
};

/*
 * Waits for the jobs in their order, on a terminal with a bar on stderr for the one that is waited
 * for, and prints each as it has ended (with --json all of them in
 * one array). The code of the first that is not CTL_EXIT_COMPLETED; a timeout ends the waiting.
 */
int job_wait_all(const struct ctl *ctl, struct api *api, char *const *ids, size_t n_ids,
		 const struct job_wait_options *options);
