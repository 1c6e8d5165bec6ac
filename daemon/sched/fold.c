/* SPDX-License-Identifier: MIT */
/*
 * Each rule is one function that returns what is wrong, or NULL: a table of them is the whole
 * check. All sums are made such that numbers from a scribbling worker cannot wrap around: a part
 * is compared with its bound before it is added.
 */
#include "daemon/sched/fold.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define KNOWN_FLAGS (CHUNK_FLAG_END_OF_LIMIT | CHUNK_FLAG_END_OF_REJECTS)

/* A byte of input becomes at most \u00XX; a row has at least `{}` and its newline. */
#define MAX_BYTES_PER_BYTE 6u
#define MIN_ROW_BYTES	   3u
/* Quotes, colon and comma around a name and a value; braces and newline around a row. */
#define COLUMN_OVERHEAD_BYTES 6u

/* Of an error row: what it shows of the row, and all that is neither row, path nor name. */
#define REJECT_MAX_ROW_BYTES 4096u
#define REJECT_FIXED_BYTES   1024u

/* One record and all it is judged by. */
struct fold_step {
	const struct fold_rules *rules;
	const struct fold_state *state;
	const struct chunk_accept *accept;
	struct plan_chunk chunk;
	uint64_t start, start_line; /* where it has to start */
	uint64_t file_size;
};

typedef const char *(*fold_rule_fn)(const struct fold_step *step);

static const char *check_extent(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;

	if (accept->start != step->start) {
		return "does not start where the rows before it end";
	}
	if (accept->end < accept->start) {
		return "ends before it starts";
	}
	if (accept->end > step->file_size) {
		return "ends behind its file";
	}
	if (accept->end < step->chunk.end && accept->flags == 0) {
		return "leaves bytes of its own unread";
	}
	if (accept->start >= step->chunk.end && accept->end != accept->start) {
		return "has rows that start in a later chunk";
	}
	return NULL;
}

static const char *check_lines(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;

	if (accept->end_line < step->start_line ||
	    accept->end_line - step->start_line > accept->end - accept->start) {
		return "counts lines that its bytes cannot hold";
	}
	/* Every row has its newline, but for the last of a file. */
	uint64_t n_lines = accept->end_line - step->start_line;
	if (accept->rows > n_lines + (accept->end == step->file_size ? 1 : 0)) {
		return "has more rows than lines";
	}
	return NULL;
}

static const char *check_overhang(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;
	uint64_t nominal_end = step->chunk.end;
	uint64_t overhang = accept->end > nominal_end ? accept->end - nominal_end : 0;

	if (accept->overhang_newlines > overhang || accept->overhang_quote_parity > 1) {
		return "has an overhang that its bytes cannot hold";
	}
	return NULL;
}

static const char *check_rows(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;
	uint64_t first_bytes = 0;

	if (accept->start < step->chunk.end) {
		first_bytes = MIN(accept->end, step->chunk.end) - accept->start;
	}
	if (accept->rows > first_bytes) {
		return "has more rows than bytes";
	}
	if (accept->success > accept->rows || accept->error > accept->rows - accept->success ||
	    accept->filtered != accept->rows - accept->success - accept->error) {
		return "has rows that do not add up";
	}
	return NULL;
}

static const char *check_rejects(const struct fold_step *step)
{
	uint64_t left = step->accept->error;

	for (size_t code = 0; code < REJECT_MAX_CODES; code++) {
		if (step->accept->rejects[code] > (code < REJECT_N_CODES ? left : 0)) {
			return "has more rejects than rejected rows";
		}
		left -= step->accept->rejects[code];
	}
	return left == 0 ? NULL : "has rejected rows without a reason";
}

static const char *check_totals(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;

	if (accept->total_rows != step->state->rows + accept->rows ||
	    accept->total_error != step->state->error + accept->error) {
		return "has totals that do not continue those before";
	}
	return NULL;
}

static const char *check_output(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;
	uint64_t most, overhead;

	if (accept->out_offset != step->state->out_end) {
		return "leaves a gap or an overlap in the output";
	}
	if (accept->success > accept->out_length / MIN_ROW_BYTES ||
	    (accept->success == 0 && accept->out_length > 0)) {
		return "has an output that does not fit its rows";
	}
	if (__builtin_mul_overflow(accept->end - accept->start, MAX_BYTES_PER_BYTE, &most) ||
	    __builtin_mul_overflow(accept->success, step->rules->row_overhead_max_bytes,
				   &overhead) ||
	    __builtin_add_overflow(most, overhead, &most)) {
		most = INT64_MAX;
	}
	if (accept->out_length > most || accept->out_length > INT64_MAX - accept->out_offset) {
		return "has more output than its rows can give";
	}
	return NULL;
}

