/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/storage_request.h"
#include "common/util/macro.h"

/*
 * The operations of common/model/storage_request.h, as plain calls that block. All return 0 or
 * -errno. fds are as many as the request says, open only for the call.
 */
typedef int (*storage_op_fn)(const struct storage_request *request, const int *fds,
			     struct storage_reply *reply);

/* Checks the request (-EINVAL: no such op, wrong number of fds, a name that is none) and runs it.
 */
int storage_ops_run(const struct storage_request *request, const int *fds,
		    struct storage_reply *reply) MUST_CHECK;

int storage_op_claim(const struct storage_request *request, const int *fds,
		     struct storage_reply *reply) MUST_CHECK;
int storage_op_list(const struct storage_request *request, const int *fds,
		    struct storage_reply *reply) MUST_CHECK;

/*
 * fsync of a directory, however it was opened (O_PATH too). A file system that can't (EINVAL) keeps
 * its directories by itself.
 */
int storage_sync_dir(int dir_fd) MUST_CHECK;

/* Removes the tree `name`; a missing one is fine. */
int storage_remove_tree(int dir_fd, const char *name) MUST_CHECK;
