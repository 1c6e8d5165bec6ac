/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lets a storage process die at an exact point: before or after it has carried out its nth request,
 * in both cases before it has answered that. It is this program's own send(2), which stands before
 * the C library's: the process answers by nothing else. Only the first process dies.
 */
#include "tests/support/storage_fixture.h"

#include <sys/socket.h>

#define KILLER_ENV	"ZOOPARALLEL_TEST_KILL" /* n */
#define KILLER_ENV_LATE "ZOOPARALLEL_TEST_KILL_LATE"
#define KILLER_ENV_MARK "ZOOPARALLEL_TEST_KILL_MARK" /* a file that the first one removes */

static inline bool killer_is_due(uint64_t n_sent)
{
	uint64_t n = 0;
	const char *mark = getenv(KILLER_ENV_MARK);
	const char *text = getenv(KILLER_ENV);
	return text && mark && num_parse_u64(text, &n) == 0 && n == n_sent &&
	       unlinkat(AT_FDCWD, mark, 0) == 0;
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	static uint64_t n_sent;
	if (getenv(KILLER_ENV_LATE) && killer_is_due(n_sent + 1)) {
		raise(SIGKILL);
	}
	ssize_t n = sendto(fd, data, len, flags, NULL, 0);
	n_sent++;
	if (!getenv(KILLER_ENV_LATE) && killer_is_due(n_sent + 1)) {
		raise(SIGKILL);
	}
	return n;
}

/* The next storage process dies at its nth request (from 1 on; from 2 on if not late). */
static inline void killer_arm(unsigned n, bool is_late)
{
	char text[16], mark[64];
	snprintf(text, sizeof(text), "%u", n);
	snprintf(mark, sizeof(mark), "%s/mark", fixture.tree.path);
	make_file(fixture.dir_fd, "mark", "");
	setenv(KILLER_ENV, text, 1);
	setenv(KILLER_ENV_MARK, mark, 1);
	if (is_late) {
		setenv(KILLER_ENV_LATE, "1", 1);
	} else {
		unsetenv(KILLER_ENV_LATE);
	}
}

/* Whether it has died. */
static inline bool killer_has_struck(void)
{
	return !file_exists(fixture.dir_fd, "mark");
}
