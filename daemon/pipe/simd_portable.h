/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/util/macro.h"
#include "daemon/pipe/bits.h"
#include "daemon/pipe/csv_index.h"

/*
 * simd.h for any machine. Whatever looks at all 64 bytes of a block is a plain loop over them
 * without a branch, of which any compiler makes vector code; only to bring a mark in each byte
 * together to a mask of bits takes words. So a mask is dear, and simd_look() tells which are worth
 * their price: most blocks have nothing but printable ASCII, delimiters and line feeds.
 */
enum { SIMD_COPY_BYTES = 32, SIMD_LONG_BYTES = 32, SIMD_COUNTS_BY_MASK = 0 };

struct simd_block {
	const uint8_t *bytes;
};

/* What a block has besides printable ASCII, delimiters and LF. */
struct simd_oddities {
	bool has_quote_or_cr;
	bool has_other;
};

static inline struct simd_block simd_load(const uint8_t *bytes)
{
	return (struct simd_block){bytes};
}

/* marks has 0x80 for the bytes that are meant, else 0. */
static inline uint64_t simd_gather(const uint8_t marks[64])
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < 64; i += 8) {
		mask |= bits_gather(bits_load(marks + i)) << i;
	}
	return mask;
}

static inline uint64_t simd_equal(struct simd_block block, uint8_t byte)
{
	uint8_t marks[64];

	for (unsigned i = 0; i < 64; i++) {
		marks[i] = block.bytes[i] == byte ? 0x80 : 0;
	}
	return simd_gather(marks);
}

/* What a JSON string has to escape: control characters, quotation mark, backslash. */
static inline uint64_t simd_escaped(struct simd_block block)
{
	uint8_t marks[64];

	for (unsigned i = 0; i < 64; i++) {
		uint8_t byte = block.bytes[i];
		uint8_t is_escaped = (byte < 0x20) | (byte == '"') | (byte == '\\');

		marks[i] = is_escaped ? 0x80 : 0;
	}
	return simd_gather(marks);
}

static inline uint64_t simd_non_ascii(struct simd_block block)
{
	uint8_t marks[64];

	for (unsigned i = 0; i < 64; i++) {
		marks[i] = block.bytes[i] & 0x80;
	}
	return simd_gather(marks);
}

static inline struct simd_oddities simd_look(struct simd_block block, uint8_t delimiter,
					     uint8_t quote)
{
	uint8_t quote_or_cr = 0;
	uint8_t other = 0;

	for (unsigned i = 0; i < 64; i++) {
		uint8_t byte = block.bytes[i];
		uint8_t is_end = (byte == '\n') | (byte == delimiter);
		uint8_t is_quote_or_cr = (byte == quote) | (byte == '\r');
		uint8_t is_other = (byte < 0x20) | (byte >= 0x80) | (byte == '"') | (byte == '\\');

		quote_or_cr |= is_quote_or_cr;
		other |= is_other & ((is_end | is_quote_or_cr) ^ 1);
	}
	return (struct simd_oddities){quote_or_cr != 0, other != 0};
}

/* One offset for each terminator; care and quoted are bits of some of them. */
static inline void simd_store_ends(uint32_t *ends, uint32_t base, uint64_t terminators,
				   uint64_t care, uint64_t quoted)
{
	if (LIKELY((care | quoted) == 0)) {
		for (; terminators != 0; terminators &= terminators - 1) {
			*ends++ = base + (uint32_t)__builtin_ctzll(terminators);
		}
		return;
	}
	for (; terminators != 0; terminators &= terminators - 1) {
		unsigned at = (unsigned)__builtin_ctzll(terminators);

		*ends++ = (base + at) | (uint32_t)(care >> at & 1) << 31 |
			  (uint32_t)(quoted >> at & 1) << 30;
	}
}

static inline void simd_copy(uint8_t *to, const uint8_t *from)
{
	memcpy(to, from, SIMD_COPY_BYTES);
}

static inline void simd_copy_long(uint8_t *to, const uint8_t *from)
{
	simd_copy(to, from);
}

/*
 * Copies from `from` on up to `end`, or to the first byte that is a control character, a quote, a
 * backslash or, unless passes_non_ascii, no ASCII. Returns how many; may read and write a block
 * beyond that.
 */
static inline size_t simd_put_clean_run(const uint8_t *from, const uint8_t *end, uint8_t quote,
					bool passes_non_ascii, uint8_t *out)
{
	uint64_t passes = passes_non_ascii ? BITS_HIGH : 0;
	const uint8_t *at = from;

	while (at < end) {
		uint64_t word = bits_load(at);
		uint64_t care = bits_mark_care(word, BITS_EACH(quote)) & ~(word & passes);

		memcpy(out + (at - from), at, sizeof(word));
		if (care != 0) {
			at += __builtin_ctzll(care) / 8;
			break;
		}
		at += sizeof(word);
	}
	return (size_t)(MIN(at, end) - from);
}

/* Without vectors, it is best to look at characters only where they are emitted. */
enum { SIMD_VALIDATES_UTF8 = 0 };

struct simd_utf8 {
	bool is_unused;
};

static inline void simd_utf8_init(struct simd_utf8 *utf8)
{
	utf8->is_unused = true;
}

static inline void simd_utf8_check(struct simd_utf8 *utf8, struct simd_block block,
				   uint64_t non_ascii)
{
	utf8->is_unused = true;
}

static inline bool simd_utf8_is_valid(const struct simd_utf8 *utf8)
{
	return false;
}
