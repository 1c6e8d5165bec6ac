/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "common/model/plan.h"
#include "common/util/macro.h"
#include "daemon/core/loop.h"
#include "daemon/sched/failure.h"

/*
 * Whether the inputs are still the files that were pinned (design §5 "Input identity"). A hundred
 * files for each turn of the loop: one openat2 and one fstat, no data is read.
 */
struct input_check;

/* reason OK: all are as they were; input_changed otherwise. May free the check. */
typedef void (*input_check_done_fn)(void *userdata, const struct failure *failure);

struct input_check_options {
	struct loop *loop;
	struct plan *plan; /* borrowed, like root_fds */
	const int *root_fds;
	/* A device's number may have changed: it is not compared, and the plan takes the new one.
	 */
	bool is_other_boot;
	input_check_done_fn fn;
	void *userdata;
};

/* options are copied. fn is called later, never from inside this call. */
int input_check_start(const struct input_check_options *options,
		      struct input_check **ret_check) MUST_CHECK;
struct input_check *input_check_free(struct input_check *check);
