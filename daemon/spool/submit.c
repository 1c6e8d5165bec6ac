/* SPDX-License-Identifier: MIT */

/*
 * Three storage requests, one after the other: jobs/ID, jobs/ID/spec.json, active/ID.file_name.
 * The receipt comes last, as in a claim: a copy without one was never acknowledged and is removed
 * at the next start.
 */

#include "daemon/spool/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "common/util/str.h"

enum step {
	STEP_MKDIR,
	STEP_SPEC,
	STEP_RECEIPT,
	STEP_UNDO_RECEIPT,
	STEP_UNDO_COPY,
};

struct submit {
	struct submit_options options;
	char *file_name;
	char *text;
	int text_fd; /* memfd of the same */
	char id[24];
	char receipt[STORAGE_NAME_MAX];
	enum step step;
	int status;  /* why it is undone */
	char *error; /* the same in words, or NULL */
	submit_done_fn fn;
	void *userdata;
};

static void submit_step(void *userdata, const struct storage_reply *reply);

static void submit_free(struct submit *submit)
{
	fd_close(submit->text_fd);
	free(submit->file_name);
	free(submit->text);
	free(submit->error);
	free(submit);
}

static void submit_end(struct submit *submit)
{
	submit->fn(submit->userdata, submit->status, submit->id, submit->error);
	submit_free(submit);
}

static int request_mkdir(struct submit *submit)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_MKDIR, submit->id, NULL);

	if (r < 0) {
		return r;
	}
	request.n_fds = 1;
	request.mode = 0750;
	return storage_submit(submit->options.storage, &request, &submit->options.jobs_dir_fd,
			      submit_step, submit);
}

static int request_write(struct submit *submit, int dir_fd, const char *name)
{
	struct storage_request request;
	int fds[2] = {dir_fd, submit->text_fd};
	int r = storage_request_init(&request, STORAGE_WRITE_FILE, name, NULL);

	if (r < 0) {
		return r;
	}
	request.n_fds = 2;
	request.mode = 0640;
	return storage_submit(submit->options.storage, &request, fds, submit_step, submit);
}

static int request_spec(struct submit *submit)
{
	CLEANUP(fd_closep)
	int job_dir_fd = openat(submit->options.jobs_dir_fd, submit->id,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return job_dir_fd < 0 ? -errno : request_write(submit, job_dir_fd, "spec.json");
}

static int request_undo(struct submit *submit, enum storage_op op, int dir_fd, const char *name)
{
	struct storage_request request;
	int r = storage_request_init(&request, op, name, NULL);

	if (r < 0) {
		return r;
	}
	request.n_fds = 1;
	return storage_submit(submit->options.storage, &request, &dir_fd, submit_step, submit);
}

/* Removes the receipt, then the copy. What can't be removed now is removed at the next start. */
static void submit_undo(struct submit *submit, int status)
{
	submit->status = status;
	submit->step = STEP_UNDO_RECEIPT;
	if (request_undo(submit, STORAGE_UNLINK, submit->options.active_dir_fd, submit->receipt) <
	    0) {
		submit_end(submit);
	}
}

static void submit_undo_copy(struct submit *submit)
{
	submit->step = STEP_UNDO_COPY;
	if (request_undo(submit, STORAGE_REMOVE_TREE, submit->options.jobs_dir_fd, submit->id) <
	    0) {
		submit_end(submit);
	}
}

/* Says where: the bare error would be taken for one of a file of the client. */
static void submit_fail(struct submit *submit, int status)
{
	if (asprintf(&submit->error, "cannot keep the spec in spool_dir and state_dir: %s",
		     strerror(-status)) < 0) {
		submit->error = NULL;
	}
	submit_undo(submit, status);
}

/* All is on disk: hand the job over. */
static void submit_hand_over(struct submit *submit)
{
	const struct spool_callbacks *callbacks = &submit->options.callbacks;
	const struct spool_claim claim = {.id = submit->id,
					  .file_name = submit->file_name,
					  .text = submit->text,
					  .len = submit->options.len,
					  .uid = submit->options.uid};
	int r = callbacks->claimed(callbacks->userdata, &claim, &submit->error);

	if (r < 0) {
		submit_undo(submit, r);
		return;
	}
	submit_end(submit);
}

static void submit_step(void *userdata, const struct storage_reply *reply)
{
	struct submit *submit = userdata;
	int r = reply->status;

	switch (submit->step) {
	case STEP_MKDIR:
		submit->step = STEP_SPEC;
		r = r < 0 ? r : request_spec(submit);
		break;
	case STEP_SPEC:
		submit->step = STEP_RECEIPT;
		r = r < 0 ? r
			  : request_write(submit, submit->options.active_dir_fd, submit->receipt);
		break;
	case STEP_RECEIPT:
		if (r == 0) {
			submit_hand_over(submit);
			return;
		}
		break;
	case STEP_UNDO_RECEIPT:
		submit_undo_copy(submit);
		return;
	case STEP_UNDO_COPY:
		submit_end(submit);
		return;
	}
	if (r < 0) {
		submit_fail(submit, r);
	}
}

/* The receipt's name: what the client calls the spec, without a path, with .json at its end. */
static char *receipt_name(const char *hint)
{
	const char *name = hint != NULL && hint[0] != '\0' ? hint : "job";
	const char *slash = strrchr(name, '/');
	char *result;

	name = slash != NULL ? slash + 1 : name;
	if (asprintf(&result, "%s%s", name, str_ends_with(name, ".json") ? "" : ".json") < 0) {
		return NULL;
	}
	return result;
}

static int submit_prepare(struct submit *submit)
{
	const struct submit_options *options = &submit->options;

	submit->file_name = receipt_name(options->name_hint);
	submit->text = malloc(options->len + 1);
	if (submit->file_name == NULL || submit->text == NULL) {
		return -ENOMEM;
	}
	memcpy(submit->text, options->text, options->len);
	submit->text_fd = fd_memfd("spec", submit->text, options->len);
	if (submit->text_fd < 0) {
		return submit->text_fd;
	}
	options->callbacks.next_id(options->callbacks.userdata, submit->id);
	int len = snprintf(submit->receipt, sizeof(submit->receipt), "%s.%s", submit->id,
			   submit->file_name);
	return len < (int)sizeof(submit->receipt) ? 0 : -ENAMETOOLONG;
}

int submit_start(const struct submit_options *options, submit_done_fn fn, void *userdata)
{
	struct submit *submit = calloc(1, sizeof(*submit));

	if (submit == NULL) {
		return -ENOMEM;
	}
	*submit = (struct submit){
		.options = *options, .text_fd = -1, .fn = fn, .userdata = userdata};
	int r = submit_prepare(submit);
	r = r < 0 ? r : request_mkdir(submit);
	if (r < 0) {
		submit_free(submit);
	}
	return r;
}
