/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "common/util/macro.h"

struct loop;

/*
 * The line that `systemctl status` shows (STATUS= of sd_notify(3)), kept up to date without a
 * message for each change: it is sent when it differs from the last one, and once a second at most.
 */
struct status_line;

enum { STATUS_LINE_SIZE = 256 };

/*
 * Writes the line as it is now. Returns whether it moves by itself (rows per second do): it is
 * then asked for again after a second, else only when told that something has changed.
 */
typedef bool (*status_line_fn)(void *userdata, char ret_line[static STATUS_LINE_SIZE]);

int status_line_new(struct loop *loop, status_line_fn fn, void *userdata,
		    struct status_line **ret_status) MUST_CHECK;
/* Before its loop. NULL is fine; returns NULL. */
struct status_line *status_line_free(struct status_line *status);

/* Something may have changed. NULL is fine: there is nothing to tell yet. */
void status_line_touch(struct status_line *status);
