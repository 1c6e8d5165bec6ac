/* SPDX-License-Identifier: MIT */
/*
 * The commit is a line of steps, each a storage request per output or one in all. What a crash (of
 * the daemon, the storage process, or the machine) leaves behind, by the last step that was done:
 *
 *	step		on the disk				the next start
 *	(begun)		*.part, targets as before		runs the job again
 *	FINISH		*.part whole and durable		the same
 *	HEAD		and errors.jsonl in the state		the same
 *	DROP		unpublished *.part gone			the same
 *	LOOK		the same				the same
 *	RECORD		commit.json: COMMITTING			goes on from RENAME (commit_recover)
 *	RENAME 1..k	k targets are the new files		renames the rest; done is what has
 *								the record's inode
 *	RENAME all	all published				writes the result of the record
 *	RESULT		result.json				moves the receipt
 *	RECEIPT		receipt in done/ or failed/		nothing
 *
 * A rename is atomic and its directory is synced before the next, so no state lies between the
 * lines: that is why RECORD must be durable before the first RENAME, and RESULT come after the
 * last. A moved receipt says that the job has ended, so it does not move before a result is there.
 *
 * A step that fails before anything is in place leads to the undo steps, the record first: as long
 * as it stands, a start would try to finish. But a target that has our inode is published, whatever
 * the request answered: readers see it. From then on the step is only repeated, a few times, for
 * the sake of its directory's sync (unlike a file's, that may be asked for twice: it is a journal
 * that is written, not pages that were dropped). If the sync still fails, RESULT is left out: that
 * line would outlast a power failure that the rename does not, and say "completed" above the old
 * file. commit.json is right either way: the next start finds our inode under one name or the
 * other. Another target that cannot be renamed is waited for, ten seconds long, if it may pass:
 * what is in place cannot be taken back, and to the next attempt it would be someone else's file.
 * Then, and at once for what no waiting mends, it fails the job.
 *
 * A step whose storage process died is repeated if it can be told whether it was done (all but
 * FINISH: what became of that fsync no one knows).
 */
#include "daemon/sched/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/failure.h"

#define HEAD_LINES	 1000
#define MAX_N_REPEATS	 4
#define PUT_OFF_NS	 (100 * CLOCK_NS_PER_MS)
#define PATIENCE_NS	 (10 * CLOCK_NS_PER_SEC)
#define STATE_FILE_MODE	 0640
#define COMMIT_FILE_NAME "commit.json"
#define RESULT_FILE_NAME "result.json"

enum step {
	STEP_FINISH,
	STEP_HEAD,
	STEP_DROP,
	STEP_LOOK,
	STEP_RECORD,
	STEP_RENAME,
	STEP_RESULT,
	STEP_RECEIPT,
	STEP_END,
	STEP_UNDO_RECORD,
	STEP_UNDO_FILES,
	STEP_UNDO_END,
};

struct commit {
	const struct commit_options *options;
	commit_done_fn fn;
	void *userdata;
	int64_t started_at_ns;
	enum step step;
	size_t index;		   /* of the output that the step is at */
	unsigned n_repeats;	   /* of this request */
	struct loop_source *timer; /* what could not even be asked for is tried again */
	int64_t give_up_at_ns;	   /* 0: this request was not put off yet */
	bool is_unsynced, is_unsaved;
	int status; /* of the step that failed */
	struct failure failure;
};

#define SKIPPED 1

static void on_reply(void *userdata, const struct storage_reply *reply);

static int commit_submit(struct commit *commit, const struct storage_request *request,
			 const int *fds)
{
	return storage_submit(commit->options->storage, request, fds, on_reply, commit);
}

/* How many of the first n_outputs are published. */
static size_t n_published(const struct commit *commit, size_t n_outputs)
{
	const struct commit_output *output = commit->options->outputs;
	size_t n = 0;
	for (size_t i = 0; output && i < n_outputs; i++, output++) {
		n += output->is_published;
	}
	return n;
}

static int request_finish(struct commit *commit, const struct commit_output *output)
{
	if ((!output->is_published && !output->head_name) || output->is_in_place) {
		return SKIPPED;
	}
	struct storage_request request = {
		.op = STORAGE_FINISH_FILE, .n_fds = 1, .size = output->size_bytes};
	return commit_submit(commit, &request, &output->fd);
}

