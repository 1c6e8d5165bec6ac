/* SPDX-License-Identifier: MIT */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/pipe/simd_utf8.h"

/* simd.h in 64-byte vectors: a comparison gives its mask at once. */
enum { SIMD_COPY_BYTES = 32, SIMD_LONG_BYTES = 64, SIMD_COUNTS_BY_MASK = 1 };

struct simd_block {
	__m512i bytes;
};

struct simd_oddities {
	bool has_quote_or_cr;
	bool has_other;
};

static inline struct simd_block simd_load(const uint8_t *bytes)
{
	return (struct simd_block){_mm512_loadu_si512(bytes)};
}

static inline uint64_t simd_equal(struct simd_block block, uint8_t byte)
{
	return _mm512_cmpeq_epi8_mask(block.bytes, _mm512_set1_epi8((char)byte));
}

/* What a JSON string has to escape: control characters, quotation mark, backslash. */
static inline uint64_t simd_escaped(struct simd_block block)
{
	return _mm512_cmplt_epu8_mask(block.bytes, _mm512_set1_epi8(0x20)) |
	       simd_equal(block, '"') | simd_equal(block, '\\');
}

static inline uint64_t simd_non_ascii(struct simd_block block)
{
	return _mm512_movepi8_mask(block.bytes);
}

/* A mask costs no more than a look. */
static inline struct simd_oddities simd_look(struct simd_block block, uint8_t delimiter,
					     uint8_t quote)
{
	return (struct simd_oddities){true, true};
}

/* Sixteen ends: their places in the block as bytes, widened and moved to the batch's offsets. */
static inline void simd_store_16(uint32_t *ends, uint32_t base, __m128i places, uint32_t care,
				 uint32_t quoted)
{
	__m512i offsets = _mm512_add_epi32(_mm512_cvtepu8_epi32(places),
					   _mm512_set1_epi32((int)base));

	offsets = _mm512_mask_or_epi32(offsets, (__mmask16)care, offsets,
				       _mm512_set1_epi32((int)(UINT32_C(1) << 31)));
	offsets = _mm512_mask_or_epi32(offsets, (__mmask16)quoted, offsets,
				       _mm512_set1_epi32(1 << 30));
	_mm512_storeu_si512(ends, offsets);
}

/*
 * One offset for each terminator; care and quoted are bits of some of them. Compressing the
 * numbers 0 to 63 by the mask gives the places of its bits, in order and without a loop over
 * them. Writes up to 64 entries, of which the caller takes what it counts.
 */
static inline void simd_store_ends(uint32_t *ends, uint32_t base, uint64_t terminators,
				   uint64_t care, uint64_t quoted)
{
	static const uint8_t numbers[64] __attribute__((aligned(64))) = {
		0,  1,	2,  3,	4,  5,	6,  7,	8,  9,	10, 11, 12, 13, 14, 15,
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
		32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
		48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
	};
	__m512i places = _mm512_maskz_compress_epi8(terminators, _mm512_load_si512(numbers));
	uint64_t n = (uint64_t)_mm_popcnt_u64(terminators);

	if (UNLIKELY(care != 0)) {
		care = _pext_u64(care, terminators);
	}
	if (UNLIKELY(quoted != 0)) {
		quoted = _pext_u64(quoted, terminators);
	}
	simd_store_16(ends, base, _mm512_castsi512_si128(places), (uint32_t)care, (uint32_t)quoted);
	if (LIKELY(n <= 16)) {
		return;
	}
	simd_store_16(ends + 16, base, _mm512_extracti32x4_epi32(places, 1), (uint32_t)(care >> 16),
		      (uint32_t)(quoted >> 16));
	if (LIKELY(n <= 32)) {
		return;
	}
	simd_store_16(ends + 32, base, _mm512_extracti32x4_epi32(places, 2), (uint32_t)(care >> 32),
		      (uint32_t)(quoted >> 32));
	simd_store_16(ends + 48, base, _mm512_extracti32x4_epi32(places, 3), (uint32_t)(care >> 48),
		      (uint32_t)(quoted >> 48));
}

static inline void simd_copy(uint8_t *to, const uint8_t *from)
{
	_mm256_storeu_si256((__m256i *)(void *)to,
			    _mm256_loadu_si256((const __m256i *)(const void *)from));
}

static inline void simd_copy_long(uint8_t *to, const uint8_t *from)
{
	_mm512_storeu_si512(to, _mm512_loadu_si512(from));
}

/*
 * Copies from `from` on up to `end`, or to the first byte that is a control character, a quote, a
 * backslash or, unless passes_non_ascii, no ASCII. Returns how many; may read and write a block
 * beyond that.
 */
static inline size_t simd_put_clean_run(const uint8_t *from, const uint8_t *end, uint8_t quote,
					bool passes_non_ascii, uint8_t *out)
{
	uint64_t stops = passes_non_ascii ? 0 : UINT64_MAX;
	const uint8_t *at = from;

	while (at < end) {
		struct simd_block block = simd_load(at);
		uint64_t mask = simd_escaped(block) | simd_equal(block, quote) |
				(simd_non_ascii(block) & stops);

		_mm512_storeu_si512(out + (at - from), block.bytes);
		if (mask != 0) {
			at += _tzcnt_u64(mask);
			break;
		}
		at += 64;
	}
	return (size_t)((at < end ? at : end) - from);
}

static inline void simd_utf8_check(struct simd_utf8 *utf8, struct simd_block block,
				   uint64_t non_ascii)
{
	if (simd_utf8_needs_look(utf8, non_ascii)) {
		simd_utf8_add(utf8, _mm512_castsi512_si256(block.bytes));
		simd_utf8_add(utf8, _mm512_extracti64x4_epi64(block.bytes, 1));
	}
}