static const char *check_error_output(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;
	uint64_t most;

	if (accept->err_offset != step->state->err_end) {
		return "leaves a gap or an overlap in the error file";
	}
	if (__builtin_mul_overflow(accept->error, step->rules->reject_max_bytes, &most)) {
		most = INT64_MAX;
	}
	if (accept->err_length > most || accept->err_length > INT64_MAX - accept->err_offset) {
		return "has more error rows than rejects";
	}
	if (step->rules->keeps_all_rejects && accept->error > accept->err_length / MIN_ROW_BYTES) {
		return "has rejects without an error row";
	}
	return NULL;
}

static const char *check_flags(const struct fold_step *step)
{
	const struct chunk_accept *accept = step->accept;
	bool is_end_of_limit = (accept->flags & CHUNK_FLAG_END_OF_LIMIT) != 0;
	bool is_end_of_rejects = (accept->flags & CHUNK_FLAG_END_OF_REJECTS) != 0;

	if ((accept->flags & ~(uint32_t)KNOWN_FLAGS) != 0) {
		return "has unknown flags";
	}
	if (accept->total_rows > step->rules->limit ||
	    (is_end_of_limit && accept->total_rows != step->rules->limit)) {
		return "does not keep to the limit";
	}
	if (is_end_of_rejects ? step->rules->max_rejects == UINT64_MAX ||
					accept->total_error != step->rules->max_rejects + 1
			      : accept->total_error > step->rules->max_rejects) {
		return "does not keep to max_rows of the errors";
	}
	return NULL;
}

/* In this order: the later ones rely on the earlier ones. */
static const fold_rule_fn rules_in_order[] = {
	check_extent, check_lines,  check_overhang,	check_rows,  check_rejects,
	check_totals, check_output, check_error_output, check_flags,
};

static struct fold_step step_begin(const struct fold_rules *rules, const struct fold_state *state,
				   const struct chunk_accept *accept)
{
	struct fold_step step = {
		.rules = rules,
		.state = state,
		.accept = accept,
		.chunk = plan_chunk_at(rules->plan, rules->pipe, state->n_folded),
		.start = state->end,
		.start_line = state->end_line,
	};
	const struct plan_file *file = &rules->pipe->files[step.chunk.file];

	step.file_size = file->identity.size_bytes;
	if (step.chunk.is_first_of_file) {
		step.start = file->data_offset;
		step.start_line = file->data_line;
	}
	return step;
}

static void step_add(const struct fold_rules *rules, struct fold_state *state,
		     const struct chunk_accept *accept)
{
	state->n_folded++;
	state->end = accept->end;
	state->end_line = accept->end_line;
	state->rows += accept->rows;
	state->success += accept->success;
	state->error += accept->error;
	state->filtered += accept->filtered;
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		state->rejects[code] += accept->rejects[code];
	}
	state->input_bytes += accept->end - accept->start;
	state->out_end += accept->out_length;
	state->err_end += accept->err_length;
	state->overhang_newlines = accept->overhang_newlines;
	state->overhang_quote_parity = accept->overhang_quote_parity;
	state->end_flags = accept->flags;
	state->is_ended = accept->flags != 0 || state->n_folded == rules->pipe->n_chunks;
}

static uint64_t row_overhead_max(const struct plan_pipe *pipe)
{
	uint64_t sum = MIN_ROW_BYTES;

	for (size_t i = 0; i < pipe->n_columns; i++) {
		sum += COLUMN_OVERHEAD_BYTES + MAX_BYTES_PER_BYTE * strlen(pipe->columns[i]);
	}
	return sum;
}

/* Job, input, field and (the beginning of) the row; the rest of an error row is of fixed length. */
static uint64_t reject_max(const struct plan_pipe *pipe)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < pipe->n_columns; i++) {
		longest = MAX(longest, strlen(pipe->columns[i]));
	}
	return REJECT_FIXED_BYTES + MAX_BYTES_PER_BYTE * (JOB_SPEC_MAX_NAME_BYTES + PATH_MAX +
							  longest + REJECT_MAX_ROW_BYTES);
}

