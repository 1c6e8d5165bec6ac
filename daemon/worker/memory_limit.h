/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/macro.h"

/*
 * Has the kernel refuse this process memory that is far above limits.memory_per_worker (0: nothing
 * is done). The limit itself is the supervisor's to watch. 0 or -errno, which is logged.
 */
int memory_limit_set(uint64_t limit_bytes) MUST_CHECK;
