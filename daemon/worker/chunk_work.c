/* SPDX-License-Identifier: MIT */

/*
 * The order of steps is what keeps rows exact (design §5):
 *
 *   scan     publish quote parity and newlines of the chunk's own bytes
 *   attempt  convert from the guessed start, while the chunk before is still in work
 *   confirm  wait until the chunk before is accepted: now the true start, and how much of `limit`
 *            and `max_rows` is left, are known
 *   compare  an attempt whose range is the true one stands; without one, convert again
 *   accept   publish the numbers, from which the next chunk takes its true start
 *   write    one pwrite at the offset that the account gives, then WRITTEN
 *
 * A chunk in careful mode has killed workers: it is confirmed first, without an attempt, since its
 * skip list holds true starts of rows, and then converted one row at a time.
 *
 * Nothing reaches a file before it is confirmed. A chunk whose rows outgrow the sink is confirmed
 * early, inside its conversion, and streams from then on.
 *
 * Budgets are upper bounds while they are guessed (`limit` as a whole), so an attempt that did not
 * come up to the true budget is the same as one that was made with it.
 */

#include "daemon/worker/chunk_work.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/util/clock.h"
#include "common/util/num.h"
#include "common/util/process.h"

#define REJECTS_KEPT_WITHOUT_PATH 1000
#define WRONG_GUESSES_FOR_BOTH	  2
#define RAM_INTERVAL_NS		  (200 * 1000 * 1000)
#define COUNT_PART_BYTES	  ((uint64_t)1 << 20) /* as much as one read brings */

/* Told through convert_chunk by our sink's callbacks. */
enum work_stop {
	WORK_AGAIN = 1, /* the start or a budget was guessed wrong */
	WORK_GIVE_BACK,
	WORK_STOPPED,
};

struct attempt {
	bool is_done;  /* the whole range was converted */
	bool is_guess; /* made before the chunk before was accepted */
	struct convert_range range;
	struct convert_result result;
	struct convert_sink *sink;
};

struct work {
	struct worker *worker;
	struct lane *lane;
	uint64_t chunk;
	struct plan_chunk place;
	struct attempt *current; /* the one that convert_chunk works on */
	/* Since it was confirmed: */
	bool is_confirmed;
	struct chunk_accept before;
	struct convert_range truth;
	uint64_t rows_written, errors_written; /* bytes that were streamed */
	uint64_t error_lines_left;	       /* that may still be kept */
	/* The chunk's own bytes, as published: */
	struct parity_count count;
	/* As it was claimed: */
	struct chunk_deaths deaths;
	struct convert_care care; /* in careful mode */
};

static struct chunk_record *record_of(const struct work *work)
{
	const struct chain *chain = &work->lane->chain;

	return chunk_table_record(chain->table, chain->lane, work->chunk);
}

static void set_phase(struct work *work, enum stats_phase phase)
{
	chunk_table_set_waiting(record_of(work), phase == STATS_PHASE_WAITING);
	chunk_deaths_touch(record_of(work), CHUNK_NO_ROW);
	stats_page_set_phase(work->worker->page, phase, (int64_t)work->chunk);
}

/* --- how far we are ----------------------------------------------------------------------------
 */

static void publish_progress(struct worker *worker, const struct convert_result *so_far)
{
	struct stats_progress now = worker->progress;
	int64_t now_ns = clock_monotonic_ns();

	now.success_count += (int64_t)so_far->success;
	now.error_count += (int64_t)so_far->error;
	stats_page_publish(worker->page, &now, now_ns);
	chunk_table_beat(&worker->table, worker->slot, true);
	if (now_ns >= worker->next_ram_at_ns) {
		int64_t ram_bytes;

		if (process_resident_read(worker->statm_fd, &ram_bytes) == 0) {
			stats_page_set_ram(worker->page, ram_bytes);
		}
		worker->next_ram_at_ns = now_ns + RAM_INTERVAL_NS;
	}
}

