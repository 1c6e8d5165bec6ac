/* SPDX-License-Identifier: MIT */

/*
 * Three bounds make every chunk come to an end, whatever kills its workers: the skip list is full;
 * `attempts` deaths running in careful mode for which there is no row to blame; and so many deaths
 * in all as a full skip list and one more row can cost. The last one is for deaths that wander from
 * row to row, of which none comes to `attempts` running.
 *
 * A chunk that was accepted once is never given a shorter row list: the next chunk may have taken
 * its start, totals and output offset from it. It can only be converted to the same numbers again.
 */
#include "common/model/chunk_deaths.h"

#include "common/model/chunk_table.h"

bool chunk_deaths_find(const struct chunk_table *table, uint32_t lane, uint32_t slot,
		       uint64_t first, uint64_t end, uint64_t *ret_chunk)
{
	for (uint64_t k = first; k < end; k++) {
		const struct chunk_record *record = chunk_table_record(table, lane, k);
		uint64_t claim = atomic_load(&record->claim);

		if (chunk_claim_state(claim) == CHUNK_CLAIMED && chunk_claim_slot(claim) == slot &&
		    !atomic_load(&record->is_waiting)) {
			*ret_chunk = k;
			return true;
		}
	}
	return false;
}

/* The row that was being touched, if it can be one of the chunk's that is still touched at all. */
static uint64_t row_to_blame(const struct chunk_record *record, const struct chunk_trial *trial,
			     const struct chunk_deaths *deaths)
{
	uint64_t row = atomic_load(&record->row_after) - 1; /* 0, none, becomes CHUNK_NO_ROW */

	if (row < trial->begin || row >= trial->end) {
		return CHUNK_NO_ROW;
	}
	for (uint32_t i = 0; i < deaths->n_skips; i++) {
		if (deaths->skips[i] == row) {
			return CHUNK_NO_ROW;
		}
	}
	return row;
}

static enum chunk_verdict judge_careful(struct chunk_deaths *deaths, uint64_t row,
					uint32_t attempts)
{
	deaths->n_row_deaths = row == deaths->row ? deaths->n_row_deaths + 1 : 1;
	deaths->row = row;
	if (deaths->n_row_deaths < attempts) {
		return CHUNK_VERDICT_AGAIN;
	}
	if (row == CHUNK_NO_ROW || deaths->was_accepted || deaths->n_skips == CHUNK_MAX_SKIPS) {
		return CHUNK_VERDICT_GIVE_UP;
	}
	deaths->skips[deaths->n_skips++] = row;
	deaths->n_row_deaths = 0;
	deaths->row = CHUNK_NO_ROW;
	return CHUNK_VERDICT_SKIP;
}

enum chunk_verdict chunk_deaths_charge(struct chunk_record *record, const struct chunk_trial *trial,
				       struct chunk_deaths *ret_deaths)
{
	struct chunk_deaths deaths = chunk_deaths_get(record);
	enum chunk_verdict verdict = CHUNK_VERDICT_AGAIN;

	deaths.n_deaths++;
	if (deaths.is_careful) {
		verdict = judge_careful(&deaths, row_to_blame(record, trial, &deaths),
					trial->attempts);
	} else if (deaths.n_deaths >= trial->attempts) {
		deaths.is_careful = 1;
		verdict = CHUNK_VERDICT_CAREFUL;
	}
	if (deaths.n_deaths / trial->attempts >= CHUNK_MAX_SKIPS + 2) {
		verdict = CHUNK_VERDICT_GIVE_UP;
	}
	chunk_deaths_set(record, &deaths);
	*ret_deaths = deaths;
	return verdict;
}

static struct chunk_deaths sane(struct chunk_deaths deaths)
{
	deaths.n_skips = MIN(deaths.n_skips, CHUNK_MAX_SKIPS);
	deaths.is_careful = deaths.is_careful != 0;
	deaths.was_accepted = deaths.was_accepted != 0;
	return deaths;
}

void chunk_deaths_set(struct chunk_record *record, const struct chunk_deaths *deaths)
{
	record->deaths = sane(*deaths);
}

struct chunk_deaths chunk_deaths_get(const struct chunk_record *record)
{
	return sane(record->deaths);
}

void chunk_deaths_touch(struct chunk_record *record, uint64_t row)
{
	atomic_store_explicit(&record->row_after, row + 1, memory_order_relaxed);
}
