/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/macro.h"

/* Paths below a data root, sorted bytewise. */
struct input_glob {
	char **paths;
	size_t n, capacity;
};

void input_glob_deinit(struct input_glob *glob);

/* Whether path has one of `*`, `?` and `[`. There is no escape: `[*]` stands for a star. */
bool input_glob_is_pattern(const char *path);

/*
 * Finds what matches a normalised relative pattern below root_fd, in any of its components;
 * a leading dot is matched only by a dot. Symbolic links are matched but never followed: a match
 * in the middle of the pattern that is one gives -ELOOP.
 * Returns 0, be it with n = 0; -E2BIG: more than PLAN_MAX_FILES; -ENOMEM; or -errno of a folder
 * that cannot be read.
 */
int input_glob_find(int root_fd, const char *pattern, struct input_glob *ret_glob) MUST_CHECK;