static int on_progress(struct convert_sink *sink, const struct convert_result *so_far)
{
	struct work *work = sink->user;

	publish_progress(work->worker, so_far);
	return chunk_table_is_stopped(&work->worker->table) ? WORK_STOPPED : 0;
}

/* --- confirm -----------------------------------------------------------------------------------
 */

static uint64_t budget_left(uint64_t budget, uint64_t used)
{
	if (budget == UINT64_MAX) {
		return UINT64_MAX;
	}
	return budget > used ? budget - used : 0;
}

/* One more reject than max_rows is read: the one that fails the job. */
static uint64_t reject_budget(const struct lane *lane)
{
	uint64_t max_rows = lane->spec->errors.max_rows;

	return max_rows == UINT64_MAX ? UINT64_MAX : max_rows + 1;
}

static struct convert_range range_from(const struct work *work, const struct chain_start *start)
{
	return (struct convert_range){
		.file = work->place.file,
		.start = start->offset,
		.nominal_end = work->place.end,
		.line_at_start = start->line,
		.row_budget = work->lane->spec->input.limit,
		.reject_budget = reject_budget(work->lane),
	};
}

static int stop_of(enum chain_result result)
{
	return result == CHAIN_GIVE_BACK ? WORK_GIVE_BACK : WORK_STOPPED;
}

/* Waits for the chunk before and works out the truth. Returns 0 or an enum work_stop. */
static int confirm(struct work *work)
{
	const struct lane *lane = work->lane;

	if (work->is_confirmed) {
		return 0;
	}
	set_phase(work, STATS_PHASE_WAITING);
	enum chain_result result = chain_wait(&lane->chain, work->chunk, &work->before);
	if (result != CHAIN_READY) {
		return stop_of(result);
	}
	struct chain_start start = chain_true_start(&lane->chain, work->chunk, &work->before);
	work->truth = range_from(work, &start);
	work->truth.row_budget = budget_left(work->truth.row_budget, work->before.total_rows);
	work->truth.reject_budget = budget_left(work->truth.reject_budget,
						work->before.total_error);
	work->error_lines_left = lane->spec->errors.path != NULL
					 ? UINT64_MAX
					 : budget_left(REJECTS_KEPT_WITHOUT_PATH,
						       work->before.total_error);
	work->is_confirmed = true;
	return 0;
}

static bool is_same_start(const struct convert_range *a, const struct convert_range *b)
{
	return a->start == b->start && a->line_at_start == b->line_at_start;
}

static bool is_true(const struct work *work, const struct attempt *attempt)
{
	const struct convert_range *truth = &work->truth;
	const struct convert_range *tried = &attempt->range;

	return attempt->is_done && is_same_start(tried, truth) &&
	       (attempt->result.rows < truth->row_budget ||
		tried->row_budget == truth->row_budget) &&
	       (attempt->result.error < truth->reject_budget ||
		tried->reject_budget == truth->reject_budget);
}

/* --- write -------------------------------------------------------------------------------------
 */

/* Bytes of the first n_lines of a buf that has more. */
static size_t length_of_lines(const struct buf *bytes, uint64_t n_lines)
{
	size_t len = 0;

	for (uint64_t i = 0; i < n_lines; i++) {
		const char *newline = memchr(bytes->data + len, '\n', bytes->len - len);

		assert(newline != NULL);
		len = (size_t)(newline + 1 - bytes->data);
	}
	return len;
}

/* Cuts the errors to the lines that are kept. */
static void keep_error_lines(struct work *work, struct convert_sink *sink)
{
	if (sink->n_error_lines > work->error_lines_left) {
		sink->errors.len = length_of_lines(&sink->errors, work->error_lines_left);
		sink->n_error_lines = work->error_lines_left;
	}
	work->error_lines_left = budget_left(work->error_lines_left, sink->n_error_lines);
}

