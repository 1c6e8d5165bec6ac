/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/util/macro.h"

/*
 * Replaces (or makes) the file `name` in dirfd: readers, and whoever looks after a crash, find the
 * old file or the whole new one, and once 0 is returned it is the new one. `name` has no slash;
 * dirfd is a directory opened for reading (neither O_PATH nor AT_FDCWD: it is synced).
 * The mode is set as given, whatever the umask. On failure the old file is untouched and nothing
 * is left, with one exception: when only the last step fails (the directory's fsync), the new file
 * stands but may not outlive a power cut. Blocks on storage: not for the event loop.
 */
int atomic_file_write(int dirfd, const char *name, const void *data, size_t len,
		      mode_t mode) MUST_CHECK;

/*
 * Removes what writers that were killed half-way left in dirfd (".zp-" 16 hex digits ".tmp").
 * Call it while no one else writes there. The number of files removed or -errno.
 */
int atomic_file_sweep(int dirfd) MUST_CHECK;
