/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"

/*
 * What a chunk's record in the chunk table says of the workers that have died converting it, and
 * what follows from one more.
 *
 * A chunk that has killed `attempts` workers is converted in careful mode: one row at a time, the
 * row's offset published before it is touched. A row that kills `attempts` workers running goes on
 * the chunk's skip list: it is rejected as `crash` and not touched again.
 *
 * Only deaths by a worker's own fault are charged (daemon/sched/blame.h), so whoever kills workers
 * at random rejects nothing.
 */
struct chunk_record;
struct chunk_table;

#define CHUNK_MAX_SKIPS 8u
#define CHUNK_NO_ROW	UINT64_MAX

/*
 * Plain numbers, so that a checkpoint can keep them; zeros for most chunks. The supervisor changes
 * them while nobody holds the chunk, and a worker reads them once it holds it.
 */
struct chunk_deaths {
	uint32_t n_deaths;     /* charged, in all */
	uint32_t is_careful;   /* 0 or 1 */
	uint32_t was_accepted; /* 0 or 1: others may have read its numbers, so they must stay */
	uint32_t n_skips;      /* at most CHUNK_MAX_SKIPS */
	uint32_t n_row_deaths; /* the last ones in careful mode, all of them on `row` */
	uint32_t reserved;
	uint64_t row;			 /* CHUNK_NO_ROW: no row was being touched */
	uint64_t skips[CHUNK_MAX_SKIPS]; /* offsets in the file, in the order they were found */
};

/* --- supervisor ------------------------------------------------------------------------------ */

enum chunk_verdict {
	CHUNK_VERDICT_AGAIN,   /* it is to be converted as before */
	CHUNK_VERDICT_CAREFUL, /* from now on in careful mode */
	CHUNK_VERDICT_SKIP,    /* without the row that is now the last one of the skip list */
	CHUNK_VERDICT_GIVE_UP, /* not any more: `row` or, without one, the chunk goes on killing */
};

/* By what a death is judged. */
struct chunk_trial {
	uint64_t begin, end; /* the chunk's bytes: its rows start in there */
	uint32_t attempts;   /* at least 1 */
};

/*
 * The chunk of [first, end) of the lane that `slot` was converting (and not waiting for another)
 * when its process died: call it after the death and before chunk_table_free_slot(). The range lies
 * in the ring's window. False if there is none.
 */
bool chunk_deaths_find(const struct chunk_table *table, uint32_t lane, uint32_t slot,
		       uint64_t first, uint64_t end, uint64_t *ret_chunk);

/*
 * Charges a death to a chunk that chunk_deaths_find() has found, and judges it. *ret_deaths is what
 * the record says now.
 */
enum chunk_verdict chunk_deaths_charge(struct chunk_record *record, const struct chunk_trial *trial,
				       struct chunk_deaths *ret_deaths);

/* Puts back what a checkpoint has kept; nobody holds the chunk. What cannot be is left out. */
void chunk_deaths_set(struct chunk_record *record, const struct chunk_deaths *deaths);

/* --- both sides ------------------------------------------------------------------------------ */

/* A copy, with what cannot be left out: the table is memory that any worker can scribble on. */
struct chunk_deaths chunk_deaths_get(const struct chunk_record *record);

/* --- worker ---------------------------------------------------------------------------------- */

/* Says which row the holder is about to touch; CHUNK_NO_ROW: none. */
void chunk_deaths_touch(struct chunk_record *record, uint64_t row);