/* Writes what the sink holds behind what was streamed. The truth must be confirmed. */
static int write_sink(struct work *work, struct convert_sink *sink)
{
	const struct chunk_accept *before = &work->before;
	uint64_t rows_at = before->out_offset + before->out_length + work->rows_written;
	uint64_t errors_at = before->err_offset + before->err_length + work->errors_written;

	set_phase(work, STATS_PHASE_WRITING);
	if (lane_write(work->lane, work->worker, false, &sink->rows, rows_at) < 0 ||
	    lane_write(work->lane, work->worker, true, &sink->errors, errors_at) < 0) {
		return -1;
	}
	work->rows_written += sink->rows.len;
	work->errors_written += sink->errors.len;
	return 0;
}

/* The sink is full: confirm now, and stream if the attempt is on the true range. */
static int on_flush(struct convert_sink *sink)
{
	struct work *work = sink->user;
	const struct convert_range *tried = &work->current->range;
	int r = confirm(work);

	if (r != 0) {
		return r;
	}
	if (!is_same_start(tried, &work->truth) || tried->row_budget != work->truth.row_budget ||
	    tried->reject_budget != work->truth.reject_budget) {
		return WORK_AGAIN;
	}
	keep_error_lines(work, sink);
	if (write_sink(work, sink) < 0) {
		return -EIO;
	}
	buf_clear(&sink->rows);
	buf_clear(&sink->errors);
	sink->n_error_lines = 0;
	set_phase(work, STATS_PHASE_CONVERTING);
	return 0;
}

/* --- convert -----------------------------------------------------------------------------------
 */

static int fail_memory(struct work *work, const char *path)
{
	struct report *report = &work->worker->report;
	char limit[NUM_TEXT_SIZE] = "none";

	if (work->worker->memory_limit_bytes > 0) {
		num_format_size(limit, work->worker->memory_limit_bytes);
	}
	return report_set(report, JOB_REASON_MEMORY_LIMIT,
			  "out of memory (limits.memory_per_worker: %s) while converting bytes "
			  "%" PRIu64 " to %" PRIu64 " of %s",
			  limit, work->place.begin, work->place.end, path);
}

static int fail_reading(struct work *work, int error)
{
	const char *path = work->lane->chain.pipe->files[work->place.file].path;
	struct report *report = &work->worker->report;

	if (report->reason != JOB_REASON_OK) {
		return -1; /* on_flush has said it */
	}
	switch (error) {
	case -ENODATA:
		return report_set(report, JOB_REASON_INPUT_CHANGED,
				  "%s became shorter while the job ran", path);
	case -ENOMEM:
		return fail_memory(work, path);
	default:
		return report_set(report, JOB_REASON_IO_ERROR, "cannot read %s: %s", path,
				  strerror(-error));
	}
}

/* One conversion of a range into a sink. Returns 0, an enum work_stop, or -1. */
static int convert(struct work *work, struct attempt *attempt, const struct convert_range *range)
{
	struct worker *worker = work->worker;

	set_phase(work, STATS_PHASE_CONVERTING);
	buf_clear(&attempt->sink->rows);
	buf_clear(&attempt->sink->errors);
	attempt->sink->n_error_lines = 0;
	attempt->sink->user = work;
	attempt->range = *range;
	work->current = attempt;
	work->rows_written = 0;
	work->errors_written = 0;
	int r = convert_chunk(worker->converter, work->lane->pipe, &worker->reader, range,
			      attempt->sink, &attempt->result);
	worker->progress.success_count += (int64_t)attempt->result.success;
	worker->progress.error_count += (int64_t)attempt->result.error;
	attempt->is_done = r == 0;
	return r < 0 ? fail_reading(work, r) : r;
}

/* Converts from where the chunk would start if its first byte were inside quotes, or not. */
static int try_guess(struct work *work, struct attempt *attempt, const struct chain_start *start,
		     bool is_quoted)
{
	struct convert_range range = range_from(work, start);

	if (!start->has_offset && !start->is_exact) {
		struct convert_guess guess;
		int r = convert_guess(work->lane->pipe, &work->worker->reader, work->place.begin,
				      work->place.end, is_quoted, &guess);

		if (r < 0) {
			return fail_reading(work, r);
		}
		if (guess.start == CONVERT_NO_GUESS) {
			return 0;
		}
		range.start = guess.start;
		range.line_at_start += guess.n_newlines;
	}
	int r = convert(work, attempt, &range);
	return r == WORK_AGAIN ? 0 : r;
}

