/* SPDX-License-Identifier: MIT */

/*
 * Makes the machine as warm as it can be for the next run, whoever runs it: reads the files, so
 * that they are in the page cache, and takes, touches and gives back memory. On a virtual machine
 * free memory may have gone back to the host, and a page that has to be fetched from there costs
 * ten times a page that is just written to; without this, runs differ by whose memory is cold.
 *
 *	warm BYTES FILE...
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/macro.h"
#include "common/util/num.h"

#define BLOCK_BYTES (512 << 10)
#define PAGE_BYTES  4096

static int read_through(const char *path, char *block)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0) {
		n = read(fd, block, BLOCK_BYTES);
	}
	return n < 0 ? -errno : 0;
}

static int touch_memory(size_t n_bytes)
{
	char *memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);

	if (memory == MAP_FAILED) {
		return -errno;
	}
	madvise(memory, n_bytes, MADV_HUGEPAGE);
	for (size_t at = 0; at < n_bytes; at += PAGE_BYTES) {
		*(volatile char *)(memory + at) = 1;
	}
	return munmap(memory, n_bytes) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	CLEANUP(free_p) char *block = malloc(BLOCK_BYTES);
	uint64_t n_bytes = 0;

	if (argc < 2 || num_parse_u64(argv[1], &n_bytes) < 0) {
		fprintf(stderr, "usage: warm BYTES FILE...\n");
		return 2;
	}
	int r = block == NULL ? -ENOMEM : touch_memory((size_t)n_bytes + PAGE_BYTES);
	for (int i = 2; r == 0 && i < argc; i++) {
		r = read_through(argv[i], block);
	}
	if (r < 0) {
		fprintf(stderr, "warm: %s\n", strerror(-r));
	}
	return r < 0;
}
