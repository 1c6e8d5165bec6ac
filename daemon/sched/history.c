/* SPDX-License-Identifier: MIT */
/*
 * base.json says which finish sequences are inside, so a result is counted once, whatever the
 * order of writes on disk: results up to that number are inside, later ones are read from their
 * own files at the next start. Sequences of one daemon's life have no gap; those of earlier lives
 * may have one, where a job was cut off between its number and its result.
 */
#include "daemon/sched/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"
#include "daemon/sched/batch.h"
#include "daemon/sched/run.h"

#define BASE_NAME      "base.json"
#define BASE_MAX_BYTES (16u << 20)

struct history {
	struct sched_env *env;
	struct counter_base *base;
	uint64_t next_sequence; /* to be given out */
	uint64_t next_fold;	/* whose turn it is */
	struct job *waiting;	/* ended, not folded: a list through job->next_unfolded */
	bool is_dirty;
	struct batch *saving;
	uint64_t saving_sequence, saved_sequence;

	struct totals_view totals; /* handed out */
	struct name_totals_view *names;
	size_t capacity;
};

/* --- base.json -------------------------------------------------------------------------------- */

static int read_base(int state_dir_fd, struct counter_base **ret_base)
{
	CLEANUP(fd_closep)
	int fd = openat(state_dir_fd, BASE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	if (fd < 0) {
		return -errno;
	}
	int r = fd_read_all(fd, BASE_MAX_BYTES, &text);
	if (r < 0) {
		return r;
	}
	return counter_base_parse(text.data != NULL ? text.data : "", text.len, ret_base);
}

int history_load(struct history *history)
{
	struct counter_base *base = NULL;
	int r = read_base(history->env->options.state_dir_fd, &base);

	if (r == -ENOENT) {
		return 0;
	}
	if (r < 0) {
		return r;
	}
	counter_base_free(history->base);
	history->base = base;
	history->saved_sequence = base->finish_sequence;
	history->next_sequence = base->finish_sequence + 1;
	history->next_fold = history->next_sequence;
	return 0;
}

static void on_saved(void *userdata, int status)
{
	struct history *history = userdata;

	history->saving = batch_free(history->saving);
	if (status < 0) {
		log_error("cannot write %s: %s; trying again", BASE_NAME, strerror(-status));
		history->is_dirty = true;
		return;
	}
	history->saved_sequence = history->saving_sequence;
}

void history_save(struct history *history)
{
	const struct scheduler_options *options = &history->env->options;
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	if (!history->is_dirty || history->saving != NULL) {
		return;
	}
	counter_base_render(history->base, &text);
	if (buf_error(&text) < 0 || batch_new(history->env->loop, options->storage, NULL, on_saved,
					      history, &history->saving) < 0) {
		return;
	}
	history->is_dirty = false;
	history->saving_sequence = history->base->finish_sequence;
	batch_write(history->saving, options->state_dir_fd, BASE_NAME, text.data, text.len);
	batch_seal(history->saving);
}

bool history_is_dirty(const struct history *history)
{
	return history->is_dirty;
}

bool history_is_safe_without(const struct history *history, const struct job *job)
{
	return job->is_folded && job->result->finish_sequence <= history->saved_sequence;
}

/* --- folding ---------------------------------------------------------------------------------- */

static int fold(struct history *history, struct job *job)
{
	int r = counter_base_fold(history->base, job->result);

	if (r < 0) {
		log_job(LOG_LEVEL_WARNING, job->id, -1, "cannot add it to the counters yet: %s",
			strerror(-r));
		return r;
	}
	job->is_folded = true;
	history->is_dirty = true;
	return 0;
}

/* Takes the waiting job with this sequence off the list. */
static struct job **find_waiting(struct history *history, uint64_t sequence)
{
	for (struct job **at = &history->waiting; *at != NULL; at = &(*at)->next_unfolded) {
		if ((*at)->result->finish_sequence == sequence) {
			return at;
		}
	}
	return NULL;
}

static void fold_waiting(struct history *history)
{
	struct job **at;

	while ((at = find_waiting(history, history->next_fold)) != NULL) {
		if (fold(history, *at) < 0) {
			return;
		}
		*at = (*at)->next_unfolded;
		history->next_fold++;
	}
}

void history_add(struct history *history, struct job *job)
{
	job->next_unfolded = history->waiting;
	history->waiting = job;
	fold_waiting(history);
}

uint64_t history_reserve_sequence(struct history *history)
{
	return history->next_sequence++;
}

static int compare_sequences(const void *a, const void *b)
{
	const struct job *const *left = a, *const *right = b;
	uint64_t l = (*left)->result->finish_sequence, r = (*right)->result->finish_sequence;

	return l < r ? -1 : l > r;
}

void history_load_results(struct history *history, struct job *const *jobs, size_t n_jobs)
{
	CLEANUP(free_p) struct job **sorted = calloc(n_jobs + 1, sizeof(struct job *));

	if (sorted == NULL) {
		log_error("no memory for the counters of %zu finished jobs", n_jobs);
		return;
	}
	memcpy(sorted, jobs, n_jobs * sizeof(struct job *));
	qsort(sorted, n_jobs, sizeof(struct job *), compare_sequences);
	for (size_t i = 0; i < n_jobs; i++) {
		uint64_t sequence = sorted[i]->result->finish_sequence;

		if (sequence <= history->base->finish_sequence) {
			sorted[i]->is_folded = true;
		} else {
			fold(history, sorted[i]);
		}
		history->next_sequence = MAX(history->next_sequence, sequence + 1);
	}
	history->next_fold = history->next_sequence;
}

char *history_last_id(struct history *history)
{
	return history->base->last_id;
}

/* --- totals ----------------------------------------------------------------------------------- */

static int reserve_names(struct history *history, size_t n_names)
{
	if (n_names <= history->capacity) {
		return 0;
	}
	struct name_totals_view *names = realloc(history->names, n_names * sizeof(*names));
	if (names == NULL) {
		return -ENOMEM;
	}
	history->names = names;
	history->capacity = n_names;
	return 0;
}

static void add_tally(struct totals_view *totals, const struct worker_tally *tally)
{
	for (int cause = 0; cause < WORKER_N_CAUSES; cause++) {
		totals->worker_exits[cause] += tally->exits[cause];
	}
	totals->worker_restarts += tally->restarts;
	totals->stats_files_invalid += tally->stats_files_invalid;
}

static void add_rows(struct name_totals_view *totals, const struct fold_state *sum)
{
	totals->rows_processed += (int64_t)sum->rows;
	totals->rows_success += (int64_t)sum->success;
	totals->rows_error += (int64_t)sum->error;
	totals->rows_filtered += (int64_t)sum->filtered;
	totals->input_bytes += (int64_t)sum->input_bytes;
	totals->output_bytes += (int64_t)sum->out_end;
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		totals->rejects[code] += (int64_t)sum->rejects[code];
	}
}

