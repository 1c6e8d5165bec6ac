/* SPDX-License-Identifier: MIT */
/*
 * The end is told through a deferred call, whether or not anything was sent: the caller then has
 * one way to go on instead of two.
 *
 * Each request is kept until it is answered: one whose storage process died is sent again. All but
 * an fsync may be, for done twice they leave the same; what became of a file's fsync no second one
 * could tell. The number of tries ends what kills every process that tries it.
 *
 * They are sent in the order in which they were asked for, whatever has to wait; what goes with a
 * storage process is sent again as its loss is told, perhaps behind what was asked for later.
 *
 * What cannot be sent for lack of descriptors waits for the answer to another, which gives some
 * back at that moment, or for a timer. So a batch needs those of one request, whatever its size.
 */
#include "daemon/sched/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/failure.h"

#define FILE_MODE	  0640
#define MAX_N_TRIES	  5
#define RETRY_NS	  (100 * CLOCK_NS_PER_MS)
#define RETRY_PATIENCE_NS (10 * CLOCK_NS_PER_SEC)

struct item {
	struct batch *batch;
	struct storage_request request;
	int fds[STORAGE_MAX_FDS]; /* borrowed */
	int text_fd;		  /* -1, or one of them that is ours */
	unsigned n_tries;	  /* that were sent */
	bool is_sent;
	struct item *next;
};

struct batch {
	struct loop *loop;
	struct storage *storage;
	const char *job_id;
	batch_done_fn fn;
	void *userdata;
	struct item *items; /* all that are not answered, oldest first */
	int status;
	bool is_sealed;
	struct loop_source *defer, *retry;
	int64_t retry_until_ns; /* 0: all could be sent so far */
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

static void item_free(struct item *item)
{
	fd_close(item->text_fd);
	free(item);
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

static void fail_item(struct item *item, int status)
{
	struct batch *batch = item->batch;

	log_job(LOG_LEVEL_WARNING, batch->job_id, -1, "storage: %s: %s", item->request.name,
		strerror(-status));
	note_failure(batch, status);
	drop_item(item);
}

/* False: it has failed instead. */
static bool put_off_item(struct item *item, int error)
{
	struct batch *batch = item->batch;
	int64_t now_ns = clock_monotonic_ns();

	item->is_sent = false;
	if (batch->retry_until_ns == 0) {
		batch->retry_until_ns = now_ns + RETRY_PATIENCE_NS;
	}
	if (!failure_is_passing(-error) || now_ns >= batch->retry_until_ns ||
	    loop_timer_arm(batch->retry, now_ns + RETRY_NS) < 0) {
		fail_item(item, error);
		return false;
	}
	return true;
}

static void on_reply(void *userdata, const struct storage_reply *reply);

/* True: sent, or failed and gone. False: put off. */
static bool send_item(struct item *item)
{
	int r = storage_submit(item->batch->storage, &item->request, item->fds, on_reply, item);

	if (r < 0) {
		return !put_off_item(item, r);
	}
	item->is_sent = true;
	item->n_tries++;
	return true;
}

static void send_rest(struct batch *batch)
{
	struct item *next;

	for (struct item *item = batch->items; item != NULL; item = next) {
		next = item->next;
		if (!item->is_sent && !send_item(item)) {
			return;
		}
	}
}

static void on_retry(void *userdata, int64_t now_ns)
{
	struct batch *batch = userdata;

	send_rest(batch);
	check_done(batch);
}

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
	bool is_again = reply->is_lost && item->n_tries < MAX_N_TRIES &&
			item->request.op != STORAGE_FINISH_FILE &&
			item->request.op != STORAGE_SYNC_FILE;
	int status = status_of(item, reply);

	if (is_again) {
		item->is_sent = false;
	} else if (status < 0) {
		fail_item(item, status);
	} else {
		drop_item(item);
	}
	send_rest(batch);
	check_done(batch);
}

/* Takes over text_fd, which is the last of fds, or -1. */
static void submit(struct batch *batch, const struct storage_request *request, const int *fds,
		   int text_fd)
{
	struct item *item = malloc(sizeof(*item));

	if (item == NULL) {
		log_job(LOG_LEVEL_WARNING, batch->job_id, -1, "storage: %s: %s", request->name,
			strerror(ENOMEM));
		note_failure(batch, -ENOMEM);
		fd_close(text_fd);
		return;
	}
	*item = (struct item){.batch = batch, .request = *request, .text_fd = text_fd};
	memcpy(item->fds, fds, request->n_fds * sizeof(*fds));
	struct item **end = &batch->items;
	while (*end != NULL) {
		end = &(*end)->next;
	}
	*end = item;
	send_rest(batch);
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
	submit(batch, request, fds, -1);
}

static void submit_for_name(struct batch *batch, enum storage_op op, int dir_fd, const char *name)
{
	struct storage_request request;
	int r = storage_request_init(&request, op, name, NULL);

	request.n_fds = 1;
	submit_checked(batch, &request, r, &dir_fd);
}

static void submit_for_fd(struct batch *batch, enum storage_op op, int fd, uint64_t size_bytes)
{
	struct storage_request request;
	int r = storage_request_init(&request, op, NULL, NULL);

	request.n_fds = 1;
	request.size = size_bytes;
	submit_checked(batch, &request, r, &fd);
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
	int r = loop_add_timer(loop, on_retry, batch, &batch->retry);
	if (r < 0) {
		free(batch);
		return r;
	}
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

void batch_sweep(struct batch *batch, int dir_fd)
{
	submit_for_fd(batch, STORAGE_SWEEP_TEMPORARIES, dir_fd, 0);
}

static void submit_write(struct batch *batch, enum storage_op op, int dir_fd, const char *name,
			 const void *data, size_t len)
{
	struct storage_request request;
	int r = storage_request_init(&request, op, name, NULL);
	int text_fd = r < 0 ? r : fd_memfd(name, data, len);

	if (text_fd < 0) {
		note_failure(batch, text_fd);
		return;
	}
	request.n_fds = 2;
	request.mode = FILE_MODE;
	submit(batch, &request, (int[]){dir_fd, text_fd}, text_fd);
}

void batch_write(struct batch *batch, int dir_fd, const char *name, const void *data, size_t len)
{
	submit_write(batch, STORAGE_WRITE_FILE, dir_fd, name, data, len);
}

void batch_write_record(struct batch *batch, int dir_fd, const char *name, const void *data,
			size_t len)
{
	submit_write(batch, STORAGE_WRITE_RECORD, dir_fd, name, data, len);
}

void batch_sync_file(struct batch *batch, int fd)
{
	submit_for_fd(batch, STORAGE_SYNC_FILE, fd, 0);
}

void batch_sync_dir(struct batch *batch, int dir_fd)
{
	submit_for_fd(batch, STORAGE_SYNC_DIR, dir_fd, 0);
}

void batch_finish_file(struct batch *batch, int fd, uint64_t size_bytes)
{
	submit_for_fd(batch, STORAGE_FINISH_FILE, fd, size_bytes);
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
		loop_source_free(batch->retry);
		while (batch->items != NULL) {
			drop_item(batch->items);
		}
		free(batch);
	}
	return NULL;
}