void fold_init(struct fold_rules *ret_rules, struct fold_state *ret_state, const struct plan *plan,
	       const struct plan_pipe *pipe, const struct pipe_spec *spec)
{
	*ret_rules = (struct fold_rules){
		.plan = plan,
		.pipe = pipe,
		.limit = spec->input.limit,
		.max_rejects = spec->errors.max_rows,
		.keeps_all_rejects = spec->errors.path != NULL,
		.row_overhead_max_bytes = row_overhead_max(pipe),
		.reject_max_bytes = reject_max(pipe),
	};
	*ret_state = (struct fold_state){.is_ended = pipe->n_chunks == 0};
}

int fold_accept(const struct fold_rules *rules, struct fold_state *state,
		const struct chunk_accept *accept, const char **ret_fault)
{
	if (state->is_ended) {
		*ret_fault = "comes after the end of its lane";
		return -EPROTO;
	}
	struct fold_step step = step_begin(rules, state, accept);
	for (size_t i = 0; i < ARRAY_SIZE(rules_in_order); i++) {
		const char *fault = rules_in_order[i](&step);

		if (fault != NULL) {
			*ret_fault = fault;
			return -EPROTO;
		}
	}
	step_add(rules, state, accept);
	return 0;
}

/* Rejects and rows add up, and to no more than the rules allow. */
static bool is_sum_possible(const struct fold_rules *rules, const struct fold_state *state)
{
	uint64_t left = state->error;

	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		if (state->rejects[code] > left) {
			return false;
		}
		left -= state->rejects[code];
	}
	return left == 0 && state->rows <= rules->limit && state->success <= state->rows &&
	       state->error <= state->rows - state->success &&
	       state->filtered == state->rows - state->success - state->error &&
	       state->input_bytes <= rules->pipe->n_bytes && state->out_end <= INT64_MAX &&
	       state->err_end <= INT64_MAX;
}

int fold_check_saved(const struct fold_rules *rules, const struct fold_state *state)
{
	const struct plan_pipe *pipe = rules->pipe;
	bool is_ended = state->end_flags != 0 || state->n_folded == pipe->n_chunks;

	if (state->n_folded > pipe->n_chunks || state->is_ended != is_ended ||
	    (state->end_flags & ~(uint32_t)KNOWN_FLAGS) != 0 || state->overhang_quote_parity > 1 ||
	    !is_sum_possible(rules, state)) {
		return -EPROTO;
	}
	if (state->n_folded == 0) {
		return state->rows == 0 && state->out_end == 0 && state->err_end == 0 ? 0 : -EPROTO;
	}
	struct plan_chunk chunk = plan_chunk_at(rules->plan, pipe, state->n_folded - 1);
	const struct plan_file *file = &pipe->files[chunk.file];

	/* A chunk may have ended early only where the lane ends. */
	return state->end > file->identity.size_bytes || state->end < file->data_offset ||
			       state->end_line < file->data_line ||
			       (state->end < chunk.end && state->end_flags == 0)
		       ? -EPROTO
		       : 0;
}

struct chunk_accept fold_last_accept(const struct fold_state *state)
{
	return (struct chunk_accept){
		.start = state->end,
		.end = state->end,
		.end_line = state->end_line,
		.total_rows = state->rows,
		.total_error = state->error,
		.out_offset = state->out_end,
		.err_offset = state->err_end,
		.overhang_newlines = state->overhang_newlines,
		.overhang_quote_parity = state->overhang_quote_parity,
		.flags = state->end_flags,
	};
}

static void add(struct fold_state *sum, const struct fold_state *state)
{
	sum->n_folded += state->n_folded;
	sum->rows += state->rows;
	sum->success += state->success;
	sum->error += state->error;
	sum->filtered += state->filtered;
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		sum->rejects[code] += state->rejects[code];
	}
	sum->input_bytes += state->input_bytes;
	sum->out_end += state->out_end;
	sum->err_end += state->err_end;
}

struct fold_state fold_sum(const struct fold_state *lanes, size_t n_lanes)
{
	struct fold_state sum = {0};

	for (size_t i = 0; i < n_lanes; i++) {
		add(&sum, &lanes[i]);
	}
	return sum;
}

void fold_hold(struct fold_state *held, const struct fold_state *state)
{
	held->n_folded = MAX(held->n_folded, state->n_folded);
	held->rows = MAX(held->rows, state->rows);
	held->success = MAX(held->success, state->success);
	held->error = MAX(held->error, state->error);
	held->filtered = MAX(held->filtered, state->filtered);
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		held->rejects[code] = MAX(held->rejects[code], state->rejects[code]);
	}
	held->input_bytes = MAX(held->input_bytes, state->input_bytes);
	held->out_end = MAX(held->out_end, state->out_end);
	held->err_end = MAX(held->err_end, state->err_end);
}