/* A job that has ended but must wait for its turn counts as if that had come. */
static void add_job(struct history *history, const struct job *job)
{
	struct name_totals_view *name = &history->names[job->place - 1];

	if (job->result != NULL) {
		totals_add_result(&history->totals, name, job->result);
	} else if (job->run != NULL) {
		struct run_info info = run_info(job->run);

		add_rows(name, &info.sum);
		add_tally(&history->totals, &info.tally);
	} else {
		add_rows(name, &job->held);
		add_tally(&history->totals, &job->tally);
	}
}

/*
 * A name has its place in the base before it is first shown. Jobs end in another order than they
 * come, so where places are few, a name that got one at its job's end could move out of "_other" or
 * into it, and the counters of the one would go back by what the other takes over. Places are only
 * added, so a job looks its own up once, however many jobs wait.
 */
static int keep_place(struct history *history, struct job *job)
{
	struct totals_view *base = &history->base->totals;
	size_t n_before = base->n_names;
	const struct name_totals_view *name;

	if (job->place > 0) {
		return 0;
	}
	name = totals_of(base, job->result != NULL ? job->result->name : job->name);
	if (name == NULL) {
		return -ENOMEM;
	}
	job->place = (size_t)(name - base->names) + 1;
	history->is_dirty = history->is_dirty || base->n_names > n_before;
	return 0;
}

static int keep_places(struct history *history, const struct job_list *jobs)
{
	for (size_t i = 0; i < jobs->n_items; i++) {
		int r = jobs->items[i]->is_folded ? 0 : keep_place(history, jobs->items[i]);

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int copy_base(struct history *history)
{
	const struct totals_view *base = &history->base->totals;
	int r = reserve_names(history, base->n_names);

	if (r < 0) {
		return r;
	}
	if (base->n_names > 0) {
		memcpy(history->names, base->names, base->n_names * sizeof(*base->names));
	}
	history->totals = *base;
	history->totals.names = history->names;
	return 0;
}

const struct totals_view *history_totals(struct history *history, const struct job_list *jobs)
{
	if (keep_places(history, jobs) < 0 || copy_base(history) < 0) {
		return NULL;
	}
	for (size_t i = 0; i < jobs->n_items; i++) {
		if (!jobs->items[i]->is_folded) {
			add_job(history, jobs->items[i]);
		}
	}
	return &history->totals;
}

/* --- life ------------------------------------------------------------------------------------- */

int history_new(struct sched_env *env, struct history **ret_history)
{
	struct history *history = calloc(1, sizeof(*history));

	if (history == NULL) {
		return -ENOMEM;
	}
	history->env = env;
	history->next_sequence = 1;
	history->next_fold = 1;
	history->base = calloc(1, sizeof(*history->base));
	if (history->base == NULL) {
		free(history);
		return -ENOMEM;
	}
	*ret_history = history;
	return 0;
}

struct history *history_free(struct history *history)
{
	if (history != NULL) {
		batch_free(history->saving);
		counter_base_free(history->base);
		free(history->names);
		free(history);
	}
	return NULL;
}
