/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/*
 * futex(2) on memory that several processes share (never FUTEX_PRIVATE). A wake may come for no
 * reason: the caller reads its condition again, whatever is returned.
 */

/*
 * Sleeps while *word == expected, at most timeout_ns (negative: for ever). 0: woken, interrupted
 * by a signal, or the word differs; -ETIMEDOUT; -EINVAL or -EFAULT for a bad address.
 */
int futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);

/* Wakes at most n_waiters (INT_MAX: all). How many woke, or -errno. */
int futex_wake(const _Atomic uint32_t *word, int n_waiters);
