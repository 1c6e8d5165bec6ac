/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/reject.h"
#include "common/util/macro.h"
#include "daemon/pipe/dialect.h"
#include "daemon/pipe/reader.h"

/*
 * Where one row ends, by the dialect's table, for the rows that the scanner cannot take: the last
 * one without a newline, giants, and those without an end.
 */
struct row_extent {
	bool has_end;
	uint64_t end;  /* if has_end: offset in the file of its line end, or the file's size */
	uint64_t next; /* if has_end: where the next row starts */
	enum reject_code code; /* if not: row_too_long or unclosed_quote */
};

/*
 * What a look-ahead that found no end has learned. Every newline that it passed was inside quotes;
 * so a later row that is inside quotes at one of them is in the same state from there on, and may
 * go on where the look-ahead stopped. It makes a file of nothing but unclosed quotes cost a few
 * passes instead of max_row_bytes for each line.
 *
 * Zeros at first; it holds for one file and for rows in rising order.
 */
struct row_memo {
	uint64_t until;		  /* no row that starts before it can be left to the scanner */
	enum dialect_state state; /* there */
	uint64_t n_walked;	  /* bytes that were looked at in all, for the tests */
};

/* Returns as reader_fetch(); then bytes from `start` on are still in the window. */
int row_extent_find(const struct dialect *dialect, struct reader *reader, uint64_t start,
		    struct row_memo *memo, struct row_extent *ret_extent) MUST_CHECK;
