/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether something lies on a mount that is read-only while its file system is not: then a sandbox
 * (ProtectSystem= of the unit) or a read-only bind mount has closed it, not its owner, and one line
 * in the unit opens it. False where that cannot be told.
 */
bool sandbox_closes(int fd);

/* The same of a mount, by a text as of /proc/PID/mountinfo (proc(5)). The text is taken apart. */
bool sandbox_closes_mount(char *mountinfo, uint64_t mount_id);
