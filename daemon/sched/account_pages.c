/* SPDX-License-Identifier: MIT */
/*
 * No order of stores has to be kept: a place that was half written when the daemon was killed fails
 * its checksum, and the other one holds the account before. The file is made under another name, so
 * that a kill while it is made leaves the one before.
 */
#include "daemon/sched/account_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util/fd.h"

#define PAGES_NAME	"account"
#define PAGES_NEW_NAME	"account.new"
#define N_PAGES		2
#define PAGES_MAX_BYTES (1u << 20) /* 64 lanes take an eighth of it */

static int make_file(int run_dir_fd, size_t size_bytes)
{
	if (unlinkat(run_dir_fd, PAGES_NEW_NAME, 0) < 0 && errno != ENOENT) {
		return -errno;
	}
	CLEANUP(fd_closep)
	int fd = openat(run_dir_fd, PAGES_NEW_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		return -errno;
	}
	int error = posix_fallocate(fd, 0, (off_t)size_bytes);
	return error != 0 ? -error : TAKE_FD(fd);
}

int account_pages_create(int run_dir_fd, size_t n_lanes, struct account_pages *ret_pages)
{
	size_t page_size = account_size(n_lanes);
	CLEANUP(fd_closep) int fd = make_file(run_dir_fd, N_PAGES * page_size);

	if (fd < 0) {
		return fd;
	}
	char *base = mmap(NULL, N_PAGES * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		return -errno;
	}
	*ret_pages = (struct account_pages){.base = base, .page_size = page_size};
	return 0;
}

int account_pages_publish(int run_dir_fd)
{
	return renameat(run_dir_fd, PAGES_NEW_NAME, run_dir_fd, PAGES_NAME) < 0 ? -errno : 0;
}

void account_pages_close(struct account_pages *pages)
{
	if (pages->base != NULL) {
		munmap(pages->base, N_PAGES * pages->page_size);
	}
	*pages = (struct account_pages){0};
}

void account_pages_write(struct account_pages *pages, const struct account *account)
{
	account_encode(account, pages->base + pages->next * pages->page_size);
	pages->next = (pages->next + 1) % N_PAGES;
}

void account_pages_spoil(struct account_pages *pages)
{
	if (pages->base != NULL) {
		memset(pages->base, 0, N_PAGES * pages->page_size);
	}
}

/* Both are tried, wherever a file of this length has them. */
static int read_newest(const char *data, size_t len, struct account *ret_account)
{
	struct account newest = {0};

	for (size_t i = 0; i < N_PAGES; i++) {
		int r = account_keep_newest(&newest, data + i * (len / N_PAGES), len / N_PAGES);

		if (r < 0) {
			return r;
		}
	}
	if (newest.owned == NULL) {
		return -EINVAL;
	}
	*ret_account = newest;
	return 0;
}

int account_pages_read(int run_dir_fd, struct account *ret_account)
{
	CLEANUP(fd_closep)
	int fd = openat(run_dir_fd, PAGES_NAME, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(buf_deinit) struct buf data = BUF_INIT;

	if (fd < 0) {
		return -errno;
	}
	int r = fd_read_all(fd, PAGES_MAX_BYTES, &data);
	if (r < 0) {
		return r;
	}
	return read_newest(data.data != NULL ? data.data : "", data.len, ret_account);
}
