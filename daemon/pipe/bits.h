/* SPDX-License-Identifier: MIT */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

#ifdef __PCLMUL__
#include <immintrin.h>
#endif

/*
 * Eight bytes at a time in a 64-bit word (the lowest byte comes first), and 64-bit masks with one
 * bit for each byte of a block of 64. A "mark" is a word with 0x80 in the bytes that are meant and
 * 0 in the others. All tests are exact for every byte: no carry runs from one into the next.
 */
#define BITS_EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))
#define BITS_HIGH	BITS_EACH(0x80)
#define BITS_LOW	BITS_EACH(0x7f)

static inline uint64_t bits_load(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* Marks the bytes that equal those of pattern (one byte repeated). */
static inline uint64_t bits_mark_equal(uint64_t word, uint64_t pattern)
{
	uint64_t differing = word ^ pattern;

	return ~(((differing & BITS_LOW) + BITS_LOW) | differing) & BITS_HIGH;
}

/* Marks control characters (below 0x20) and what is not ASCII. */
static inline uint64_t bits_mark_unprintable(uint64_t word)
{
	return (~((word & BITS_LOW) + BITS_EACH(0x60)) | word) & BITS_HIGH;
}

/* Marks what a JSON string cannot take as it is without a second look, and the quote. */
static inline uint64_t bits_mark_care(uint64_t word, uint64_t quote_pattern)
{
	return bits_mark_unprintable(word) | bits_mark_equal(word, BITS_EACH('"')) |
	       bits_mark_equal(word, BITS_EACH('\\')) | bits_mark_equal(word, quote_pattern);
}

/* One bit for each byte: the product brings bit 7 of byte i to bit 56 + i, and no two collide. */
static inline uint64_t bits_gather(uint64_t mark)
{
	return (mark * UINT64_C(0x0002040810204081)) >> 56;
}

/* Bit i of the result: the parity of bits 0 to i. */
static inline uint64_t bits_prefix_xor(uint64_t mask)
{
#ifdef __PCLMUL__
	/* A product without carries, by all ones, adds up (that is: xors) what lies below. */
	__m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)mask), _mm_set1_epi8(-1),
					       0);

	return (uint64_t)_mm_cvtsi128_si64(product);
#else
	mask ^= mask << 1;
	mask ^= mask << 2;
	mask ^= mask << 4;
	mask ^= mask << 8;
	mask ^= mask << 16;
	return mask ^ mask << 32;
#endif
}

static inline unsigned bits_count(uint64_t mask)
{
#ifdef __POPCNT__
	return (unsigned)__builtin_popcountll(mask);
#else
	/* The popcnt instruction is not in every amd64; the compiler's stand-in is a call. */
	mask -= mask >> 1 & BITS_EACH(0x55);
	mask = (mask & BITS_EACH(0x33)) + (mask >> 2 & BITS_EACH(0x33));
	mask = (mask + (mask >> 4)) & BITS_EACH(0x0f);
	return (unsigned)((mask * BITS_EACH(1)) >> 56);
#endif
}

/* The n lowest bits, n at most 64. */
static inline uint64_t bits_below(size_t n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* How many of bytes[0..len) equal `byte`. */
static inline uint64_t bits_count_byte(const uint8_t *bytes, size_t len, uint8_t byte)
{
	enum { BLOCK = 240 }; /* a block's number fits into a byte: that makes good vector code */
	uint64_t n = 0;

	for (; len >= BLOCK; bytes += BLOCK, len -= BLOCK) {
		uint8_t n_in_block = 0;

		for (size_t i = 0; i < BLOCK; i++) {
			n_in_block += bytes[i] == byte;
		}
		n += n_in_block;
	}
	for (size_t i = 0; i < len; i++) {
		n += bytes[i] == byte;
	}
	return n;
}
