/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/chunk_deaths.h"
#include "common/model/reject.h"
#include "common/util/macro.h"

/*
 * The chunk table: shared memory between a job's workers and the supervisor, the only way in which
 * they speak while rows flow. No lock and no message; a claim is one compare-and-swap.
 *
 * Every pipe of the job is a lane: a ring of records. Record k % ring_size stands for chunk k while
 *
 *     folded - 1 <= k < folded + ring_size - 1
 *
 * where `folded` counts the chunks that the supervisor has taken over into its own memory. The
 * chunk before the first unfolded one stays readable, since its successor still compares with it.
 *
 * A record's life: FREE -> CLAIMED (a worker converts it) -> ACCEPTED (its start equals its
 * predecessor's end; the numbers below are final) -> WRITTEN (its bytes are in the output). The
 * supervisor folds WRITTEN records in order and makes them FREE for the next lap; it also frees
 * what a dead worker held. Numbers are written before ACCEPTED is stored (release); whoever reads
 * the state with acquire may read them. An ACCEPTED chunk that is freed by a death is converted
 * again from the same start to the same numbers, so whoever has read them already is still right.
 *
 * The supervisor believes nothing in here: chunk_table_* functions for it bound every index, and
 * the fold checks every number (daemon/sched/fold.h).
 */

#define CHUNK_TABLE_MAGIC	"ZOOCHNK1"
#define CHUNK_TABLE_VERSION	2
#define CHUNK_TABLE_RING_SIZE	4096u /* records of a lane; fewer if the lane has fewer chunks */
#define CHUNK_TABLE_MAX_LANES	64u
#define CHUNK_TABLE_MAX_SLOTS	1024u
#define CHUNK_TABLE_MESSAGE_MAX 256u

enum chunk_state {
	CHUNK_FREE = 0,
	CHUNK_CLAIMED = 1,
	CHUNK_ACCEPTED = 2,
	CHUNK_WRITTEN = 3,
};

enum chunk_flag {
	CHUNK_FLAG_END_OF_LIMIT = 1 << 0, /* `limit` rows have been read: the lane ends here */
	CHUNK_FLAG_END_OF_REJECTS = 1
				    << 1, /* reject number max_rows + 1 is this chunk's last row */
};

/* The accept record. Offsets are bytes of the chunk's file; totals are of the lane. */
struct chunk_accept {
	uint64_t start;	   /* first byte of its first row; = the chunk before's end in one file */
	uint64_t end;	   /* first byte after its last row */
	uint64_t end_line; /* physical line at `end`, 1 = first of the file */
	uint64_t rows;	   /* = success + error + filtered */
	uint64_t success;
	uint64_t error;
	uint64_t filtered;
	uint64_t rejects[REJECT_MAX_CODES]; /* by enum reject_code; sum = error */
	uint64_t total_rows;		    /* of the lane, through this chunk */
	uint64_t total_error;
	uint64_t out_offset; /* where its rows go in the output file */
	uint64_t out_length;
	uint64_t err_offset;
	uint64_t err_length;
	/* Of the bytes between the chunk's nominal end and `end`: what the parity guess of the next
	 * chunks must take back. */
	uint32_t overhang_newlines;
	uint32_t overhang_quote_parity;
	uint32_t flags; /* enum chunk_flag */
	uint32_t reserved;
	/* Of all the above: chunk_table_accept() makes it, chunk_table_import() goes by it. */
	uint64_t checksum;
};

struct chunk_record {
	/* Bits 0-7 enum chunk_state, 8-31 slot of the holder, 32-63 lap of the ring (k /
	 * ring_size): what was read in one lap cannot be swapped in the next. */
	_Atomic uint64_t claim;
	/* Bit 0 ready, bit 1 quote parity, bits 2-63 newlines of the chunk's nominal bytes. */
	_Atomic uint64_t scan;
	_Atomic uint32_t n_waiters; /* someone sleeps on `claim`'s low half; a dead one stays in */
	_Atomic uint32_t
		is_waiting; /* its holder waits for another: a death now is not its fault */
	/* In careful mode: 1 + the offset of the row that its holder touches, 0 for none. */
	_Atomic uint64_t row_after;
	struct chunk_deaths deaths; /* supervisor: see chunk_deaths.h */
	struct chunk_accept accept;
} __attribute__((aligned(64)));

