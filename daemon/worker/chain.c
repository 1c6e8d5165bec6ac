/* SPDX-License-Identifier: MIT */

/*
 * A row belongs to the chunk in which it starts, so all that one chunk tells the next is where
 * its last row ended. That end is known late, when the chunk before is accepted; to convert
 * before that, the start is guessed: from the nearest accepted chunk's true end on, the quotes
 * between there and here are counted, and an odd number means that we are inside a quoted field.
 * Each worker publishes that parity of its own chunk right after it has read it, so the guess
 * costs no second look at the bytes. The same sum over newlines gives the physical line.
 *
 * The parity is counted over nominal chunks, but an accepted chunk ends behind its nominal end,
 * outside quotes. Its record holds parity and newlines of that overhang, to be taken back.
 *
 * A wait spins for a moment, since the chunk before is usually about to be accepted, and then
 * sleeps on the record itself. A chunk that nobody holds would be waited for in vain: whoever
 * waits and sees one gives its own back and takes that one.
 *
 * However long a wait is, it is no stall: before each sleep the worker gives a sign of life, which
 * one that was stopped inside its wait does not.
 */

#include "daemon/worker/chain.h"

#include <errno.h>

#define CHAIN_SPINS    2000
#define CHAIN_SLEEP_NS (10 * 1000 * 1000)

/* Sums over the chunks between a known place and ours. */
struct chain_sum {
	bool parity;
	uint64_t newlines;
};

/* 1: there; 0: not yet; negative: never any more. */
typedef int (*chain_test_fn)(const struct chain *chain, uint64_t awaited, void *ret);

enum wait_result {
	WAIT_GONE = -1, /* the awaited chunk is folded and its record recycled */
	WAIT_READY = CHAIN_READY,
	WAIT_GIVE_BACK = CHAIN_GIVE_BACK,
	WAIT_STOPPED = CHAIN_STOPPED,
};

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static enum wait_result wait_until(const struct chain *chain, uint64_t own, uint64_t awaited,
				   enum chunk_event event, chain_test_fn test, void *ret)
{
	for (unsigned n_tries = 0;; n_tries++) {
		int there = test(chain, awaited, ret);

		if (there != 0) {
			return there > 0 ? WAIT_READY : WAIT_GONE;
		}
		if (chunk_table_is_stopped(chain->table)) {
			return WAIT_STOPPED;
		}
		if (chunk_table_has_free_before(chain->table, chain->lane, own)) {
			return WAIT_GIVE_BACK;
		}
		if (n_tries < CHAIN_SPINS) {
			pause_cpu();
		} else {
			chunk_table_beat(chain->table, chain->slot, false);
			chunk_table_sleep(chunk_table_record(chain->table, chain->lane, awaited),
					  event, CHAIN_SLEEP_NS);
		}
	}
}

/* An accepted chunk need not have been scanned, and says more than a scan: walk again. */
static int test_scan(const struct chain *chain, uint64_t k, void *ret)
{
	struct chain_sum *sum = ret;
	struct chunk_accept accept;
	int r = chunk_table_scan(chain->table, chain->lane, k, &sum->parity, &sum->newlines);

	if (r == 0 && chunk_table_accepted(chain->table, chain->lane, k, &accept)) {
		return -ESTALE;
	}
	return r;
}

static int test_accepted(const struct chain *chain, uint64_t k, void *ret)
{
	return chunk_table_accepted(chain->table, chain->lane, k, ret);
}

static struct chain_start start_of_file(const struct plan_file *file)
{
	return (struct chain_start){
		.is_exact = true, .offset = file->data_offset, .line = file->data_line};
}

/* The guess from an accepted chunk, given the sum over the chunks between it and ours. */
static struct chain_start guess_from(const struct chunk_accept *accept, const struct chain_sum *sum,
				     uint64_t begin)
{
	if (accept->end >= begin || accept->flags != 0) {
		return (struct chain_start){
			.has_offset = true, .offset = accept->end, .line = accept->end_line};
	}
	return (struct chain_start){
		.is_quoted = sum->parity ^ ((accept->overhang_quote_parity & 1) != 0),
		.line = accept->end_line - accept->overhang_newlines + sum->newlines,
	};
}

/* One walk back over the chunks before. WAIT_GONE: a record was recycled under it, walk again. */
static enum wait_result walk_back(const struct chain *chain, uint64_t chunk,
				  const struct plan_chunk *place, struct chain_start *ret_start)
{
	const struct plan_file *file = &chain->pipe->files[place->file];
	struct chain_sum sum = {0};

	for (uint64_t k = chunk; k > file->first_chunk; k--) {
		struct chunk_accept accept;
		struct chain_sum own;

		if (chunk_table_accepted(chain->table, chain->lane, k - 1, &accept)) {
			*ret_start = guess_from(&accept, &sum, place->begin);
			ret_start->is_exact = k == chunk;
			return WAIT_READY;
		}
		enum wait_result result = wait_until(chain, chunk, k - 1, CHUNK_EVENT_SCAN,
						     test_scan, &own);
		if (result != WAIT_READY) {
			return result;
		}
		sum.parity ^= own.parity;
		sum.newlines += own.newlines;
	}
	*ret_start = (struct chain_start){.is_quoted = sum.parity,
					  .line = file->data_line + sum.newlines};
	return WAIT_READY;
}

enum chain_result chain_guess(const struct chain *chain, uint64_t chunk,
			      struct chain_start *ret_start)
{
	struct plan_chunk place = plan_chunk_at(chain->plan, chain->pipe, chunk);
	enum wait_result result;

	if (place.is_first_of_file) {
		*ret_start = start_of_file(&chain->pipe->files[place.file]);
		return CHAIN_READY;
	}
	do {
		result = walk_back(chain, chunk, &place, ret_start);
	} while (result == WAIT_GONE);
	return (enum chain_result)result;
}

enum chain_result chain_wait(const struct chain *chain, uint64_t chunk,
			     struct chunk_accept *ret_before)
{
	if (chunk == 0) {
		*ret_before = (struct chunk_accept){0};
		return CHAIN_READY;
	}
	/* It can't be gone: its record stays until our own chunk is folded. */
	return (enum chain_result)wait_until(chain, chunk, chunk - 1, CHUNK_EVENT_ACCEPTED,
					     test_accepted, ret_before);
}

struct chain_start chain_true_start(const struct chain *chain, uint64_t chunk,
				    const struct chunk_accept *before)
{
	struct plan_chunk place = plan_chunk_at(chain->plan, chain->pipe, chunk);

	if (place.is_first_of_file) {
		return start_of_file(&chain->pipe->files[place.file]);
	}
	return (struct chain_start){
		.is_exact = true, .offset = before->end, .line = before->end_line};
}
