/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/types.h>

#include "common/util/macro.h"

/*
 * Whether a user may read, enter and write a directory, tried as that user in a process of its own
 * (the caller must be root or that user). 0, or -errno of what failed; nothing is left behind.
 */
int rights_try(uid_t uid, const char *path) MUST_CHECK;
