/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/pipe/dialect.h"

/*
 * Stage one of the scanner: where fields and rows end.
 *
 * A batch always begins at a row's start, so nothing is carried from one to the next. Its extents
 * are those of the dialect's table for any bytes, but for max_row_bytes, which is the caller's to
 * check.
 *
 * The value of a field without CSV_INDEX_CARE may be copied as it is: nothing in it that JSON
 * escapes, valid UTF-8, no CR but that of the line end. If it has CSV_INDEX_QUOTED, that is what
 * stands between its first and last byte, which are quotes. A field with CSV_INDEX_CARE may be
 * anything, but for its UTF-8 if that of the batch is valid.
 */
#define CSV_INDEX_CARE	    (UINT32_C(1) << 31)
#define CSV_INDEX_QUOTED    (UINT32_C(1) << 30)
#define CSV_INDEX_OFFSET    (CSV_INDEX_QUOTED - 1)
#define CSV_INDEX_FLAGGED   (UINT32_C(1) << 31)
#define CSV_INDEX_MAX_BATCH (256u << 10)

struct csv_index {
	/* Offset from the batch's start of the delimiter or LF behind each field, with its flags.
	 * Fields of the row that is not complete stand behind the last row. */
	uint32_t *field_ends;
	/* Number of fields through each complete row's last; CSV_INDEX_FLAGGED if one of the row's
	 * fields has a flag. */
	uint32_t *row_ends;
	size_t n_fields;
	size_t n_rows;
	bool has_inner_newlines; /* some LFs of the batch do not end rows */
	bool is_valid_utf8;	 /* known of the batch, but for a character that its end cuts */
};

/* For batches of at most CSV_INDEX_MAX_BATCH. Returns 0 or -ENOMEM. */
int csv_index_init(struct csv_index *ret_index) MUST_CHECK;
void csv_index_deinit(struct csv_index *index);

/* Number of fields before row r. */
static inline uint32_t csv_index_row_first(const struct csv_index *index, size_t r)
{
	return r == 0 ? 0 : index->row_ends[r - 1] & ~CSV_INDEX_FLAGGED;
}

/* Row r begins here. */
static inline uint32_t csv_index_row_start(const struct csv_index *index, size_t r)
{
	uint32_t first = csv_index_row_first(index, r);

	return r == 0 ? 0 : (index->field_ends[first - 1] & CSV_INDEX_OFFSET) + 1;
}