struct chunk_lane {
	_Atomic uint64_t n_chunks; /* supervisor: lowered when `limit` ends the lane */
	_Atomic uint64_t folded;   /* supervisor: chunks taken over */
	_Atomic uint64_t hint;	   /* no chunk below it is FREE; lowered by whoever frees one */
} __attribute__((aligned(64)));

/* One worker's own corner; untrusted. */
struct chunk_slot {
	/* What it leaves when it exits with WORKER_EXIT_REPORTED. */
	_Atomic uint32_t is_reported;
	uint32_t reason; /* enum job_reason */
	char message[CHUNK_TABLE_MESSAGE_MAX];
	/* Its signs of life, see chunk_table_beat(); only that they change means anything. */
	_Atomic uint64_t n_beats;
	_Atomic uint64_t n_steps;
} __attribute__((aligned(64)));

/* A copy of a slot's signs of life. */
struct chunk_pulse {
	uint64_t n_beats, n_steps;
};

struct chunk_table_header {
	char magic[8];
	uint16_t version;
	uint16_t header_size;
	uint32_t record_size;
	uint32_t n_lanes;
	uint32_t n_slots;
	uint32_t ring_size;
	_Atomic uint32_t stop; /* 1: claim nothing more, leave what is not accepted */
} __attribute__((aligned(64)));

/* A mapping of the table in this process. All pointers lie in [base, base + size_bytes). */
struct chunk_table {
	void *base;
	size_t size_bytes;
	struct chunk_table_header *header;
	struct chunk_lane *lanes;     /* n_lanes */
	struct chunk_slot *slots;     /* n_slots */
	struct chunk_record *records; /* n_lanes * ring_size */
	/* Copies taken when it was mapped: later scribbling cannot move a bound. */
	uint32_t n_lanes;
	uint32_t n_slots;
	uint32_t ring_size;
};

/* --- both sides ------------------------------------------------------------------------------ */

/* Bytes that a table of this shape takes. */
size_t chunk_table_size(uint32_t n_lanes, uint32_t n_slots, uint32_t ring_size);

/*
 * Maps an existing table read and write. Returns 0; -EINVAL if magic, version, shape or file size
 * do not fit this build; -errno.
 */
int chunk_table_map(int fd, struct chunk_table *ret_table) MUST_CHECK;
void chunk_table_unmap(struct chunk_table *table);

/* The record that stands for chunk k now; the caller knows that k is inside the ring's window. */
struct chunk_record *chunk_table_record(const struct chunk_table *table, uint32_t lane, uint64_t k);

enum chunk_state chunk_claim_state(uint64_t claim);
uint32_t chunk_claim_slot(uint64_t claim);

/* --- supervisor ------------------------------------------------------------------------------ */

/*
 * Sizes (fallocate: a later SIGBUS for lack of space is excluded), fills and maps a table in the
 * empty file fd. n_chunks has n_lanes entries. Returns 0 or -errno.
 */
int chunk_table_create(int fd, uint32_t n_lanes, uint32_t n_slots, const uint64_t *n_chunks,
		       struct chunk_table *ret_table) MUST_CHECK;

/*
 * For a job that goes on: chunks below `folded` have been taken over, `before` is the record of the
 * last one (ignored if folded is 0). Only before the first worker starts.
 */
void chunk_table_seed(struct chunk_table *table, uint32_t lane, uint64_t folded,
		      const struct chunk_accept *before);

/*
 * Takes over from the table of a run that was cut off what needs not be done again: the chunks that
 * are WRITTEN there, and the deaths that were charged. All who wrote to `old` must be dead. A
 * record that is torn or does not stand for its chunk is left out. After chunk_table_seed().
 * Returns the number of chunks that were taken over.
 */
uint64_t chunk_table_import(struct chunk_table *table, uint32_t lane,
			    const struct chunk_table *old);

/*
 * Copies the next record to fold, if chunk `folded` of the lane is WRITTEN. Returns 1 with
 * *ret_accept and *ret_slot filled, 0 if it is not there yet.
 */