/* A large chunk in parts, so that a slow disk is not taken for a worker that hangs. */
static int count_chunk(struct work *work)
{
	struct worker *worker = work->worker;

	for (uint64_t at = work->place.begin; at < work->place.end; at += COUNT_PART_BYTES) {
		uint64_t end = MIN(at + COUNT_PART_BYTES, work->place.end);
		struct parity_count count;
		int r = convert_count(worker->converter, work->lane->pipe, &worker->reader, at, end,
				      &count);

		if (r < 0) {
			return r;
		}
		work->count.n_newlines += count.n_newlines;
		work->count.quote_parity ^= count.quote_parity;
		chunk_table_beat(&worker->table, worker->slot, true);
	}
	return 0;
}

static int publish_scan(struct work *work)
{
	set_phase(work, STATS_PHASE_READING);
	if (lane_open_input(work->lane, work->worker, work->place.file) < 0) {
		return -1;
	}
	int r = count_chunk(work);
	if (r < 0) {
		return fail_reading(work, r);
	}
	work->worker->progress.bytes_read += (int64_t)(work->place.end - work->place.begin);
	chunk_table_publish_scan(record_of(work), work->count.quote_parity, work->count.n_newlines);
	return 0;
}

/* The attempts that can be made before the chunk before is accepted. */
static int attempt_guesses(struct work *work, struct attempt attempts[2])
{
	struct lane *lane = work->lane;
	struct chain_start start;

	set_phase(work, STATS_PHASE_WAITING);
	enum chain_result result = chain_guess(&lane->chain, work->chunk, &start);
	if (result != CHAIN_READY) {
		return stop_of(result);
	}
	if (start.is_exact && (start.offset >= work->place.end)) {
		return 0; /* the row before covers the whole chunk: there is nothing to convert */
	}
	attempts[0].is_guess = !start.is_exact;
	int r = try_guess(work, &attempts[0], &start, start.is_quoted);
	if (r != 0 || start.is_exact || start.has_offset || work->is_confirmed ||
	    lane->n_wrong_guesses < WRONG_GUESSES_FOR_BOTH) {
		return r;
	}
	return try_guess(work, &attempts[1], &start, !start.is_quoted);
}

/* --- accept ------------------------------------------------------------------------------------
 */

static void fill_counts(struct chunk_accept *accept, const struct convert_result *result)
{
	accept->end = result->end;
	accept->end_line = result->end_line;
	accept->rows = result->rows;
	accept->success = result->success;
	accept->error = result->error;
	for (size_t i = 0; i < REJECT_N_CODES; i++) {
		accept->rejects[i] = result->rejects[i];
	}
	accept->overhang_newlines = result->overhang_newlines;
	accept->overhang_quote_parity = result->overhang_quote_parity;
	accept->flags = result->flags;
}

/* `attempt` NULL: a chunk in which no row starts, or none that is still wanted. */
static struct chunk_accept accept_of(struct work *work, const struct attempt *attempt)
{
	const struct chunk_accept *before = &work->before;
	struct chunk_accept accept = {
		.start = work->truth.start,
		.end = work->truth.start,
		.end_line = work->truth.line_at_start,
		.out_offset = before->out_offset + before->out_length,
		.err_offset = before->err_offset + before->err_length,
		.flags = before->flags,
	};

	if (attempt != NULL) {
		fill_counts(&accept, &attempt->result);
		accept.out_length = work->rows_written + attempt->sink->rows.len;
		accept.err_length = work->errors_written + attempt->sink->errors.len;
	}
	accept.total_rows = before->total_rows + accept.rows;
	accept.total_error = before->total_error + accept.error;
	return accept;
}

/*
 * Where the row before reaches over the whole chunk, its overhang here is what is left of the
 * overhang there: no byte is looked at twice, however long that row is.
 */
