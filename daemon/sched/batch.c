/* SPDX-License-Identifier: MIT */
/*
 * The end is told through a deferred call, whether or not anything was sent: the caller then has
 * one way to go on instead of two.
 */
#include "daemon/sched/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "common/util/log.h"

#define FILE_MODE 0640

struct batch {
	struct loop *loop;
	struct storage *storage;
	const char *job_id;
	batch_done_fn fn;
	void *userdata;
	unsigned n_open;
	int status;
	bool is_sealed;
	struct loop_source *defer;
};

static void on_done(void *userdata)
{
	struct batch *batch = userdata;

	batch->defer = loop_source_free(batch->defer);
	batch->fn(batch->userdata, batch->status);
}

static void check_done(struct batch *batch)
{
	if (!batch->is_sealed || batch->n_open > 0 || batch->defer != NULL) {
		return;
	}
	int r = loop_add_defer(batch->loop, on_done, batch, &batch->defer);
	if (r < 0) {
		log_job(LOG_LEVEL_ERROR, batch->job_id, -1, "cannot add an event: %s",
			strerror(-r));
		batch->fn(batch->userdata, batch->status);
	}
}

static void note_failure(struct batch *batch, int status)
{
	if (batch->status == 0) {
		batch->status = status;
	}
}

static void on_reply(void *userdata, const struct storage_reply *reply)
{
	struct batch *batch = userdata;

	batch->n_open--;
	if (reply->status < 0) {
		log_job(LOG_LEVEL_WARNING, batch->job_id, -1, "storage: %s",
			strerror(-reply->status));
		note_failure(batch, reply->status);
	}
	check_done(batch);
}

static void submit(struct batch *batch, const struct storage_request *request, const int *fds)
{
	int r = storage_submit(batch->storage, request, fds, on_reply, batch);

	if (r < 0) {
		log_job(LOG_LEVEL_WARNING, batch->job_id, -1, "storage: %s: %s", request->name,
			strerror(-r));
		note_failure(batch, r);
		return;
	}
	batch->n_open++;
}

/* init_error: what storage_request_init() said. */
static void submit_checked(struct batch *batch, struct storage_request *request, int init_error,
			   const int *fds)
{
	if (init_error < 0) {
		note_failure(batch, init_error);
		return;
	}
	request->mode = FILE_MODE;
	submit(batch, request, fds);
}

static void submit_for_name(struct batch *batch, enum storage_op op, int dir_fd, const char *name)
{
	struct storage_request request;
	int r = storage_request_init(&request, op, name, NULL);

	request.n_fds = 1;
	submit_checked(batch, &request, r, &dir_fd);
}

int batch_new(struct loop *loop, struct storage *storage, const char *job_id, batch_done_fn fn,
	      void *userdata, struct batch **ret_batch)
{
	struct batch *batch = malloc(sizeof(*batch));

	if (batch == NULL) {
		return -ENOMEM;
	}
	*batch = (struct batch){
		.loop = loop, .storage = storage, .job_id = job_id, .fn = fn, .userdata = userdata};
	*ret_batch = batch;
	return 0;
}

void batch_rename(struct batch *batch, int from_fd, const char *name, int to_fd,
		  const char *to_name)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_RENAME, name, to_name);

	request.n_fds = 2;
	submit_checked(batch, &request, r, (int[]){from_fd, to_fd});
}

void batch_unlink(struct batch *batch, int dir_fd, const char *name)
{
	submit_for_name(batch, STORAGE_UNLINK, dir_fd, name);
}

void batch_remove_tree(struct batch *batch, int dir_fd, const char *name)
{
	submit_for_name(batch, STORAGE_REMOVE_TREE, dir_fd, name);
}

void batch_write(struct batch *batch, int dir_fd, const char *name, const void *data, size_t len)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_WRITE_FILE, name, NULL);
	CLEANUP(fd_closep) int memfd = fd_memfd(name, data, len);

	request.n_fds = 2;
	submit_checked(batch, &request, memfd < 0 ? memfd : r, (int[]){dir_fd, memfd});
}

void batch_finish_file(struct batch *batch, int fd, uint64_t size_bytes)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_FINISH_FILE, NULL, NULL);

	request.n_fds = 1;
	request.size = size_bytes;
	submit_checked(batch, &request, r, &fd);
}

void batch_seal(struct batch *batch)
{
	batch->is_sealed = true;
	check_done(batch);
}

struct batch *batch_free(struct batch *batch)
{
	if (batch != NULL) {
		loop_source_free(batch->defer);
		free(batch);
	}
	return NULL;
}