int chunk_table_peek(const struct chunk_table *table, uint32_t lane, uint64_t folded,
		     struct chunk_accept *ret_accept, uint32_t *ret_slot);

/* Marks chunk `folded` as taken over: recycles the record before it, moves the lane's window. */
void chunk_table_fold(struct chunk_table *table, uint32_t lane, uint64_t folded);

/*
 * Frees all that `slot` held and had not written, and wakes all waiters. Call only after the slot's
 * process was reaped and its death charged (chunk_deaths.h). Returns how many chunks were freed.
 */
unsigned chunk_table_free_slot(struct chunk_table *table, uint32_t slot, const uint64_t *folded);

/* Tells all workers to stop, or lowers a lane's end, and wakes all waiters. */
void chunk_table_stop(struct chunk_table *table);
void chunk_table_end_lane(struct chunk_table *table, uint32_t lane, uint64_t n_chunks);

/* Copies a slot's report, NUL-terminated and made printable. False if there is none. */
bool chunk_table_report(const struct chunk_table *table, uint32_t slot, uint32_t *ret_reason,
			char message[CHUNK_TABLE_MESSAGE_MAX]);

struct chunk_pulse chunk_table_pulse(const struct chunk_table *table, uint32_t slot);

/* Before a slot gets a new process. */
void chunk_table_clear_report(struct chunk_table *table, uint32_t slot);

/* --- worker ---------------------------------------------------------------------------------- */

/* Lowest free chunk of the lane for `slot`. Returns 1 with *ret_chunk, 0: none free now. */
int chunk_table_claim(struct chunk_table *table, uint32_t lane, uint32_t slot, uint64_t *ret_chunk);

/* True once every chunk of the lane is claimed, accepted, written or folded. */
bool chunk_table_lane_is_drained(const struct chunk_table *table, uint32_t lane);

/* Gives a claimed chunk back: it becomes FREE, the hint is lowered, its waiters are woken. */
void chunk_table_give_back(struct chunk_table *table, uint32_t lane, uint64_t chunk);

void chunk_table_publish_scan(struct chunk_record *record, bool quote_parity, uint64_t n_newlines);

/* 1 with the numbers; 0: not published yet; -ESTALE: chunk k is folded, its record recycled. */
int chunk_table_scan(const struct chunk_table *table, uint32_t lane, uint64_t k, bool *ret_parity,
		     uint64_t *ret_newlines);

/* True with chunk k's numbers once it is ACCEPTED or WRITTEN, while its record stands for it. */
bool chunk_table_accepted(const struct chunk_table *table, uint32_t lane, uint64_t k,
			  struct chunk_accept *ret_accept);

/* True if an earlier chunk than `chunk` is free: a waiter then gives its own back. */
bool chunk_table_has_free_before(const struct chunk_table *table, uint32_t lane, uint64_t chunk);

/* Sleeps until the event may have happened, for timeout_ns at most. Wakes for no reason at times.
 */
enum chunk_event {
	CHUNK_EVENT_SCAN,     /* the record's scan is published */
	CHUNK_EVENT_ACCEPTED, /* it is accepted, or freed, or claimed by another */
};
void chunk_table_sleep(struct chunk_record *record, enum chunk_event event, int64_t timeout_ns);

bool chunk_table_is_stopped(const struct chunk_table *table);

/* Writes the numbers, then the state with release, then wakes the successor if it sleeps. */
void chunk_table_accept(struct chunk_record *record, const struct chunk_accept *accept);
void chunk_table_written(struct chunk_record *record);

/* Says whether the holder of the record waits for another chunk; false while it converts. */
void chunk_table_set_waiting(struct chunk_record *record, bool is_waiting);

/*
 * A sign of life, while it works and while it waits, several times a second at least: without one
 * a worker is taken for hung. is_step: it has come forward, which a wait does not.
 */
void chunk_table_beat(struct chunk_table *table, uint32_t slot, bool is_step);

/* Leaves a report for the supervisor. The message is cut to fit. */
void chunk_table_fail(struct chunk_table *table, uint32_t slot, uint32_t reason,
		      const char *message);
