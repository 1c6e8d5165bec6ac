/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/macro.h"

/*
 * Numbers from and to text. The parsers take the whole string or nothing: no blanks, no
 * locale, no second notation. -EINVAL: not such a number; -ERANGE: does not fit.
 */

/* Decimal digits. */
int num_parse_u64(const char *text, uint64_t *ret) MUST_CHECK;

/* Decimal digits after an optional minus. */
int num_parse_i64(const char *text, int64_t *ret) MUST_CHECK;

/* JSON's notation of a number (RFC 8259, section 6); finite. */
int num_parse_double(const char *text, double *ret) MUST_CHECK;

/* Digits and B, kB, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (1024) or nothing. */
int num_parse_size(const char *text, uint64_t *ret_bytes) MUST_CHECK;

/* Digits and ns, us, ms, s, m, h, d; without a unit they are seconds. */
int num_parse_duration_ns(const char *text, int64_t *ret_ns) MUST_CHECK;

/* Room for every text of the functions below, which give back `text`. */
enum { NUM_TEXT_SIZE = 32 };

/* "512 B", "1.5 MiB" */
const char *num_format_size(char text[static NUM_TEXT_SIZE], uint64_t bytes);

/* "850 ms", "12.3 s", "4m 05s", "2h 10m", "3d 04h"; negative ones count as 0. */
const char *num_format_duration_ns(char text[static NUM_TEXT_SIZE], int64_t duration_ns);

/* "1,234,567" */
const char *num_format_count(char text[static NUM_TEXT_SIZE], uint64_t count);