static int request_head(struct commit *commit, const struct commit_output *output)
{
	if (!output->head_name) {
		return SKIPPED;
	}
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_COPY_LINES, NULL, output->head_name);
	if (r < 0) {
		return r;
	}
	request.n_fds = 2;
	request.size = HEAD_LINES;
	request.mode = STATE_FILE_MODE;
	int fds[] = {output->fd, commit->options->job_dir_fd};
	return commit_submit(commit, &request, fds);
}

static int request_unlink(struct commit *commit, int dir_fd, const char *name)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_UNLINK, name, NULL);
	if (r < 0) {
		return r;
	}
	request.n_fds = 1;
	return commit_submit(commit, &request, &dir_fd);
}

static int request_drop(struct commit *commit, const struct commit_output *output)
{
	return output->is_published
		       ? SKIPPED
		       : request_unlink(commit, output->dir_fd, output->temporary_name);
}

/*
 * The rename itself will see to it that nothing is replaced. But of several targets it would see
 * the last only when the others are published; so look at all before.
 */
static int request_look(struct commit *commit, const struct commit_output *output)
{
	struct stat st;
	if (!output->is_published || !output->is_noreplace || output->is_in_place ||
	    fstatat(output->dir_fd, output->target_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return SKIPPED;
	}
	return -EEXIST;
}

static int request_write(struct commit *commit, const char *name, struct buf *text)
{
	struct storage_request request;
	int r = storage_request_init(&request, STORAGE_WRITE_FILE, name, NULL);
	if (r == 0) {
		r = buf_error(text);
	}
	if (r < 0) {
		return r;
	}
	CLEANUP(fd_closep) int text_fd = fd_memfd(name, text->data, text->len);
	if (text_fd < 0) {
		return text_fd;
	}
	request.n_fds = 2;
	request.mode = STATE_FILE_MODE;
	int fds[] = {commit->options->job_dir_fd, text_fd};
	return commit_submit(commit, &request, fds);
}

/* Fills in the files to be renamed; their texts stay the outputs'. */
static int fill_record(const struct commit *commit, struct commit_record *record)
{
	for (size_t i = 0; i < commit->options->n_outputs; i++) {
		const struct commit_output *output = &commit->options->outputs[i];
		struct stat st;
		if (!output->is_published) {
			continue;
		}
		if (fstat(output->fd, &st) < 0) {
			return -errno;
		}
		record->files[record->n_files++] = (struct commit_file){
			.root = output->root,
			.temporary = output->temporary_path,
			.target = output->target_path,
			.dev = st.st_dev,
			.inode = st.st_ino,
			.size_bytes = output->size_bytes,
			.is_errors = output->is_errors,
			.is_noreplace = output->is_noreplace,
		};
	}
	return 0;
}

static int request_record(struct commit *commit, const struct commit_output *output)
{
	if (n_published(commit, commit->options->n_outputs) == 0 || commit->options->is_recorded) {
		return SKIPPED;
	}
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct job_result result = *commit->options->result;
	CLEANUP(free_p)
	struct commit_file *files = calloc(commit->options->n_outputs, sizeof(*files));
	if (!files) {
		return -ENOMEM;
	}
	struct commit_record record = {.result = &result, .files = files};
	int r = fill_record(commit, &record);
	if (r < 0) {
		return r;
	}
	commit_record_render(&record, &text);
	return request_write(commit, COMMIT_FILE_NAME, &text);
}

static int request_rename(struct commit *commit, const struct commit_output *output)
{
	struct storage_request request;
	struct stat st;
	if (!output->is_published) {
		return SKIPPED;
	}
	int r = storage_request_init(&request, STORAGE_RENAME, output->temporary_name,
				     output->target_name);
	if (r < 0) {
		return r;
	}
	if (fstat(output->fd, &st) < 0) {
		return -errno;
	}
	request.n_fds = 2;
	request.flags = output->is_noreplace ? RENAME_NOREPLACE : 0;
	request.size = st.st_ino;
	int fds[] = {output->dir_fd, output->dir_fd};
	return commit_submit(commit, &request, fds);
}

/*
 * All is published: the job ends here, for its file and for whoever looks. commit.json, written
 * before, says nothing of the end: whoever goes on from it comes through here too.
 */
static int request_result(struct commit *commit, const struct commit_output *output)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct job_result *result = commit->options->result;
	result->finished_at_ns = clock_realtime_ns();
	result->commit_seconds = (double)(clock_monotonic_ns() - commit->started_at_ns) /
				 (double)CLOCK_NS_PER_SEC;
	if (commit->is_unsynced) {
		return SKIPPED;
	}
	job_result_render(result, &text);
	return request_write(commit, RESULT_FILE_NAME, &text);
}

