/* SPDX-License-Identifier: MIT */
/*
 * The UTF-8 check here is for specs, names and messages: plain and branchy. The rows of the input
 * have their own in the scanner.
 */
#include "common/util/str.h"

#include <string.h>

#include "common/util/macro.h"

/* Words longer than this are never guessed: a key or a state is not so long. */
enum { STR_NEAREST_MAX = 64 };

bool str_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL) {
		return a == b;
	}
	return strcmp(a, b) == 0;
}

bool str_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *text, const char *suffix)
{
	size_t text_len = strlen(text), suffix_len = strlen(suffix);

	return text_len >= suffix_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}

/*
 * Edit distance with swaps of neighbours (Damerau's, in the form that edits nothing twice), over
 * three rows of the table: the one before the last is needed for the swaps.
 */
static size_t str_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][STR_NEAREST_MAX + 1];
	size_t *above2 = rows[0], *above = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= b_len; j++) {
		above[j] = j;
	}
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = MIN(change, MIN(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
				row[j] = MIN(row[j], above2[j - 2] + 1);
			}
		}
		spare = above2;
		above2 = above;
		above = row;
		row = spare;
	}
	return above[b_len];
}

const char *str_nearest(const char *word, const char *const *candidates, size_t n_candidates)
{
	size_t word_len = strlen(word);
	size_t best_distance = MAX(word_len / 3, (size_t)1) + 1;
	const char *best = NULL;

	if (word_len == 0 || word_len > STR_NEAREST_MAX) {
		return NULL;
	}
	for (size_t i = 0; i < n_candidates; i++) {
		size_t len = strlen(candidates[i]);
		size_t distance;

		if (len > STR_NEAREST_MAX) {
			continue;
		}
		distance = str_distance(word, word_len, candidates[i], len);
		/* As many slips as letters would be another word, not a slip. */
		if (distance < best_distance && distance < len) {
			best_distance = distance;
			best = candidates[i];
		}
	}
	return best;
}

struct utf8_form {
	unsigned char first_min, first_max;   /* the first byte */
	unsigned char second_min, second_max; /* the second; all later ones are 80..bf */
	unsigned char len;
};

/* The Unicode Standard, table 3-7. */
static const struct utf8_form utf8_forms[] = {
	{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const struct utf8_form *utf8_form_of(unsigned char first)
{
	for (size_t i = 0; i < ARRAY_SIZE(utf8_forms); i++) {
		if (first >= utf8_forms[i].first_min && first <= utf8_forms[i].first_max) {
			return &utf8_forms[i];
		}
	}
	return NULL;
}

/* The length of the character at p, of which `left` bytes are there; 0 if it is none. */
static size_t utf8_character_len(const unsigned char *p, size_t left)
{
	const struct utf8_form *form = utf8_form_of(p[0]);

	if (form == NULL || form->len > left) {
		return 0;
	}
	if (form->len > 1 && (p[1] < form->second_min || p[1] > form->second_max)) {
		return 0;
	}
	for (size_t i = 2; i < form->len; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	return form->len;
}

bool str_is_utf8(const void *data, size_t len, size_t *ret_bad_offset)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_character_len(bytes + i, len - i);

		if (n == 0) {
			if (ret_bad_offset != NULL) {
				*ret_bad_offset = i;
			}
			return false;
		}
		i += n;
	}
	return true;
}

size_t str_utf8_floor(const void *data, size_t len, size_t max)
{
	const unsigned char *bytes = data;

	if (len <= max) {
		return len;
	}
	/* Back to where the character begins that holds the byte after the cut. */
	while (max > 0 && (bytes[max] & 0xc0) == 0x80) {
		max--;
	}
	return max;
}
