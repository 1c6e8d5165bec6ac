/* SPDX-License-Identifier: MIT */
/*
 * The end is told through a deferred call, whether or not anything was sent: the caller then has
 * one way to go on instead of two.
 *
 * Each request is kept, with descriptors of its own, until it is answered: one whose storage
 * process died is sent again. All but an fsync may be, for done twice they leave the same; what
 * became of a file's fsync no second one could tell. The number of tries ends what kills every
 * process that tries it.
 */
#include "daemon/sched/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "common/util/log.h"

#define FILE_MODE   0640
#define MAX_N_TRIES 5

struct item {
	struct batch *batch;
	struct storage_request request;
	int fds[STORAGE_MAX_FDS];
	unsigned n_tries;
	struct item *next;
};

struct batch {
	struct loop *loop;
	struct storage *storage;
	const char *job_id;
	batch_done_fn fn;
	void *userdata;
	struct item *items; /* all that are not answered */
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
	if (!batch->is_sealed || batch->items != NULL || batch->defer != NULL) {
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

static struct item *item_free(struct item *item)
{
	for (size_t i = 0; item != NULL && i < STORAGE_MAX_FDS; i++) {
		fd_close(item->fds[i]);
	}
	free(item);
	return NULL;
}

static int item_new(struct batch *batch, const struct storage_request *request, const int *fds,
		    struct item **ret_item)
{
	struct item *item = malloc(sizeof(*item));

	if (item == NULL) {
		return -ENOMEM;
	}
	*item = (struct item){.batch = batch, .request = *request};
	for (size_t i = 0; i < STORAGE_MAX_FDS; i++) {
		item->fds[i] = -1;
	}
	for (size_t i = 0; i < request->n_fds; i++) {
		item->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (item->fds[i] < 0) {
			int r = -errno;

			item_free(item);
			return r;
		}
	}
	*ret_item = item;
	return 0;
}

static void drop_item(struct item *item)
{
	struct item **at = &item->batch->items;

	while (*at != item) {
		at = &(*at)->next;
	}
	*at = item->next;
	item_free(item);
}

static int send_item(struct item *item);

/* What a reply says of the request, however often it was tried. */
static int status_of(const struct item *item, const struct storage_reply *reply)
{
	bool was_renamed = item->n_tries > 1 && item->request.op == STORAGE_RENAME &&
			   reply->status == -ENOENT;

	return was_renamed ? 0 : reply->status;
}

static void on_reply(void *userdata, const struct storage_reply *reply)
{
	struct item *item = userdata;
	struct batch *batch = item->batch;
	bool is_again = reply->is_lost && item->request.op != STORAGE_FINISH_FILE &&
			item->n_tries < MAX_N_TRIES;
	int status = is_again ? send_item(item) : status_of(item, reply);

	if (is_again && status == 0) {
		return;
	}
	if (status < 0) {
		log_job(LOG_LEVEL_WARNING, batch->job_id, -1, "storage: %s: %s", item->request.name,
			strerror(-status));
		note_failure(batch, status);
	}
	drop_item(item);
	check_done(batch);
}

static int send_item(struct item *item)
{
	item->n_tries++;
	return storage_submit(item->batch->storage, &item->request, item->fds, on_reply, item);
}

static void submit(struct batch *batch, const struct storage_request *request, const int *fds)
{
	struct item *item = NULL;
	int r = item_new(batch, request, fds, &item);

	if (r == 0) {
		r = send_item(item);
	}
	if (r < 0) {
		log_job(LOG_LEVEL_WARNING, batch->job_id, -1, "storage: %s: %s", request->name,
			strerror(-r));
		note_failure(batch, r);
		item_free(item);
		return;
	}
	item->next = batch->items;
	batch->items = item;
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
		while (batch->items != NULL) {
			drop_item(batch->items);
		}
		free(batch);
	}
	return NULL;
}
