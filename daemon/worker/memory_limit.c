/* SPDX-License-Identifier: MIT */
/*
 * The supervisor measures a worker once a second, and in a second a worker can take gigabytes. So
 * the kernel holds it as well. What the kernel counts is asked for, not touched, and a row asks for
 * room as if each of its bytes were to become six: of ordinary rows a worker touches a third of
 * what it asks for, of long ones a fifth to a seventh (measured). Hence the factor; a smaller one
 * would refuse what the limit allows.
 *
 * RLIMIT_DATA, not RLIMIT_AS: it counts private writable memory, which is all that a worker takes
 * for itself (since Linux 4.7 with what mmap(2) gives malloc). RLIMIT_AS would count the chunk
 * table, which grows with the number of pipes, and the text of libraries. RLIMIT_RSS does nothing.
 */
#include "daemon/worker/memory_limit.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "common/util/log.h"

#define FACTOR 8

int memory_limit_set(uint64_t limit_bytes)
{
	struct rlimit limit = {.rlim_cur = limit_bytes * FACTOR, .rlim_max = limit_bytes * FACTOR};

#ifdef __SANITIZE_ADDRESS__
	/* Its shadow of all memory is private and writable, too: no limit would be large enough. */
	limit_bytes = 0;
#endif
	if (limit_bytes == 0 || limit_bytes > RLIM_INFINITY / FACTOR ||
	    setrlimit(RLIMIT_DATA, &limit) == 0) {
		return 0;
	}
	int r = -errno;

	log_error("convert: cannot limit the memory: %s", strerror(-r));
	return r;
}
