/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_spec.h"
#include "common/model/reject.h"

/*
 * The CSV dialect: a table of states and byte classes, and the walker on it that is the judge of
 * every row. The scanner (csv_index.h) may be faster; it may never be of another opinion.
 *
 * What a row is follows from the bytes at its start alone:
 *
 * - It ends at the first LF or CRLF outside quotes, or at the file's end outside quotes.
 * - Without its line end it may be max_row_bytes long. If its first max_row_bytes + 1 bytes hold
 *   no end, or the file ends inside quotes, it is rejected as unclosed_quote if the walk is
 *   inside quotes there, else as row_too_long. Such a row reaches to the first LF after its start,
 *   inside quotes or not, or to the file's end; the next row starts behind that LF.
 */
enum dialect_state {
	DIALECT_START, /* of a field */
	DIALECT_UNQUOTED,
	DIALECT_QUOTED,
	DIALECT_QUOTE_IN_QUOTED, /* the closing quote, or the first of two */
	DIALECT_N_STATES
};

enum dialect_class {
	DIALECT_OTHER,
	DIALECT_DELIMITER,
	DIALECT_QUOTE,
	DIALECT_LF,
	DIALECT_CR,   /* a bare one */
	DIALECT_CRLF, /* the CR of a CRLF */
	DIALECT_NUL,
	DIALECT_N_CLASSES
};

enum dialect_action {
	DIALECT_DATA,
	DIALECT_SKIP, /* an opening or closing quote, or the CR of a line end: no data */
	DIALECT_FIELD_END,
	DIALECT_ROW_END,
	DIALECT_FAULT_STRAY_QUOTE, /* data unless the dialect is strict */
	DIALECT_FAULT_BAD_QUOTE,
	DIALECT_FAULT_BARE_CR,
	DIALECT_FAULT_NUL_BYTE,
};

struct dialect_step {
	uint8_t next;	/* enum dialect_state */
	uint8_t action; /* enum dialect_action */
};

extern const struct dialect_step dialect_table[DIALECT_N_STATES][DIALECT_N_CLASSES];

struct dialect {
	uint8_t delimiter;
	uint8_t quote; /* if has_quote */
	bool has_quote;
	bool strict;
	uint64_t max_row_bytes;
	uint8_t classes[256]; /* enum dialect_class; CR stands as DIALECT_CR, see dialect_class_of()
			       */
};

void dialect_init(struct dialect *ret_dialect, const struct input_spec *input);

/* The class of bytes[at]; `next` is the byte behind it, anything but LF at the file's end. */
static inline enum dialect_class dialect_class_of(const struct dialect *dialect, uint8_t byte,
						  uint8_t next)
{
	enum dialect_class class = dialect->classes[byte];

	return class == DIALECT_CR && next == '\n' ? DIALECT_CRLF : class;
}

/* A walk to a row's end, which can be interrupted where the bytes at hand end. */
struct dialect_walk {
	uint64_t at; /* next byte to look at, from the row's start */
	enum dialect_state state;
	uint64_t line_end_at; /* where the row's line end begins, once it is found */
};

enum dialect_found {
	DIALECT_FOUND_END,     /* `at` is where the next row starts */
	DIALECT_FOUND_NO_END,  /* row_too_long, or unclosed_quote if `state` is DIALECT_QUOTED */
	DIALECT_FOUND_NEWLINE, /* a LF inside quotes was passed: `at` stands behind it */
	DIALECT_NEEDS_MORE,    /* the bytes at hand end here */
};

/*
 * Walks on from walk->at. row[0..len) are the row's bytes at hand from its start on; is_final says
 * that the file ends behind them. Stops at each LF inside quotes so that the caller may take a
 * short cut (convert_row.c).
 */
enum dialect_found dialect_walk(const struct dialect *dialect, const uint8_t *row, size_t len,
				bool is_final, struct dialect_walk *walk);

/* The first fault of a row, or none. */
struct dialect_fault {
	bool is_set;
	enum reject_code code;
	size_t field;  /* in which it lies, from 0 */
	size_t offset; /* of the byte, from the row's start */
};

/*
 * Splits a row with a known end; row[0..len) is without the line end. ret_ends gets the offset
 * behind each field (quotes included), at most max_ends of them. Returns the number of fields, be
 * it greater than max_ends. The fault is the first met; `ragged` is not judged here.
 */
size_t dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
		     uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault);
