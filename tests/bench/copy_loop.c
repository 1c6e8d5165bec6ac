/* SPDX-License-Identifier: MIT */

/*
 * The reference of every throughput here: what it costs to move so many bytes through read(2) and
 * write(2), with nothing done to them, into a file that did not exist.
 *
 *	copy_loop [-s] FROM TO
 *
 * -s: fsync at the end. Prints bytes=, wall_ns= (from the first read to the last write) and
 *sync_ns=.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/macro.h"

#define BLOCK_BYTES (512 << 10)

/* Returns the number of bytes or -errno. */
static int64_t copy(int from, int to, char *block)
{
	int64_t n_bytes = 0;

	for (;;) {
		ssize_t n = read(from, block, BLOCK_BYTES);

		if (n <= 0) {
			return n == 0 ? n_bytes : -errno;
		}
		int r = fd_write_all(to, block, (size_t)n);
		if (r < 0) {
			return r;
		}
		n_bytes += n;
	}
}

static int run(int from, int to, int is_synced)
{
	CLEANUP(free_p) char *block = aligned_alloc(4096, BLOCK_BYTES);

	if (block == NULL) {
		return -ENOMEM;
	}
	/* Both sides start with memory of their own: the workers reuse theirs as well. */
	memset(block, 1, BLOCK_BYTES);
	int64_t start_ns = clock_monotonic_ns();
	int64_t n_bytes = copy(from, to, block);
	int64_t written_ns = clock_monotonic_ns();
	if (n_bytes < 0) {
		return (int)n_bytes;
	}
	if (is_synced && fsync(to) < 0) {
		return -errno;
	}
	printf("bytes=%" PRId64 " wall_ns=%" PRId64 " sync_ns=%" PRId64 "\n", n_bytes,
	       written_ns - start_ns, clock_monotonic_ns() - written_ns);
	return 0;
}

int main(int argc, char **argv)
{
	int is_synced = argc > 1 && strcmp(argv[1], "-s") == 0;

	if (argc != 3 + is_synced) {
		fprintf(stderr, "usage: copy_loop [-s] FROM TO\n");
		return 2;
	}
	CLEANUP(fd_closep) int from = open(argv[1 + is_synced], O_RDONLY | O_CLOEXEC);
	CLEANUP(fd_closep)
	int to = open(argv[2 + is_synced], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	int r = from < 0 || to < 0 ? -errno : run(from, to, is_synced);

	if (r < 0) {
		fprintf(stderr, "copy_loop: %s\n", strerror(-r));
	}
	return r < 0;
}
