/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/util/buf.h"

/*
 * Text that came from elsewhere (a spec, a file name, the API) on its way to a terminal.
 */

/*
 * Adds the text with '?' for everything that would steer a terminal or lie about the order of
 * characters (control characters, line ends, bidirectional overrides) and for bytes that are not
 * UTF-8. NULL counts as "".
 */
void text_add_clean(struct buf *out, const char *text);

/* Columns that clean text takes. */
size_t text_width(const char *text);

/* The longest prefix, in bytes, of clean text that fits into so many columns. */
size_t text_fit(const char *text, size_t n_columns);
