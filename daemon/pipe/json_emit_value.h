/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/util/macro.h"
#include "daemon/pipe/dialect.h"
#include "daemon/pipe/json_emit.h"
#include "daemon/pipe/simd.h"
#include "daemon/pipe/utf8.h"

/*
 * Values on their way out, for csv_kernel.c and json_emit.c. Copies are stores of a fixed size that
 * overrun, so that no length is ever branched on but "more than one step".
 */
static inline uint8_t *json_put(uint8_t *out, const uint8_t *from, size_t len)
{
	simd_copy(out, from);
	for (size_t at = SIMD_COPY_BYTES; UNLIKELY(at < len); at += SIMD_LONG_BYTES) {
		simd_copy_long(out + at, from + at);
	}
	return out + len;
}

static inline uint8_t *json_put_key(const struct json_keys *keys, size_t c, uint8_t *out)
{
	return json_put(out, keys->bytes + keys->keys[c].offset, keys->keys[c].len);
}

static inline uint8_t *json_put_escaped(uint8_t *out, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[256] = {
		['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
		['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
	};

	if (letters[byte] != 0) {
		*out++ = '\\';
		*out++ = (uint8_t)letters[byte];
	} else if (byte < 0x20) {
		memcpy(out, "\\u00", 4);
		out[4] = (uint8_t)hex[byte >> 4];
		out[5] = (uint8_t)hex[byte & 15];
		out += 6;
	} else {
		*out++ = byte;
	}
	return out;
}

/* Copies characters that are not ASCII, at least one; the copy overruns by up to three bytes.
 * Returns their length, 0 if one is not well-formed. */
static inline size_t json_put_characters(const uint8_t *from, const uint8_t *end, uint8_t *out)
{
	const uint8_t *at = from;

	do {
		size_t n = utf8_char_length(at, (size_t)(end - at));

		if (n == 0) {
			return 0;
		}
		memcpy(out + (at - from), at, 4);
		at += n;
	} while (at < end && *at >= 0x80);
	return (size_t)(at - from);
}

/*
 * One value, unquoted and escaped. is_valid_utf8: the field is known to be. Returns the end of what
 * was written, NULL if the field has a fault. field[len .. len + READER_PADDING) must be readable.
 */
static inline uint8_t *json_put_careful(const struct dialect *dialect, const uint8_t *field,
					size_t len, bool is_valid_utf8, uint8_t *out)
{
	const uint8_t *end = field + len;
	uint8_t quote = dialect->has_quote ? dialect->quote : '"';
	bool is_quoted = dialect->has_quote && len > 0 && field[0] == dialect->quote;

	for (field += is_quoted;;) {
		size_t n = simd_put_clean_run(field, end, quote, is_valid_utf8, out);

		field += n;
		out += n;
		if (field == end) {
			return is_quoted ? NULL : out;
		}
		if (*field >= 0x80) {
			n = json_put_characters(field, end, out);
			if (n == 0) {
				return NULL;
			}
			field += n;
			out += n;
			continue;
		}
		if (dialect->has_quote && *field == dialect->quote) {
			if (is_quoted && field + 1 == end) {
				return out;
			}
			if (is_quoted ? field[1] != dialect->quote : dialect->strict) {
				return NULL;
			}
			field += is_quoted;
		}
		if (*field == '\0' || (*field == '\r' && !is_quoted)) {
			return NULL;
		}
		out = json_put_escaped(out, *field++);
	}
}
