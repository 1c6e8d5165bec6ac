/* SPDX-License-Identifier: MIT */
/*
 * The chunk table's judgement (chunk_deaths.h) needs the plan to know which bytes are the chunk's,
 * and people need the file's name: both are brought together here.
 */
#include "daemon/sched/blame.h"

#include <inttypes.h>

#include "common/util/log.h"

/* The chunk that is to blame, and where it lies. */
struct suspect {
	struct chunk_record *record;
	const char *path;
	struct plan_chunk place;
};

static bool find_suspect(const struct pool_options *pool, uint32_t slot,
			 struct suspect *ret_suspect)
{
	const struct chunk_table *table = pool->table;

	for (uint32_t lane = 0; lane < table->n_lanes; lane++) {
		const struct plan_pipe *pipe = &pool->plan->pipes[lane];
		uint64_t first = pool->folded[lane];
		uint64_t end = MIN(pipe->n_chunks, first + table->ring_size - 1);
		uint64_t k;

		if (chunk_deaths_find(table, lane, slot, first, end, &k)) {
			struct plan_chunk place = plan_chunk_at(pool->plan, pipe, k);

			*ret_suspect = (struct suspect){
				.record = chunk_table_record(table, lane, k),
				.path = pipe->files[place.file].path,
				.place = place,
			};
			return true;
		}
	}
	return false;
}

static void tell(const struct pool_options *pool, uint32_t slot, const struct suspect *suspect,
		 enum chunk_verdict verdict, const struct chunk_deaths *deaths)
{
	if (verdict == CHUNK_VERDICT_CAREFUL) {
		log_job(LOG_LEVEL_WARNING, pool->job_id, (int)slot,
			"%s: %" PRIu32 " workers died converting bytes %" PRIu64 " to %" PRIu64
			"; from now on one row at a time",
			suspect->path, deaths->n_deaths, suspect->place.begin, suspect->place.end);
	} else if (verdict == CHUNK_VERDICT_SKIP) {
		log_job(LOG_LEVEL_WARNING, pool->job_id, (int)slot,
			"%s: the row at byte %" PRIu64 " has killed %" PRIu32
			" workers running and is rejected",
			suspect->path, deaths->skips[deaths->n_skips - 1], pool->attempts);
	}
}

static void give_up(const struct pool_options *pool, const struct suspect *suspect,
		    const struct chunk_deaths *deaths, const struct worker_end *death,
		    struct failure *ret_failure)
{
	if (deaths->n_row_deaths >= pool->attempts && deaths->row != CHUNK_NO_ROW) {
		failure_set(ret_failure, JOB_REASON_WORKER_CRASH,
			    "%s: the row at byte %" PRIu64 " has killed %" PRIu32
			    " workers running, and %" PRIu32
			    " rows before that among bytes %" PRIu64 " to %" PRIu64
			    "; the last worker %s",
			    suspect->path, deaths->row, deaths->n_row_deaths, deaths->n_skips,
			    suspect->place.begin, suspect->place.end, death->what);
		return;
	}
	failure_set(ret_failure, worker_end_reason(death->cause),
		    "%s: %" PRIu32 " workers died converting bytes %" PRIu64 " to %" PRIu64
		    "; the last one %s",
		    suspect->path, deaths->n_deaths, suspect->place.begin, suspect->place.end,
		    death->what);
}

/*
 * Care helps against a row that crashes a worker, not against one that makes it hang or grow: who
 * is stopped from outside hangs too, and no good row may be rejected for that.
 */
static bool may_care_help(const struct worker_end *death)
{
	return death->cause != WORKER_CAUSE_STALLED && death->cause != WORKER_CAUSE_MEMORY_LIMIT;
}

enum blame blame_death(const struct pool_options *pool, uint32_t slot,
		       const struct worker_end *death, struct failure *ret_failure)
{
	struct suspect suspect;
	struct chunk_deaths deaths;

	if (!find_suspect(pool, slot, &suspect)) {
		return BLAME_NOBODY;
	}
	const struct chunk_trial trial = {
		.begin = suspect.place.begin,
		.end = suspect.place.end,
		.attempts = pool->attempts,
	};
	enum chunk_verdict verdict = chunk_deaths_charge(suspect.record, &trial, &deaths);

	if (verdict == CHUNK_VERDICT_GIVE_UP ||
	    (verdict != CHUNK_VERDICT_AGAIN && !may_care_help(death))) {
		give_up(pool, &suspect, &deaths, death, ret_failure);
		return BLAME_GIVE_UP;
	}
	tell(pool, slot, &suspect, verdict, &deaths);
	return BLAME_CHUNK;
}
