/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/chunk_table.h"
#include "common/model/plan.h"
#include "common/util/macro.h"

/*
 * The chain of chunks: what a worker may know of its chunk's start from the chunks before it
 * (design §5 "Chunks"), and how it waits for them.
 */

/* One pipe's chunks, seen by one worker. */
struct chain {
	struct chunk_table *table;
	uint32_t slot; /* of the worker */
	uint32_t lane;
	const struct plan *plan;
	const struct plan_pipe *pipe;
};

enum chain_result {
	CHAIN_READY,	 /* the answer is there */
	CHAIN_GIVE_BACK, /* an earlier chunk is free: the caller's must be given back for it */
	CHAIN_STOPPED,	 /* the supervisor stops the pool */
};

/* Where the first row of a chunk starts, or what is known about it. */
struct chain_start {
	/* The predecessor has been accepted (or there is none in this file): offset is right. */
	bool is_exact;
	/* Else if has_offset: offset is the end of an accepted chunk that reaches into this one. */
	bool has_offset;
	/* Else the guess: is the chunk's first byte inside quotes, by parity? */
	bool is_quoted;
	uint64_t offset;
	uint64_t line; /* physical line at offset, or at the chunk's first byte */
};

/* What is known now; waits only until the chunks before are scanned. */
enum chain_result chain_guess(const struct chain *chain, uint64_t chunk,
			      struct chain_start *ret_start) MUST_CHECK;

/*
 * Waits until the chunk before is accepted. *ret_before holds its numbers (zeros for chunk 0), of
 * which start, end and lines speak of another file if this chunk is the first of its own.
 */
enum chain_result chain_wait(const struct chain *chain, uint64_t chunk,
			     struct chunk_accept *ret_before) MUST_CHECK;

/* The true start of a chunk whose predecessor's numbers are known. */
struct chain_start chain_true_start(const struct chain *chain, uint64_t chunk,
				    const struct chunk_accept *before);
