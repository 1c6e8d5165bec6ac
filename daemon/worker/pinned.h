/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/job_spec.h"
#include "common/model/plan.h"
#include "common/util/macro.h"

/*
 * The pinned copies of spec and plan, from inherited descriptors. 0, or -errno: both were checked
 * by the supervisor before, so any error here means that something is broken.
 */
int pinned_load_spec(int fd, struct job_spec **ret_spec) MUST_CHECK;
int pinned_load_plan(int fd, struct plan **ret_plan) MUST_CHECK;
