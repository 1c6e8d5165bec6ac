/* SPDX-License-Identifier: MIT */
#include "common/util/futex.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "tests/support/unit.h"

static _Atomic uint32_t *share_words(void)
{
	void *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(words, MAP_FAILED);
	return words;
}

START_TEST(another_value_does_not_wait)
{
	_Atomic uint32_t word = 1;

	ck_assert_int_eq(futex_wait(&word, 0, -1), 0);
}
END_TEST

START_TEST(a_wait_ends_at_its_timeout)
{
	_Atomic uint32_t word = 0;
	int64_t start = clock_monotonic_ns(), waited;

	ck_assert_int_eq(futex_wait(&word, 0, 20 * CLOCK_NS_PER_MS), -ETIMEDOUT);
	waited = clock_monotonic_ns() - start;
	ck_assert_int_ge(waited, 20 * CLOCK_NS_PER_MS);
	ck_assert_int_lt(waited, 10 * CLOCK_NS_PER_SEC);
	ck_assert_int_eq(futex_wait(&word, 0, 0), -ETIMEDOUT);
}
END_TEST

START_TEST(a_bad_address_is_an_error)
{
	ck_assert_int_eq(futex_wait(NULL, 0, 0), -EFAULT);
	ck_assert_int_eq(futex_wake(NULL, 1), -EFAULT);
}
END_TEST

/* A private futex would never hear of a wake from another process: only the timeout would end it.
 */
START_TEST(a_wake_reaches_other_processes)
{
	_Atomic uint32_t *words = share_words(), *word = &words[0], *n_ready = &words[1];
	int status;

	for (int i = 0; i < 2; i++) {
		if (fork() == 0) {
			atomic_fetch_add(n_ready, 1);
			while (atomic_load(word) == 0) {
				if (futex_wait(word, 0, 30 * CLOCK_NS_PER_SEC) < 0) {
					_exit(1);
				}
			}
			_exit(0);
		}
	}
	while (atomic_load(n_ready) < 2) {
		sched_yield();
	}
	atomic_store(word, 1);
	ck_assert_int_ge(futex_wake(word, INT_MAX), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(futex_wake(word, INT_MAX), 0);
	munmap(words, 4096);
}
END_TEST

UNIT_MAIN(another_value_does_not_wait, a_wait_ends_at_its_timeout, a_bad_address_is_an_error,
	  a_wake_reaches_other_processes)
