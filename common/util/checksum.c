/* SPDX-License-Identifier: MIT */
/*
 * A byte at a time, which gives a gigabyte in a second: enough for records of kilobytes, and a plan
 * of many files is read once.
 */
#include "common/util/checksum.h"

#define FNV_PRIME UINT64_C(0x100000001b3)

uint64_t checksum_add(uint64_t checksum, const void *bytes, size_t n_bytes)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < n_bytes; i++) {
		checksum = (checksum ^ at[i]) * FNV_PRIME;
	}
	return checksum;
}
