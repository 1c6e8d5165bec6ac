/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/pipe/csv_index.h"
#include "daemon/pipe/dialect.h"

/*
 * Stage two of the scanner: rows of an index become JSON lines, keys in column order.
 *
 * Copies run in steps of up to JSON_EMIT_STEP bytes and overrun their ends, in what they read and
 * in what they write.
 */
enum { JSON_EMIT_STEP = 64 };

/* What stands before each value: `{"name":"`, `","name":"`, and `"}` LF behind the last. */
struct json_key {
	uint32_t offset; /* in json_keys.bytes */
	uint32_t len;
};

struct json_keys {
	uint8_t *bytes;	       /* readable JSON_EMIT_STEP bytes behind each key */
	struct json_key *keys; /* n_columns + 1 */
	size_t n_columns;
	size_t n_row_bytes; /* length of all together: a row without its values */
	size_t longest;	    /* length of the longest */
};

/* columns are valid UTF-8, and fewer than 4 GiB in all. Returns 0 or -ENOMEM. */
int json_keys_init(struct json_keys *ret_keys, char *const *columns, size_t n_columns) MUST_CHECK;
void json_keys_deinit(struct json_keys *keys);

/* Rows of one file on their way out; all is borrowed. */
struct json_rows {
	const struct dialect *dialect;
	const struct json_keys *keys;
	const uint32_t *field_of; /* output column c is field field_of[c]; NULL: same order */
	const struct csv_index *index;
	const uint8_t *bytes; /* the index's batch */
	size_t end_row;	      /* rows [.., end_row) may be emitted */
	uint32_t start_limit; /* and only those that start before this offset */
	uint64_t max_row_bytes;
};

/* Room that n_rows rows of n_bytes bytes in all take at most, overruns included. */
static inline size_t json_emit_bound(const struct json_keys *keys, size_t n_rows, size_t n_bytes)
{
	/* A byte grows to six at most: \u00xx. */
	return n_rows * keys->n_row_bytes + 6 * n_bytes + 2 * JSON_EMIT_STEP;
}

/*
 * Emits one row that dialect_split() has found faultless; ends[] are its fields' ends (n_columns).
 * Returns the end of what was written.
 */
uint8_t *json_emit_row(const struct json_rows *rows, const uint8_t *row, const uint32_t *ends,
		       uint8_t *out);
