/* SPDX-License-Identifier: MIT */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/pipe/simd_utf8.h"

/* simd.h in 32-byte vectors: a block is two of them. */
enum { SIMD_COPY_BYTES = 32, SIMD_LONG_BYTES = 32, SIMD_COUNTS_BY_MASK = 1 };

struct simd_block {
	__m256i low, high;
};

struct simd_oddities {
	bool has_quote_or_cr;
	bool has_other;
};

static inline struct simd_block simd_load(const uint8_t *bytes)
{
	return (struct simd_block){
		.low = _mm256_loadu_si256((const __m256i *)(const void *)bytes),
		.high = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + 32)),
	};
}

/* The top bit of each byte. */
static inline uint64_t simd_top_bits(__m256i low, __m256i high)
{
	return (uint64_t)(uint32_t)_mm256_movemask_epi8(low) |
	       (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline uint64_t simd_equal(struct simd_block block, uint8_t byte)
{
	__m256i wanted = _mm256_set1_epi8((char)byte);

	return simd_top_bits(_mm256_cmpeq_epi8(block.low, wanted),
			     _mm256_cmpeq_epi8(block.high, wanted));
}

static inline __m256i simd_escaped_half(__m256i half)
{
	__m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(half, _mm256_set1_epi8(0x1f)), half);
	__m256i mark = _mm256_cmpeq_epi8(half, _mm256_set1_epi8('"'));
	__m256i backslash = _mm256_cmpeq_epi8(half, _mm256_set1_epi8('\\'));

	return _mm256_or_si256(_mm256_or_si256(mark, backslash), control);
}

/* What a JSON string has to escape: control characters, quotation mark, backslash. */
static inline uint64_t simd_escaped(struct simd_block block)
{
	return simd_top_bits(simd_escaped_half(block.low), simd_escaped_half(block.high));
}

static inline uint64_t simd_non_ascii(struct simd_block block)
{
	return simd_top_bits(block.low, block.high);
}

/* A mask costs no more than a look. */
static inline struct simd_oddities simd_look(struct simd_block block, uint8_t delimiter,
					     uint8_t quote)
{
	return (struct simd_oddities){true, true};
}

/*
 * One offset for each terminator; care and quoted are bits of some of them. Eight at a time, as
 * many as there mostly are, and without a question which of them are there: a wrong prediction
 * costs more than all eight. Writes up to 64 entries, of which the caller takes what it counts.
 */
static inline void simd_store_ends(uint32_t *ends, uint32_t base, uint64_t terminators,
				   uint64_t care, uint64_t quoted)
{
	uint64_t left = terminators;

	for (uint32_t *end = ends;; end += 8) {
		for (unsigned i = 0; i < 8; i++) {
			end[i] = base + (uint32_t)_tzcnt_u64(left);
			left = _blsr_u64(left);
		}
		if (LIKELY(left == 0)) {
			break;
		}
	}
	if (LIKELY((care | quoted) == 0)) {
		return;
	}
	for (; terminators != 0; terminators = _blsr_u64(terminators)) {
		unsigned at = (unsigned)_tzcnt_u64(terminators);

		*ends++ |= (uint32_t)(care >> at & 1) << 31 | (uint32_t)(quoted >> at & 1) << 30;
	}
}

static inline void simd_copy(uint8_t *to, const uint8_t *from)
{
	_mm256_storeu_si256((__m256i *)(void *)to,
			    _mm256_loadu_si256((const __m256i *)(const void *)from));
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
	__m256i stops = passes_non_ascii ? _mm256_setzero_si256() : _mm256_set1_epi8(-1);
	const uint8_t *at = from;

	while (at < end) {
		__m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)at);
		__m256i care = _mm256_or_si256(
			simd_escaped_half(bytes),
			_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8((char)quote)));
		uint32_t mask = (uint32_t)_mm256_movemask_epi8(
			_mm256_or_si256(care, _mm256_and_si256(bytes, stops)));

		_mm256_storeu_si256((__m256i *)(void *)(out + (at - from)), bytes);
		if (mask != 0) {
			at += _tzcnt_u32(mask);
			break;
		}
		at += 32;
	}
	return (size_t)((at < end ? at : end) - from);
}

static inline void simd_utf8_check(struct simd_utf8 *utf8, struct simd_block block,
				   uint64_t non_ascii)
{
	if (simd_utf8_needs_look(utf8, non_ascii)) {
		simd_utf8_add(utf8, block.low);
		simd_utf8_add(utf8, block.high);
	}
}
