/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

struct scheduler;

enum { UNSAVED_RETRY_SECONDS = 30 };

/*
 * Writes the results that could not be written when their jobs ended, unless that was tried less
 * than UNSAVED_RETRY_SECONDS ago. Returns whether there are such: call it again then.
 */
bool unsaved_retry(struct scheduler *scheduler);
