/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/pipe/bits.h"
#include "daemon/pipe/csv_index.h"
#include "daemon/pipe/simd.h"

/*
 * What every scanner does with a block of 64 bytes once it has their masks. Which bytes lie inside
 * quotes follows from the quotes' parity, as long as every quote is a regular one: an opening quote
 * at a field's start, a closing one before a delimiter or line end, or one of two inside quotes.
 * Where one is not, the whole block goes through the dialect's table instead.
 */
enum { CSV_BLOCK_BYTES = 64 };

/* Bit i stands for the block's byte i; bits behind the batch's end are 0. */
struct csv_masks {
	uint64_t valid; /* bytes of the batch */
	uint64_t delimiter;
	uint64_t newline; /* LF */
	uint64_t quote;
	uint64_t cr;
	uint64_t care; /* what JSON escapes and what may be no UTF-8, but for quote, LF, CR */
};

/* Carried from block to block. At most one of the first three is set; none: inside a field. */
struct csv_block_state {
	uint64_t inside_quotes;	   /* all bits or none */
	uint64_t after_terminator; /* bit 0: a field begins here */
	uint64_t after_close;	   /* bit 0: the byte before may have closed the quotes */
	/* Bit 0: the field that has begun had a byte of... */
	uint64_t care;
	uint64_t quoted;
	uint32_t row_flag; /* CSV_INDEX_FLAGGED once the row that has begun has a flagged field */
};

#define CSV_BLOCK_STATE_INIT ((struct csv_block_state){.after_terminator = 1})

/* What a block's bytes come to. */
struct csv_block {
	uint64_t newlines;    /* that end rows */
	uint64_t terminators; /* that end fields, newlines among them */
	uint64_t care;	      /* bytes that give their field CSV_INDEX_CARE */
	uint64_t quoted;      /* bytes that give it CSV_INDEX_QUOTED */
};

/*
 * A block with a quote that is not regular; moves the state on. Defined in csv_index.c, for all
 * scanners. By value, as all of it is in the inner loop: what has its address taken there, the
 * compiler keeps in memory.
 */
struct csv_judged {
	struct csv_block block;
	struct csv_block_state state;
};

struct csv_judged csv_block_by_table(const struct dialect *dialect, const uint8_t *bytes,
				     struct csv_masks masks, struct csv_block_state state);

/* Which terminators end a field that has a bit of `flags`. */
static inline uint64_t csv_block_flagged(uint64_t terminators, uint64_t flags, uint64_t *carry)
{
	uint64_t sum;

	/* Each flag starts a carry that runs through the field's bits up to its terminator, which
	 * is 0 in ~terminators and so stops it. */
	uint64_t overflow = __builtin_add_overflow(~terminators, flags, &sum);
	overflow |= __builtin_add_overflow(sum, *carry, &sum);
	*carry = overflow;
	return sum & terminators;
}

static inline void csv_block_store(struct csv_index *index, uint32_t base,
				   const struct csv_block *block, struct csv_block_state *state)
{
	uint64_t ends = block->terminators;
	uint64_t newlines = block->newlines;
	uint64_t care = 0;
	uint64_t quoted = 0;
	uint64_t flagged;

	if (UNLIKELY((block->care | state->care) != 0)) {
		care = csv_block_flagged(ends, block->care & ~ends, &state->care);
	}
	if (UNLIKELY((block->quoted | state->quoted) != 0)) {
		quoted = csv_block_flagged(ends, block->quoted, &state->quoted);
	}
	flagged = care | quoted;
	simd_store_ends(index->field_ends + index->n_fields, base, ends, care, quoted);
	/* The first one is stored even if there is none: mostly there is, or not, at random. */
	do {
		uint64_t through = newlines ^ (newlines - 1);
		uint32_t flag = (flagged & through) != 0 ? CSV_INDEX_FLAGGED : state->row_flag;

		index->row_ends[index->n_rows] =
			((uint32_t)index->n_fields + bits_count(ends & through)) | flag;
		index->n_rows += newlines != 0;
		state->row_flag = newlines != 0 ? 0 : flag;
		flagged &= ~through;
		newlines &= newlines - 1;
	} while (UNLIKELY(newlines != 0));
	state->row_flag |= flagged != 0 ? CSV_INDEX_FLAGGED : 0;
	index->n_fields += bits_count(ends);
}

/* Quotes in the block, or open before it. False if one is not regular. */
static inline bool csv_block_quotes(const struct csv_masks *masks, uint64_t crlf,
				    struct csv_block_state *state, struct csv_block *block)
{
	uint64_t inside = bits_prefix_xor(masks->quote) ^ state->inside_quotes;
	uint64_t terminators = block->terminators & ~inside;
	uint64_t opening = masks->quote & inside;
	uint64_t closing = masks->quote & ~inside;
	uint64_t after_close = (closing << 1 | state->after_close) & masks->valid;
	uint64_t at_start = terminators << 1 | state->after_terminator;

	if ((after_close & ~(terminators | opening | crlf)) |
	    (opening & ~(at_start | after_close))) {
		return false;
	}
	/* The second of two quotes, and what JSON has to escape only now. */
	block->care |= (opening & after_close) | (inside & (masks->newline | masks->cr));
	block->quoted = masks->quote;
	block->newlines &= ~inside;
	block->terminators = terminators;
	state->inside_quotes = (uint64_t)((int64_t)inside >> 63);
	state->after_close = closing >> 63;
	return true;
}

/* Indexes the block bytes[0..64), which lies `base` bytes behind the batch's start. */
static inline void csv_block_index(const struct dialect *dialect, const uint8_t *bytes,
				   uint32_t base, const struct csv_masks *masks,
				   struct csv_block_state *state, struct csv_index *index)
{
	struct csv_block block = {
		.newlines = masks->newline,
		.terminators = masks->delimiter | masks->newline,
		.care = masks->care,
	};
	uint64_t crlf = 0;

	if (UNLIKELY(masks->cr != 0)) {
		uint64_t next_is_lf = bytes[CSV_BLOCK_BYTES] == '\n';

		crlf = masks->cr & (masks->newline >> 1 | next_is_lf << 63);
		block.care |= masks->cr & ~crlf;
	}
	if (UNLIKELY((masks->quote | state->inside_quotes | state->after_close) != 0) &&
	    UNLIKELY(!csv_block_quotes(masks, crlf, state, &block))) {
		struct csv_judged judged = csv_block_by_table(dialect, bytes, *masks, *state);

		block = judged.block;
		*state = judged.state;
	}
	index->has_inner_newlines |= block.newlines != masks->newline;
	state->after_terminator = block.terminators >> 63;
	csv_block_store(index, base, &block, state);
}
