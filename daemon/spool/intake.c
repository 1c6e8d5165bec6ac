/* SPDX-License-Identifier: MIT */
/*
 *	CLAIM -> taken, gone, busy or failed
 *	      -> refused, still in incoming/:	      EXPLAIN, MOVE
 *	      -> claimed, but no job can be made of it: EXPLAIN, MOVE, REMOVE (of the copy)
 *
 * The explanation is written before the spec appears beside it, so whoever sees the spec in
 * invalid/ finds the reason. A crash in between leaves an explanation too many, never one too few:
 * the spec is then judged again.
 */
#include "daemon/spool/intake.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/model/job_spec.h"
#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"

#define ERROR_SUFFIX	".error.json"
#define ERROR_FILE_MODE 0644
#define PROBLEM_SIZE	512
#define MAX_LOST	3

enum step { STEP_NONE, STEP_CLAIM, STEP_EXPLAIN, STEP_MOVE, STEP_REMOVE, STEP_UNEXPLAIN };

struct intake {
	struct spool_options options;
	struct intake_dirs dirs;
	intake_done_fn fn;
	void *userdata;
	enum step step;
	unsigned n_lost; /* claims that were cut off by the storage's death */
	bool is_claimed; /* it is in active/ and there is a copy */
	char id[24];
	char name[STORAGE_NAME_MAX];	/* in incoming/ */
	char receipt[STORAGE_NAME_MAX]; /* in active/ and invalid/ */
	int text_fd;
	char *error; /* why it is refused */
	char problem[PROBLEM_SIZE];
};

/* What is wrong with a file that must not be taken, by the status of the claim. */
static const struct refusal {
	int status;
	const char *sentence;
} refusals[] = {
	{-EPERM, "its owner is not among allowed_users"},
	{-EMLINK, "the file has more than one link"},
	{-EFBIG, "a spec has at most 1 MiB"},
	{-ELOOP, "a symbolic link is not taken for a spec"},
	{-EINVAL, "it is not a regular file"},
	{-EACCES, "the daemon may not read it"},
	{-EILSEQ, "its name is not UTF-8"},
	{-ENAMETOOLONG, "its name is too long"},
};

static void on_reply(void *userdata, const struct storage_reply *reply);

int intake_new(const struct spool_options *options, intake_done_fn fn, void *userdata,
	       struct intake **ret_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake));
	if (!intake) {
		return -ENOMEM;
	}
	*intake = (struct intake){
		.options = *options, .fn = fn, .userdata = userdata, .text_fd = -1};
	*ret_intake = intake;
	return 0;
}

struct intake *intake_free(struct intake *intake)
{
	if (!intake) {
		return NULL;
	}
	if (intake->step != STEP_NONE) {
		storage_forget(intake->options.storage, intake);
	}
	fd_close(intake->text_fd);
	free(intake->error);
	free(intake);
	return NULL;
}

void intake_set_dirs(struct intake *intake, const struct intake_dirs *dirs)
{
	intake->dirs = *dirs;
}

static int intake_submit(struct intake *intake, const struct storage_request *request,
			 const int *fds)
{
	return storage_submit(intake->options.storage, request, fds, on_reply, intake);
}

/* Nothing is under way any more when fn is called: it may start the next. */
static void intake_end(struct intake *intake, enum intake_end end, const char *problem)
{
	intake->step = STEP_NONE;
	intake->text_fd = fd_close(intake->text_fd);
	free(intake->error);
	intake->error = NULL;
	intake->fn(intake->userdata, end, problem);
}

static void intake_fail(struct intake *intake, const char *what, int status)
{
	snprintf(intake->problem, sizeof(intake->problem), "cannot %s %.200s: %s", what,
		 intake->name, strerror(-status));
	intake_end(intake, INTAKE_FAILED, intake->problem);
}

static int request_claim(struct intake *intake)
{
	const struct spool_options *options = &intake->options;
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_CLAIM, intake->name, intake->id);
	if (r < 0) {
		return r;
	}
	request.n_fds = 4;
	request.flags = intake->n_lost > 0 ? STORAGE_CLAIM_AGAIN : 0;
	request.size = JOB_SPEC_MAX_BYTES;
	for (size_t i = 0; i < options->n_allowed_uids && i < STORAGE_MAX_UIDS; i++) {
		request.uids[request.n_uids++] = options->allowed_uids[i];
	}
	int fds[] = {intake->dirs.incoming_fd, intake->dirs.active_fd, intake->dirs.jobs_fd,
		     intake->text_fd};
	return intake_submit(intake, &request, fds);
}

