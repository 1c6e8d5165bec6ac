/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "daemon/core/storage.h"

/*
 * Storage requests whose end nobody waits for: tidying up that the next start does as well. What
 * fails is logged.
 */
void post_unlink(struct storage *storage, int dir_fd, const char *name);
void post_remove_tree(struct storage *storage, int dir_fd, const char *name);
void post_rename(struct storage *storage, int from_fd, int to_fd, const char *name);
void post_write(struct storage *storage, int dir_fd, const char *name, const void *data,
		size_t len);
