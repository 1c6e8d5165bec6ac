/* SPDX-License-Identifier: MIT */
/*
 * The live numbers are made by folding on: a scratch copy of the account takes the records that
 * are accepted already, under the same checks. An accepted record's numbers are final, so what is
 * shown live is never more than what the account comes to in the end.
 */
#include "daemon/sched/lanes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int lanes_init(struct lanes *ret_lanes, const struct plan *plan, const struct job_spec *spec)
{
	CLEANUP(lanes_deinit) struct lanes lanes = {.n_lanes = plan->n_pipes, .plan = plan};

	lanes.rules = calloc(plan->n_pipes, sizeof(*lanes.rules));
	lanes.states = calloc(plan->n_pipes, sizeof(*lanes.states));
	lanes.folded = calloc(plan->n_pipes, sizeof(*lanes.folded));
	if (lanes.rules == NULL || lanes.states == NULL || lanes.folded == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < plan->n_pipes; i++) {
		fold_init(&lanes.rules[i], &lanes.states[i], plan, &plan->pipes[i],
			  &spec->pipes[i]);
	}
	*ret_lanes = lanes;
	lanes = (struct lanes){0};
	return 0;
}

int lanes_resume(struct lanes *lanes, const struct fold_state *states, size_t n_states)
{
	if (n_states != lanes->n_lanes) {
		return -EPROTO;
	}
	for (size_t i = 0; i < n_states; i++) {
		int r = fold_check_saved(&lanes->rules[i], &states[i]);

		if (r < 0) {
			return r;
		}
	}
	for (size_t i = 0; i < n_states; i++) {
		lanes->states[i] = states[i];
		lanes->folded[i] = states[i].n_folded;
	}
	return 0;
}

void lanes_deinit(struct lanes *lanes)
{
	free(lanes->rules);
	free(lanes->states);
	free(lanes->folded);
	*lanes = (struct lanes){0};
}

static void describe_fault(const struct lanes *lanes, size_t lane, uint32_t slot, const char *fault,
			   struct failure *ret_failure)
{
	const struct plan_pipe *pipe = &lanes->plan->pipes[lane];
	uint64_t chunk = lanes->states[lane].n_folded;
	struct plan_chunk place = plan_chunk_at(lanes->plan, pipe, chunk);

	failure_set(ret_failure, JOB_REASON_INTERNAL,
		    "%s: worker %" PRIu32 " handed in a chunk at byte %" PRIu64 " that %s",
		    pipe->files[place.file].path, slot, place.begin, fault);
}

static int fold_lane(struct lanes *lanes, size_t lane, struct chunk_table *table,
		     lanes_folded_fn fn, void *userdata, struct failure *ret_failure)
{
	struct fold_state *state = &lanes->states[lane];
	struct chunk_accept accept;
	const char *fault;
	uint32_t slot;

	while (!state->is_ended &&
	       chunk_table_peek(table, (uint32_t)lane, state->n_folded, &accept, &slot) > 0) {
		uint64_t chunk = state->n_folded;
		int r = fold_accept(&lanes->rules[lane], state, &accept, &fault);

		if (r < 0) {
			describe_fault(lanes, lane, slot, fault, ret_failure);
			return r;
		}
		lanes->folded[lane] = state->n_folded;
		chunk_table_fold(table, (uint32_t)lane, chunk);
		if (state->end_flags != 0) {
			chunk_table_end_lane(table, (uint32_t)lane, state->n_folded);
		}
		fn(userdata, slot);
	}
	return 0;
}

int lanes_fold(struct lanes *lanes, struct chunk_table *table, lanes_folded_fn fn, void *userdata,
	       struct failure *ret_failure)
{
	for (size_t lane = 0; lane < lanes->n_lanes; lane++) {
		int r = fold_lane(lanes, lane, table, fn, userdata, ret_failure);

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

bool lanes_are_ended(const struct lanes *lanes)
{
	for (size_t i = 0; i < lanes->n_lanes; i++) {
		if (!lanes->states[i].is_ended) {
			return false;
		}
	}
	return true;
}

bool lanes_exceed_rejects(const struct lanes *lanes)
{
	for (size_t i = 0; i < lanes->n_lanes; i++) {
		if ((lanes->states[i].end_flags & CHUNK_FLAG_END_OF_REJECTS) != 0) {
			return true;
		}
	}
	return false;
}

struct fold_state lanes_sum(const struct lanes *lanes)
{
	return fold_sum(lanes->states, lanes->n_lanes);
}

/* The account as it will be once all that is accepted in a row is written. */
static struct fold_state fold_ahead(const struct lanes *lanes, size_t lane,
				    const struct chunk_table *table)
{
	const struct fold_rules *rules = &lanes->rules[lane];
	struct fold_state state = lanes->states[lane];
	uint64_t window_end = state.n_folded + table->ring_size - 1;
	struct chunk_accept accept;
	const char *fault;

	while (!state.is_ended && state.n_folded < window_end &&
	       chunk_table_accepted(table, (uint32_t)lane, state.n_folded, &accept)) {
		if (fold_accept(rules, &state, &accept, &fault) < 0) {
			break;
		}
	}
	return state;
}

/* By bytes, or by rows where a limit ends the lane earlier. */
static double lane_ratio(const struct fold_rules *rules, const struct fold_state *state)
{
	double by_bytes = 0.0, by_rows = 0.0;

	if (state->is_ended) {
		return 1.0;
	}
	if (rules->pipe->n_bytes > 0) {
		by_bytes = (double)state->input_bytes / (double)rules->pipe->n_bytes;
	}
	if (rules->limit != UINT64_MAX && rules->limit > 0) {
		by_rows = (double)state->rows / (double)rules->limit;
	}
	return MAX(by_bytes, by_rows);
}

/* A mean of the lanes' ratios, by the bytes of their inputs. */
struct mean {
	double done, all;
};

static void mean_add(struct mean *mean, const struct fold_rules *rules,
		     const struct fold_state *state)
{
	double weight = (double)rules->pipe->n_bytes;

	mean->done += lane_ratio(rules, state) * weight;
	mean->all += weight;
}

static double mean_ratio(const struct mean *mean)
{
	return mean->all > 0.0 ? mean->done / mean->all : 1.0;
}

double lanes_ratio(const struct lanes *lanes)
{
	struct mean mean = {0};

	for (size_t i = 0; i < lanes->n_lanes; i++) {
		mean_add(&mean, &lanes->rules[i], &lanes->states[i]);
	}
	return mean_ratio(&mean);
}

void lanes_live(const struct lanes *lanes, const struct chunk_table *table,
		struct progress_rows *ret_rows, double *ret_ratio)
{
	struct mean mean = {0};

	*ret_rows = (struct progress_rows){0};
	for (size_t i = 0; i < lanes->n_lanes; i++) {
		struct fold_state state = fold_ahead(lanes, i, table);

		ret_rows->success += (int64_t)state.success;
		ret_rows->error += (int64_t)state.error;
		ret_rows->filtered += (int64_t)state.filtered;
		mean_add(&mean, &lanes->rules[i], &state);
	}
	*ret_ratio = mean_ratio(&mean);
}
