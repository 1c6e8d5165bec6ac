/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * 64-bit FNV-1a (draft-eastlake-fnv), to tell a torn or stale record from a whole one. It is no
 * protection against anyone who wants it to match.
 */
#define CHECKSUM_INIT UINT64_C(0xcbf29ce484222325)

/* Goes on from `checksum` with n_bytes more; begin with CHECKSUM_INIT. */
uint64_t checksum_add(uint64_t checksum, const void *bytes, size_t n_bytes);
