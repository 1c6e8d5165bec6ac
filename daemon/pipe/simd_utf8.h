/* SPDX-License-Identifier: MIT */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/util/macro.h"

/*
 * Whether a run of bytes is well-formed UTF-8, 32 bytes at a time. The method is that of J. Keiser
 * and D. Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte", Software: Practice and
 * Experience 51 (2021):
 *
 * Every error that two bytes in a row can show (all but a missing third or fourth byte and one
 * too many) is a matter of the first byte's two halves and the second byte's upper half. Each half
 * looks up a set of errors that it allows, and what all three allow is there. Continuation bytes
 * in a row are no error of theirs if the byte two or three before asks for them, which a
 * saturating subtraction tells.
 *
 * It says whether, not where: the careful path finds the place.
 */
enum { SIMD_VALIDATES_UTF8 = 1 };

struct simd_utf8 {
	__m256i before; /* the 32 bytes before */
	__m256i errors;
	bool is_open; /* what is before may want more bytes */
};

/* The errors, a bit each. */
enum {
	UTF8_TOO_SHORT = 1 << 0,  /* a lead byte without a continuation */
	UTF8_TOO_LONG = 1 << 1,	  /* a continuation behind ASCII */
	UTF8_OVERLONG_3 = 1 << 2, /* e0 80 to e0 9f */
	UTF8_TOO_LARGE = 1 << 3,  /* f4 90 and above, f5 to ff with 90 and above */
	UTF8_SURROGATE = 1 << 4,  /* ed a0 and above */
	UTF8_OVERLONG_2 = 1 << 5, /* c0 and c1 */
	UTF8_OVERLONG_4 = 1 << 6, /* f0 80 to f0 8f; and f5 to ff with 80 to 8f */
	UTF8_TWO_CONTS = 1 << 7,  /* two continuations: an error unless they are asked for */
	UTF8_OF_ANY_LOW = UTF8_TOO_SHORT | UTF8_TOO_LONG | UTF8_TWO_CONTS,
};

/* A table of 16 in both halves of a vector, as the shuffle wants it. */
#define UTF8_TABLE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))

/* The byte n places before each. */
#define UTF8_BEFORE(bytes, crossing, n) _mm256_alignr_epi8(bytes, crossing, 16 - (n))

static inline __m256i utf8_upper_halves(__m256i bytes)
{
	return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
}

/* Errors of each byte with the one before it. */
static inline __m256i utf8_pair_errors(__m256i bytes, __m256i before_1)
{
	const char conts = (char)UTF8_TWO_CONTS;
	const char any = (char)UTF8_OF_ANY_LOW;
	const char too_large = (char)(any | UTF8_TOO_LARGE);
	const char beyond = (char)(any | UTF8_TOO_LARGE | UTF8_OVERLONG_4);
	const char second = (char)(UTF8_TOO_LONG | UTF8_OVERLONG_2 | UTF8_TWO_CONTS);

	/* First byte, upper half: 0 to 7 ASCII, 8 to b continuation, c to f lead of 2, 2, 3, 4. */
	__m256i first_upper = UTF8_TABLE(UTF8_TOO_LONG, UTF8_TOO_LONG, UTF8_TOO_LONG, UTF8_TOO_LONG,
					 UTF8_TOO_LONG, UTF8_TOO_LONG, UTF8_TOO_LONG, UTF8_TOO_LONG,
					 conts, conts, conts, conts,
					 UTF8_TOO_SHORT | UTF8_OVERLONG_2, UTF8_TOO_SHORT,
					 UTF8_TOO_SHORT | UTF8_OVERLONG_3 | UTF8_SURROGATE,
					 UTF8_TOO_SHORT | UTF8_TOO_LARGE | UTF8_OVERLONG_4);
	__m256i first_lower = UTF8_TABLE(
		(char)(any | UTF8_OVERLONG_2 | UTF8_OVERLONG_3 | UTF8_OVERLONG_4),
		(char)(any | UTF8_OVERLONG_2), any, any, too_large, beyond, beyond, beyond, beyond,
		beyond, beyond, beyond, beyond, (char)(beyond | UTF8_SURROGATE), beyond, beyond);
	__m256i second_upper = UTF8_TABLE(
		UTF8_TOO_SHORT, UTF8_TOO_SHORT, UTF8_TOO_SHORT, UTF8_TOO_SHORT, UTF8_TOO_SHORT,
		UTF8_TOO_SHORT, UTF8_TOO_SHORT, UTF8_TOO_SHORT,
		(char)(second | UTF8_OVERLONG_3 | UTF8_OVERLONG_4),
		(char)(second | UTF8_OVERLONG_3 | UTF8_TOO_LARGE),
		(char)(second | UTF8_SURROGATE | UTF8_TOO_LARGE),
		(char)(second | UTF8_SURROGATE | UTF8_TOO_LARGE), UTF8_TOO_SHORT, UTF8_TOO_SHORT,
		UTF8_TOO_SHORT, UTF8_TOO_SHORT);
	__m256i low_half = _mm256_and_si256(before_1, _mm256_set1_epi8(0x0f));

	return _mm256_and_si256(
		_mm256_and_si256(_mm256_shuffle_epi8(first_upper, utf8_upper_halves(before_1)),
				 _mm256_shuffle_epi8(first_lower, low_half)),
		_mm256_shuffle_epi8(second_upper, utf8_upper_halves(bytes)));
}

static inline void simd_utf8_init(struct simd_utf8 *utf8)
{
	*utf8 = (struct simd_utf8){
		.before = _mm256_setzero_si256(),
		.errors = _mm256_setzero_si256(),
	};
}

static inline void simd_utf8_add(struct simd_utf8 *utf8, __m256i bytes)
{
	/* The shift below works in halves of 16 bytes: what goes into each from the left. */
	__m256i crossing = _mm256_permute2x128_si256(utf8->before, bytes, 0x21);
	__m256i pair_errors = utf8_pair_errors(bytes, UTF8_BEFORE(bytes, crossing, 1));
	/* Top bit: the byte must be the third of its character, or the third or fourth. */
	__m256i third = _mm256_subs_epu8(UTF8_BEFORE(bytes, crossing, 2),
					 _mm256_set1_epi8((char)(0xe0 - 0x80)));
	__m256i fourth = _mm256_subs_epu8(UTF8_BEFORE(bytes, crossing, 3),
					  _mm256_set1_epi8((char)(0xf0 - 0x80)));
	__m256i wanted = _mm256_and_si256(_mm256_or_si256(third, fourth),
					  _mm256_set1_epi8((char)UTF8_TWO_CONTS));

	utf8->errors = _mm256_or_si256(utf8->errors, _mm256_xor_si256(wanted, pair_errors));
	utf8->before = bytes;
}

/* Whether the block has to be added: blocks of ASCII between others of ASCII need not. */
static inline bool simd_utf8_needs_look(struct simd_utf8 *utf8, uint64_t non_ascii)
{
	bool was_open = utf8->is_open;

	/* One block of ASCII behind others is added too: it shows what was cut short. */
	utf8->is_open = non_ascii != 0;
	if (LIKELY((non_ascii == 0) & !was_open)) {
		return false;
	}
	return true;
}

/* Of all that was added; a character that its end cuts is not held against it. */
static inline bool simd_utf8_is_valid(const struct simd_utf8 *utf8)
{
	return _mm256_testz_si256(utf8->errors, utf8->errors) != 0;
}
