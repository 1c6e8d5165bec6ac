/* SPDX-License-Identifier: MIT */
#pragma once

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

/* plan and root_fds are borrowed. fn is called later, never from inside this call. */
int input_check_start(struct loop *loop, const struct plan *plan, const int *root_fds,
		      input_check_done_fn fn, void *userdata,
		      struct input_check **ret_check) MUST_CHECK;
struct input_check *input_check_free(struct input_check *check);
