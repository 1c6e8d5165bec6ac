/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/storage_request.h"
#include "common/util/macro.h"
#include "daemon/core/loop.h"

/*
 * The supervisor's side of `zooparallel-worker storage`: asks for one operation, is called back
 * with its result. Requests of one storage are done in order, one after the other, and so are the
 * call backs. If the process dies, every request under way is answered with -EIO and is_lost (its
 * effect is then unknown) and the next request starts a new process. One that stays stopped
 * (SIGSTOP) while it has work is killed within seconds.
 */
struct storage;

/* reply->status is 0 or -errno. Never called from inside storage_submit. */
typedef void (*storage_done_fn)(void *userdata, const struct storage_reply *reply);

/* Folders, below which lie all that a storage is asked for: the kernel refuses it the rest. */
struct storage_reach {
	const int *fds;
	size_t n_fds;
};

/*
 * program_fd: see child_find_program; not owned, nor are the folders, which are needed as long as
 * the storage is. The process starts with the first request.
 */
int storage_new(struct loop *loop, int program_fd, const struct storage_reach *reach,
		struct storage **ret_storage) MUST_CHECK;

/* Another one with the same loop, program and reach. */
int storage_new_like(const struct storage *like, struct storage **ret_storage) MUST_CHECK;

/*
 * Ends the process after what it is doing now; requests under way are dropped without a call
 * back. NULL is fine; returns NULL. May be called from a call back.
 */
struct storage *storage_free(struct storage *storage);

/*
 * Fills in the cookie and sends. fds (request->n_fds of them) are duplicated, the caller keeps
 * its own; so a request that waits for its turn holds n_fds descriptors of this process. Returns 0
 * or -errno (nothing was sent, fn will not be called). Never blocks.
 */
int storage_submit(struct storage *storage, const struct storage_request *request, const int *fds,
		   storage_done_fn fn, void *userdata) MUST_CHECK;

/* Requests under way that were submitted with this userdata are carried out, but not answered. */
void storage_forget(struct storage *storage, const void *userdata);

/*
 * Sets a request up: zeroed, op, names (NULL: "") checked to fit. Returns 0 or -ENAMETOOLONG. The
 * caller sets n_fds and what else the op reads.
 */
int storage_request_init(struct storage_request *ret_request, enum storage_op op, const char *name,
			 const char *to_name) MUST_CHECK;