static void accept_empty(struct work *work)
{
	struct chunk_record *record = record_of(work);
	struct chunk_accept accept = accept_of(work, NULL);

	if (work->truth.start >= work->place.end && !work->place.is_first_of_file) {
		accept.overhang_newlines = work->before.overhang_newlines -
					   (uint32_t)work->count.n_newlines;
		accept.overhang_quote_parity = work->before.overhang_quote_parity ^
					       (uint32_t)work->count.quote_parity;
	}
	if (work->truth.row_budget == 0) {
		accept.flags |= CHUNK_FLAG_END_OF_LIMIT;
	}
	chunk_table_accept(record, &accept);
	chunk_table_written(record);
}

static int accept_and_write(struct work *work, struct attempt *attempt)
{
	struct chunk_record *record = record_of(work);

	keep_error_lines(work, attempt->sink);
	struct chunk_accept accept = accept_of(work, attempt);
	chunk_table_accept(record, &accept);
	if (write_sink(work, attempt->sink) < 0) {
		return -1;
	}
	chunk_table_written(record);
	convert_sink_shrink(attempt->sink);
	return 0;
}

/* The chunk is confirmed: let an attempt stand, or convert from the true start. */
static int settle(struct work *work, struct attempt attempts[2])
{
	struct lane *lane = work->lane;

	if (work->before.flags != 0 || work->truth.row_budget == 0 ||
	    work->truth.start >= work->place.end) {
		accept_empty(work);
		return 0;
	}
	if (attempts[0].is_guess) {
		bool is_right = is_same_start(&attempts[0].range, &work->truth);

		lane->n_wrong_guesses = is_right ? 0 : lane->n_wrong_guesses + 1;
	}
	for (size_t i = 0; i < 2; i++) {
		if (is_true(work, &attempts[i])) {
			return accept_and_write(work, &attempts[i]);
		}
	}
	int r = convert(work, &attempts[0], &work->truth);
	return r == 0 ? accept_and_write(work, &attempts[0]) : r;
}

static int outcome_of(int r)
{
	if (r <= 0) {
		return r == 0 ? CHUNK_OUTCOME_WRITTEN : -1;
	}
	return r == WORK_GIVE_BACK ? CHUNK_OUTCOME_GIVE_BACK : CHUNK_OUTCOME_STOPPED;
}

static void on_touch(const struct convert_care *care, uint64_t offset)
{
	chunk_deaths_touch(record_of(care->user), offset);
}

static void take_care(struct work *work)
{
	work->deaths = chunk_deaths_get(record_of(work));
	work->care = (struct convert_care){
		.skips = work->deaths.skips,
		.n_skips = work->deaths.n_skips,
		.touch = on_touch,
		.user = work,
	};
	converter_set_care(work->worker->converter, work->deaths.is_careful ? &work->care : NULL);
}

static int work_off(struct work *work)
{
	struct worker *worker = work->worker;
	struct attempt attempts[2] = {{.sink = &worker->sinks[0]}, {.sink = &worker->sinks[1]}};
	int r = publish_scan(work);

	if (r == 0 && !work->deaths.is_careful) {
		r = attempt_guesses(work, attempts);
	}
	if (r == 0) {
		r = confirm(work);
	}
	return r == 0 ? settle(work, attempts) : r;
}

int chunk_work(struct worker *worker, struct lane *lane, uint64_t chunk)
{
	struct work work = {
		.worker = worker,
		.lane = lane,
		.chunk = chunk,
		.place = plan_chunk_at(lane->chain.plan, lane->chain.pipe, chunk),
	};

	take_care(&work);

	int r = work_off(&work);

	converter_set_care(worker->converter, NULL);
	publish_progress(worker, &(struct convert_result){0});
	return outcome_of(r);
}

int chunk_work_init_sinks(struct worker *worker)
{
	for (size_t i = 0; i < ARRAY_SIZE(worker->sinks); i++) {
		worker->sinks[i] = (struct convert_sink){
			.flush = on_flush,
			.progress = on_progress,
		};

		int r = convert_sink_reserve(&worker->sinks[i]);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}
