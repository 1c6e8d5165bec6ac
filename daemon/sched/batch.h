/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/macro.h"
#include "daemon/core/loop.h"
#include "daemon/core/storage.h"

/*
 * Several storage requests whose end is awaited as one. Each request that fails is logged with its
 * name; the rest goes on, for all of them are needed. What a storage process that died left
 * unanswered is asked for again (but for the sync of a file), a few times.
 */
struct batch;

/* status: 0, or the first -errno of any request. The batch may be freed in here. */
typedef void (*batch_done_fn)(void *userdata, int status);

/* job_id names the job in the log; borrowed, like storage. */
int batch_new(struct loop *loop, struct storage *storage, const char *job_id, batch_done_fn fn,
	      void *userdata, struct batch **ret_batch) MUST_CHECK;

/*
 * Sends a request; a failure to send counts as the request's, but what can't be sent for lack of
 * descriptors or memory is tried for ten seconds. The descriptors are borrowed until the end. size:
 * see enum storage_op.
 */
void batch_rename(struct batch *batch, int from_fd, const char *name, int to_fd,
		  const char *to_name);
void batch_unlink(struct batch *batch, int dir_fd, const char *name);
void batch_remove_tree(struct batch *batch, int dir_fd, const char *name);
/* What a storage process that died in a write has left. */
void batch_sweep(struct batch *batch, int dir_fd);
void batch_write(struct batch *batch, int dir_fd, const char *name, const void *data, size_t len);
void batch_write_record(struct batch *batch, int dir_fd, const char *name, const void *data,
			size_t len);
void batch_finish_file(struct batch *batch, int fd, uint64_t size_bytes);
void batch_sync_file(struct batch *batch, int fd);
void batch_sync_dir(struct batch *batch, int dir_fd);

/* No more requests: fn is called once when all are answered, never from inside this call. */
void batch_seal(struct batch *batch);

/*
 * Frees a batch. One with unanswered requests may be freed only when their storage has been freed,
 * or will not be served by the loop any more.
 */
struct batch *batch_free(struct batch *batch);
