/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/pipe/dialect.h"

/*
 * Newlines and quotes of plain bytes, without the dialect's table. Whether a byte is inside quotes
 * follows from their parity only while all quotes are regular: good for a guess, never the truth.
 */
struct parity_count {
	uint64_t n_newlines;
	bool quote_parity;
};

/* Adds what bytes[0..len) have. */
void parity_add(struct parity_count *count, const struct dialect *dialect, const uint8_t *bytes,
		size_t len);

/*
 * Offset behind the first newline outside quotes, or len if there is none. *inside_quotes says
 * whether bytes[0] is inside quotes; then, whether the byte at that offset is.
 * bytes[len .. len + READER_PADDING) must be readable.
 */
size_t parity_find_row(const struct dialect *dialect, const uint8_t *bytes, size_t len,
		       bool *inside_quotes);
