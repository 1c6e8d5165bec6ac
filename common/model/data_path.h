/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/macro.h"

/*
 * Paths of job specs and data roots, as text. Nothing here touches the file system: it decides
 * which root a path belongs to, and openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS) below that root
 * then keeps it there.
 */

/*
 * A copy of path without `.` components, doubled slashes and a slash at the end; "." if nothing is
 * left of a relative path. The caller frees *ret_path.
 * Returns 0, -EINVAL if path is empty or has a `..` component, -ENAMETOOLONG, or -ENOMEM.
 */
MUST_CHECK int data_path_normalise(const char *path, char **ret_path);

/*
 * Finds the data root of a path: a relative path belongs to roots[0], an absolute one to the
 * longest root that contains it. *ret_relative is the normalised path below that root (never
 * absolute, without `..`), "." for the root itself; the caller frees it.
 * Returns 0, -EXDEV if no root contains the path (or there is no root), -EINVAL if the path is
 * empty or has a `..` component, -ENAMETOOLONG, or -ENOMEM.
 */
MUST_CHECK int data_path_resolve(char *const *roots, size_t n_roots, const char *path,
				 size_t *ret_root_index, char **ret_relative);

/*
 * Whether one of two absolute paths is the other or contains it, by components: "/a" and "/a/b" do
 * overlap, "/a" and "/ab" don't. `.` components and doubled slashes do not count; both paths must
 * be free of `..`.
 */
bool data_path_overlap(const char *a, const char *b);