int intake_start(struct intake *intake, const char *name)
{
	assert(intake->step == STEP_NONE);
	if (strlen(name) >= sizeof(intake->name)) {
		return -ENAMETOOLONG;
	}
	snprintf(intake->name, sizeof(intake->name), "%s", name);
	intake->is_claimed = false;
	intake->n_lost = 0;
	intake->text_fd = fd_memfd("spec", "", 0);
	if (intake->text_fd < 0) {
		int r = intake->text_fd;
		intake->text_fd = -1;
		return r;
	}
	intake->options.callbacks.next_id(intake->options.callbacks.userdata, intake->id);
	int r = request_claim(intake);
	if (r < 0) {
		intake->text_fd = fd_close(intake->text_fd);
		return r;
	}
	intake->step = STEP_CLAIM;
	return 0;
}

/* ID.name, cut so that its explanation has a name too. */
static void set_receipt(struct intake *intake)
{
	int room = (int)(NAME_MAX - strlen(intake->id) - 1 - strlen(ERROR_SUFFIX));
	snprintf(intake->receipt, sizeof(intake->receipt), "%s.%.*s", intake->id, room,
		 intake->name);
}

static void explanation_name(const struct intake *intake, char ret_name[static NAME_MAX + 1])
{
	snprintf(ret_name, NAME_MAX + 1, "%.*s" ERROR_SUFFIX,
		 (int)(NAME_MAX - strlen(ERROR_SUFFIX)), intake->receipt);
}

/* Bytes that are not UTF-8 become question marks: JSON can't hold them. */
static void make_utf8(char *text)
{
	size_t bad_offset;
	while (!str_is_utf8(text, strlen(text), &bad_offset)) {
		text[bad_offset] = '?';
	}
}

static void render_explanation(const struct intake *intake, struct buf *out)
{
	char name[STORAGE_NAME_MAX], now[CLOCK_TEXT_SIZE];
	snprintf(name, sizeof(name), "%s", intake->name);
	make_utf8(name);
	make_utf8(intake->error);
	buf_printf(out, "{\"id\":\"%s\",\"file\":", intake->id);
	buf_add_json_string(out, name, strlen(name));
	buf_add_str(out, ",\"error\":");
	buf_add_json_string(out, intake->error, strlen(intake->error));
	buf_printf(out, ",\"refused_at\":\"%s\"}\n", clock_format_utc(now, clock_realtime_ns()));
}

static int request_explain(struct intake *intake)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct storage_request request;
	char name[NAME_MAX + 1];
	explanation_name(intake, name);
	int r = storage_request_init(&request, STORAGE_WRITE_FILE, name, NULL);
	if (r < 0) {
		return r;
	}
	render_explanation(intake, &text);
	if (buf_error(&text) < 0) {
		return -ENOMEM;
	}
	CLEANUP(fd_closep) int text_fd = fd_memfd("error", text.data, text.len);
	if (text_fd < 0) {
		return text_fd;
	}
	request.n_fds = 2;
	request.mode = ERROR_FILE_MODE;
	int fds[] = {intake->dirs.invalid_fd, text_fd};
	return intake_submit(intake, &request, fds);
}

static int request_move(struct intake *intake)
{
	struct storage_request request;
	char from[STORAGE_NAME_MAX];
	int room = (int)(NAME_MAX - strlen(intake->id) - 1);
	int n = intake->is_claimed
			? snprintf(from, sizeof(from), "%s.%.*s", intake->id, room, intake->name)
			: snprintf(from, sizeof(from), "%s", intake->name);
	int r = storage_request_init(&request, STORAGE_RENAME, from, intake->receipt);
	if (n < 0 || r < 0) {
		return r;
	}
	request.n_fds = 2;
	request.flags = RENAME_NOREPLACE;
	int fds[] = {intake->is_claimed ? intake->dirs.active_fd : intake->dirs.incoming_fd,
		     intake->dirs.invalid_fd};
	return intake_submit(intake, &request, fds);
}

static int request_remove(struct intake *intake)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_REMOVE_TREE, intake->id, NULL);
	if (r < 0) {
		return r;
	}
	request.n_fds = 1;
	return intake_submit(intake, &request, &intake->dirs.jobs_fd);
}

static int request_unexplain(struct intake *intake)
{
	struct storage_request request;
	char name[NAME_MAX + 1];
	explanation_name(intake, name);
	int r = storage_request_init(&request, STORAGE_UNLINK, name, NULL);
	if (r < 0) {
		return r;
	}
	request.n_fds = 1;
	return intake_submit(intake, &request, &intake->dirs.invalid_fd);
}

