/* SPDX-License-Identifier: MIT */
/*
 * An allow list would need all of Unicode; the deny list below holds what terminals act upon:
 * C0 and C1 controls, line and paragraph separators, and the bidirectional controls of UAX #9.
 */
#include "daemon/ctl/text.h"

#include <stdbool.h>
#include <string.h>
#include <wchar.h>

#include "common/util/macro.h"
#include "common/util/str.h"

static const struct {
	uint32_t first, last;
} harmful[] = {
	{0x0000, 0x001f}, {0x007f, 0x009f}, {0x061c, 0x061c},
	{0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
};

/* The bytes of the character that begins here, 0 if they are not UTF-8. */
static size_t character_len(const char *text)
{
	unsigned char lead = (unsigned char)*text;
	size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	return strnlen(text, len) == len && str_is_utf8(text, len, NULL) ? len : 0;
}

static uint32_t code_point(const char *text, size_t len)
{
	static const unsigned char lead_masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = (unsigned char)text[0] & lead_masks[len];

	for (size_t i = 1; i < len; i++) {
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	return code;
}

static bool is_harmful(uint32_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmful); i++) {
		if (code >= harmful[i].first && code <= harmful[i].last) {
			return true;
		}
	}
	return false;
}

void text_add_clean(struct buf *out, const char *text)
{
	while (text && *text) {
		size_t len = character_len(text);

		if (len == 0 || is_harmful(code_point(text, len))) {
			buf_add_char(out, '?');
		} else {
			buf_add(out, text, len);
		}
		text += MAX(len, (size_t)1);
	}
}

/* Steps over one character; its columns. */
static size_t next_character(const char **text)
{
	size_t len = character_len(*text);
	int width = len ? wcwidth((wchar_t)code_point(*text, len)) : 1;

	*text += MAX(len, (size_t)1);
	return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *text)
{
	size_t n_columns = 0;

	while (*text) {
		n_columns += next_character(&text);
	}
	return n_columns;
}

size_t text_fit(const char *text, size_t n_columns)
{
	const char *end = text;
	size_t n_used = 0;

	while (*end) {
		const char *next = end;

		n_used += next_character(&next);
		if (n_used > n_columns) {
			break;
		}
		end = next;
	}
	return (size_t)(end - text);
}
