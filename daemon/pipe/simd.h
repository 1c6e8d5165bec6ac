/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the scanner's inner loops ask of the processor, in the instruction set that the file is
 * compiled for. The three headers offer the same:
 *
 *	struct simd_block		64 bytes
 *	simd_load, simd_equal, simd_escaped, simd_non_ascii
 *					a block; one bit for each of its bytes that is so
 *	simd_look			what a block has at all, where a mask costs much
 *	simd_store_ends			a mask becomes offsets with flags
 *	simd_copy, simd_copy_long	SIMD_COPY_BYTES and SIMD_LONG_BYTES bytes: what is best for
 *					short fields, and for what is left of long ones
 *	simd_put_clean_run		a copy up to the first byte that JSON escapes
 *	struct simd_utf8, simd_utf8_*	validation, where it is cheaper than looking at characters
 *
 * Only csv_kernel.c is compiled for more than the plain machine. Whatever else includes this gets
 * the portable version.
 */
#if defined(__AVX512VBMI2__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__BMI2__)
#include "daemon/pipe/simd_avx512.h"
#elif defined(__AVX2__) && defined(__BMI__)
#include "daemon/pipe/simd_avx2.h"
#else
#include "daemon/pipe/simd_portable.h"
#endif
