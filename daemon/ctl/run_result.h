/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <limits.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/ctl/run_tree.h"

/* What a private daemon has left behind in its tree, read once it has ended. */

/* The ID of the one job that the tree's daemon has taken; -ENOENT if it has taken none. */
int run_result_find_id(const struct run_tree *tree, char ret_id[static NAME_MAX + 1]) MUST_CHECK;

/*
 * The result of that job, and an array of its first error rows. 0; -ENOENT if no job has ended
 * there; -EPROTO if the result can't be read as one; -errno. Both are the caller's.
 */
int run_result_load(const struct run_tree *tree, json_t **ret_result,
		    json_t **ret_rejects) MUST_CHECK;

/* Why the spool refused the spec: an object with "error". -ENOENT if it did not. */
int run_result_load_refusal(const struct run_tree *tree, json_t **ret_refusal) MUST_CHECK;

/* The log's warnings and errors (their number is bounded), or its last lines; cleaned for people.
 */
void run_result_add_warnings(const struct run_tree *tree, struct buf *out);
void run_result_add_last_lines(const struct run_tree *tree, struct buf *out);