static void go_on(struct intake *intake, enum step step)
{
	static int (*const requests[])(struct intake *) = {
		[STEP_EXPLAIN] = request_explain,
		[STEP_MOVE] = request_move,
		[STEP_REMOVE] = request_remove,
		[STEP_UNEXPLAIN] = request_unexplain,
	};
	intake->step = step;
	int r = requests[step](intake);
	if (r < 0) {
		intake_fail(intake, "move to invalid/", r);
	}
}

/* Takes over `error`; NULL stands for no memory. */
static void intake_refuse(struct intake *intake, char *error)
{
	intake->error = error;
	if (!error) {
		intake_fail(intake, "refuse", -ENOMEM);
		return;
	}
	set_receipt(intake);
	go_on(intake, STEP_EXPLAIN);
}

static int read_text(struct intake *intake, struct buf *text)
{
	if (lseek(intake->text_fd, 0, SEEK_SET) < 0) {
		return -errno;
	}
	int r = fd_read_all(intake->text_fd, JOB_SPEC_MAX_BYTES, text);
	return r < 0 ? r : buf_terminated(text) ? 0 : -ENOMEM;
}

static void hand_over(struct intake *intake, uid_t uid)
{
	const struct spool_callbacks *callbacks = &intake->options.callbacks;
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	char *error = NULL;
	int r = read_text(intake, &text);
	intake->is_claimed = true;
	if (r == 0) {
		const struct spool_claim claim = {.id = intake->id,
						  .file_name = intake->name,
						  .text = text.data,
						  .len = text.len,
						  .uid = uid};
		r = callbacks->claimed(callbacks->userdata, &claim, &error);
	}
	if (r == -EINVAL) {
		intake_refuse(intake, error ? error : strdup("the spec is invalid"));
	} else if (r < 0) {
		/* Its receipt is in active/: the next start makes a job of it. */
		intake_fail(intake, "make a job of", r);
	} else {
		intake_end(intake, INTAKE_TAKEN, NULL);
	}
}

static const char *refusal_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		if (refusals[i].status == status) {
			return refusals[i].sentence;
		}
	}
	return strerror(-status);
}

/* The storage died: had the spec moved already? Only the same claim can find out. */
static bool claim_again(struct intake *intake)
{
	return ++intake->n_lost <= MAX_LOST && request_claim(intake) == 0;
}

static void on_claimed(struct intake *intake, const struct storage_reply *reply)
{
	if (reply->is_lost && claim_again(intake)) {
		return;
	}
	if (reply->status == 0) {
		hand_over(intake, reply->uid);
	} else if (reply->is_refused) {
		intake_refuse(intake, strdup(refusal_of(reply->status)));
	} else if (reply->status == -EAGAIN) {
		intake_end(intake, INTAKE_BUSY, NULL);
	} else if (reply->status == -ENOENT) {
		intake_end(intake, INTAKE_GONE, NULL);
	} else {
		intake_fail(intake, "claim", reply->status);
	}
}

static void on_moved(struct intake *intake, const struct storage_reply *reply)
{
	if (reply->is_lost) {
		/* Perhaps it has moved, so its explanation stays. */
		intake_fail(intake, "move to invalid/", reply->status);
		return;
	}
	if (reply->status < 0) {
		snprintf(intake->problem, sizeof(intake->problem),
			 "cannot move %.200s to invalid/: %s", intake->name,
			 strerror(-reply->status));
		go_on(intake, STEP_UNEXPLAIN);
		return;
	}
	log_warning("spool: %s is invalid (%s) and is now invalid/%s", intake->name, intake->error,
		    intake->receipt);
	if (intake->is_claimed) {
		go_on(intake, STEP_REMOVE);
	} else {
		intake_end(intake, INTAKE_REFUSED, NULL);
	}
}

static void on_reply(void *userdata, const struct storage_reply *reply)
{
	struct intake *intake = userdata;
	switch (intake->step) {
	case STEP_CLAIM:
		on_claimed(intake, reply);
		break;
	case STEP_EXPLAIN:
		if (reply->status < 0) {
			intake_fail(intake, "explain what is wrong with", reply->status);
			break;
		}
		go_on(intake, STEP_MOVE);
		break;
	case STEP_MOVE:
		on_moved(intake, reply);
		break;
	case STEP_REMOVE:
		/* A copy that stays has no receipt: the next start removes it. */
		intake_end(intake, INTAKE_REFUSED, NULL);
		break;
	case STEP_UNEXPLAIN:
		intake_end(intake, INTAKE_FAILED, intake->problem);
		break;
	case STEP_NONE:
		break;
	}
}
