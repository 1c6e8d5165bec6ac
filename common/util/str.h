/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Two NULLs are equal; NULL equals nothing else. */
bool str_equal(const char *a, const char *b);

bool str_starts_with(const char *text, const char *prefix);
bool str_ends_with(const char *text, const char *suffix);

/*
 * The candidate that `word` was most likely meant to be, or NULL: at most one slip (a letter
 * more, fewer, another, or two swapped) for every three letters. The first of equals wins.
 */
const char *str_nearest(const char *word, const char *const *candidates, size_t n_candidates);

/*
 * Whether all bytes are well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong
 * forms, at most U+10FFFF). ret_bad_offset may be NULL; it is set only if the answer is no.
 */
bool str_is_utf8(const void *data, size_t len, size_t *ret_bad_offset);

/* The longest length <= max (and <= len) that does not cut a character of valid UTF-8. */
size_t str_utf8_floor(const void *data, size_t len, size_t max);