static int request_receipt(struct commit *commit, const struct commit_output *output)
{
	const struct commit_options *options = commit->options;
	struct storage_request request;
	if (!options->receipt || commit->is_unsaved || commit->is_unsynced) {
		return SKIPPED;
	}
	int r = storage_request_init(&request, STORAGE_RENAME, options->receipt, options->receipt);
	if (r < 0) {
		return r;
	}
	request.n_fds = 2;
	int fds[] = {options->active_dir_fd, options->receipt_dir_fd};
	return commit_submit(commit, &request, fds);
}

static int request_undo_record(struct commit *commit, const struct commit_output *output)
{
	return request_unlink(commit, commit->options->job_dir_fd, COMMIT_FILE_NAME);
}

static int request_undo_file(struct commit *commit, const struct commit_output *output)
{
	return request_unlink(commit, output->dir_fd, output->temporary_name);
}

struct step_info {
	/* Submits it: 0, SKIPPED if there is nothing to do, -errno. */
	int (*request)(struct commit *commit, const struct commit_output *output);
	bool is_per_output;
	bool is_fatal; /* its failure fails the commit */
	bool is_repeatable;
	const char *what; /* "cannot ... FILE: why" */
};

static const struct step_info steps[] = {
	[STEP_FINISH] = {request_finish, true, true, false, "write"},
	[STEP_HEAD] = {request_head, true, false, true, "copy the first rejects of"},
	[STEP_DROP] = {request_drop, true, false, true, "remove the temporary file of"},
	[STEP_LOOK] = {request_look, true, true, true, "put in place"},
	[STEP_RECORD] = {request_record, false, true, true, "record the commit of"},
	[STEP_RENAME] = {request_rename, true, true, true, "put in place"},
	[STEP_RESULT] = {request_result, false, false, true, "record the result of"},
	[STEP_RECEIPT] = {request_receipt, false, false, true, "move the receipt of"},
	[STEP_UNDO_RECORD] = {request_undo_record, false, false, true, "take back the commit of"},
	[STEP_UNDO_FILES] = {request_undo_file, true, false, true, "remove the temporary file of"},
};

static const struct commit_output *current_output(const struct commit *commit)
{
	return steps[commit->step].is_per_output ? &commit->options->outputs[commit->index] : NULL;
}

/* Submits the next thing to do. 1: there is none left; 0: under way; -errno. */
static int commit_advance(struct commit *commit)
{
	while (commit->step != STEP_END && commit->step != STEP_UNDO_END) {
		const struct step_info *info = &steps[commit->step];
		size_t n = info->is_per_output ? commit->options->n_outputs : 1;
		if (commit->index >= n) {
			commit->step++;
			commit->index = 0;
			continue;
		}
		int r = info->request(commit, current_output(commit));
		if (r != SKIPPED) {
			return r;
		}
		commit->index++;
	}
	return 1;
}

static enum job_reason reason_of(const struct commit *commit, int error)
{
	if (commit->step != STEP_RENAME && commit->step != STEP_LOOK) {
		return failure_reason_of(error, JOB_REASON_IO_ERROR);
	}
	switch (error) {
	case EEXIST:
		return JOB_REASON_OUTPUT_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
	case ENOENT:
	case EISDIR:
		return JOB_REASON_OUTPUT_UNWRITABLE;
	default:
		return failure_reason_of(error, JOB_REASON_IO_ERROR);
	}
}

static bool is_fatal(const struct commit *commit)
{
	const struct commit_output *output = current_output(commit);
	return steps[commit->step].is_fatal && (!output || output->is_published);
}

