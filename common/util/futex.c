/* SPDX-License-Identifier: MIT */
/* glibc has no futex(2); the call is made by number, with the relative timeout of FUTEX_WAIT. */
#include "common/util/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/util/clock.h"

int futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	struct timespec timeout = {
		.tv_sec = timeout_ns / CLOCK_NS_PER_SEC,
		.tv_nsec = timeout_ns % CLOCK_NS_PER_SEC,
	};

	if (syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns < 0 ? NULL : &timeout, NULL,
		    0) == 0) {
		return 0;
	}
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int futex_wake(const _Atomic uint32_t *word, int n_waiters)
{
	long n = syscall(SYS_futex, word, FUTEX_WAKE, n_waiters, NULL, NULL, 0);

	return n < 0 ? -errno : (int)n;
}
