/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/model/plan.h"
#include "common/util/buf.h"
#include "common/util/macro.h"

#define PLAN_FILE_NAME "plan.json" /* in the runtime directory; saved copies are called so too */

/* Adds the text of the plan in a directory, whatever it says. Returns 0 or -errno. */
int plan_file_read_text(int dir_fd, struct buf *text) MUST_CHECK;

/*
 * Reads the plan in a directory. Returns 0; -EINVAL if it is none for n_pipes pipes within n_roots
 * data roots (one that says why the inputs cannot be used is a plan); -ENOMEM; -errno.
 */
int plan_file_read(int dir_fd, size_t n_pipes, size_t n_roots, struct plan **ret_plan) MUST_CHECK;