/* Whether the rename was done, whatever became of its reply or of the directory's sync. */
static bool is_renamed(const struct commit *commit)
{
	const struct commit_output *output = current_output(commit);
	struct stat ours, there;
	return commit->step == STEP_RENAME && output->is_published &&
	       fstat(output->fd, &ours) == 0 &&
	       fstatat(output->dir_fd, output->target_name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

static void commit_unsynced(struct commit *commit, const char *target, int status)
{
	log_job(LOG_LEVEL_ERROR, commit->options->result->id, -1,
		"%s is in place, but its directory cannot be synced: %s; the next start looks "
		"whether it lasted",
		target, strerror(-status));
	commit->is_unsynced = true;
	commit->index++;
}

/* The step failed: on to the next if it can be lived with, else to the undo steps. */
static void commit_fail(struct commit *commit, int status, const char *why)
{
	const struct commit_output *output = current_output(commit);
	const char *id = commit->options->result->id;
	const char *what = steps[commit->step].what;
	const char *name = output ? output->target_path : id;
	commit->give_up_at_ns = 0;
	if (commit->step == STEP_RECEIPT && status == -ENOENT) {
		commit->index++; /* moved before, or taken away: there is nothing to move */
		return;
	}
	if (is_renamed(commit)) {
		commit_unsynced(commit, name, status);
		return;
	}
	commit->is_unsaved |= commit->step == STEP_RESULT;
	if (!is_fatal(commit)) {
		log_job(LOG_LEVEL_WARNING, id, -1, "cannot %s %s: %s", what, name, why);
		commit->index++;
		return;
	}
	if (commit->step == STEP_FINISH && commit->options->unsynced) {
		commit->options->unsynced(commit->userdata);
	}
	commit->status = status;
	failure_set(&commit->failure, reason_of(commit, -status), "cannot %s %s: %s", what, name,
		    why);
	commit->step = STEP_UNDO_RECORD;
	commit->index = 0;
}

/* False: not any more. */
static bool put_off(struct commit *commit)
{
	int64_t now_ns = clock_monotonic_ns();

	if (commit->give_up_at_ns == 0) {
		commit->give_up_at_ns = now_ns + PATIENCE_NS;
	}
	return now_ns < commit->give_up_at_ns &&
	       loop_timer_arm(commit->timer, now_ns + PUT_OFF_NS) == 0;
}

/* Goes on until something is under way or all is done. */
static void commit_run(struct commit *commit)
{
	for (;;) {
		int r = commit_advance(commit);
		/* Memory or descriptors may come back. */
		if (r == 0 || (r < 0 && failure_is_passing(-r) && put_off(commit))) {
			return;
		}
		if (r > 0) {
			break;
		}
		commit_fail(commit, r, strerror(-r));
	}
	int published = commit->is_unsynced  ? COMMIT_UNSYNCED
			: commit->is_unsaved ? COMMIT_UNSAVED
					     : COMMIT_DURABLE;
	commit->fn(commit->userdata, commit->status < 0 ? commit->status : published,
		   commit->failure.reason, commit->failure.message);
}

static void on_timer(void *userdata, int64_t now_ns)
{
	commit_run(userdata);
}

/* A rename that another has gone before, and that failed for what may pass. */
static bool is_rename_to_wait_for(const struct commit *commit, int error)
{
	enum job_reason reason = reason_of(commit, error);

	return commit->step == STEP_RENAME && current_output(commit)->is_published &&
	       (commit->options->is_recorded || n_published(commit, commit->index) > 0) &&
	       !is_renamed(commit) &&
	       (reason == JOB_REASON_IO_ERROR || reason == JOB_REASON_NO_SPACE);
}

static void on_reply(void *userdata, const struct storage_reply *reply)
{
	struct commit *commit = userdata;
	bool is_worth_it = reply->is_lost ? steps[commit->step].is_repeatable : is_renamed(commit);
	bool is_again = reply->status < 0 && is_worth_it && commit->n_repeats < MAX_N_REPEATS;
	commit->n_repeats = is_again ? commit->n_repeats + 1 : 0;
	if (reply->status >= 0) {
		commit->index++;
		commit->give_up_at_ns = 0;
	} else if (!is_again) {
		if (!reply->is_lost && is_rename_to_wait_for(commit, -reply->status) &&
		    put_off(commit)) {
			return;
		}
		commit_fail(commit, reply->status,
			    reply->is_lost ? "the storage process died" : strerror(-reply->status));
	}
	commit_run(commit);
}

int commit_start(const struct commit_options *options, commit_done_fn fn, void *userdata,
		 struct commit **ret_commit)
{
	struct commit *commit = calloc(1, sizeof(*commit));
	if (!commit) {
		return -ENOMEM;
	}
	commit->options = options;
	commit->fn = fn;
	commit->userdata = userdata;
	commit->started_at_ns = clock_monotonic_ns();
	int r = loop_add_timer(options->loop, on_timer, commit, &commit->timer);
	if (r == 0) {
		/* RESULT is never skipped: something is under way after this, or it has failed. */
		r = commit_advance(commit);
	}
	if (r < 0) {
		commit_free(commit);
		return r;
	}
	*ret_commit = commit;
	return 0;
}

struct commit *commit_free(struct commit *commit)
{
	if (commit) {
		loop_source_free(commit->timer);
		free(commit);
	}
	return NULL;
}
