/* SPDX-License-Identifier: MIT */
/*
 * read(2) and write(2) may do less than asked and be interrupted; the loops for that are here
 * and nowhere else. glibc has no openat2, so it is called by number.
 */
#include "common/util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util/buf.h"

enum { FD_READ_STEP = 65536 };

int fd_close(int fd)
{
	if (fd >= 0) {
		int saved_errno = errno;

		/* Linux closes it even on EINTR; to close again could hit another's new fd. */
		(void)close(fd);
		errno = saved_errno;
	}
	return -1;
}

void fd_closep(int *fd)
{
	fd_close(*fd);
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return -errno;
		}
		p += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

ssize_t fd_pread_full(int fd, void *ret_data, size_t n, off_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)ret_data + done, n - done, offset + (off_t)done);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return -errno;
		}
		if (got == 0) {
			break;
		}
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* Reads once, at most `limit` bytes; the count, 0 at the end, or -errno. */
static ssize_t fd_read_step(int fd, size_t limit, struct buf *buf)
{
	size_t step = MIN(limit, (size_t)FD_READ_STEP);
	ssize_t n;
	int r = buf_reserve(buf, step);

	if (r < 0) {
		return r;
	}
	do {
		n = read(fd, buf->data + buf->len, step);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return -errno;
	}
	buf->len += (size_t)n;
	return n;
}

int fd_read_all(int fd, size_t max_bytes, struct buf *buf)
{
	size_t old_len = buf->len;
	ssize_t n;

	do {
		size_t left = max_bytes - (buf->len - old_len);

		/* One byte beyond the limit is asked for, to tell "full" from "too much". */
		n = fd_read_step(fd, left == SIZE_MAX ? left : left + 1, buf);
		if (n > 0 && (size_t)n > left) {
			n = -EFBIG;
		}
	} while (n > 0);
	if (n < 0) {
		buf->len = old_len;
	}
	return (int)n;
}

int fd_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: something was renamed while `..` was being followed; openat2(2) says try again.
	 */
	do {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

int fd_memfd(const char *name, const void *data, size_t len)
{
	CLEANUP(fd_closep) int fd = memfd_create(name, MFD_CLOEXEC);
	int r;

	if (fd < 0) {
		return -errno;
	}
	r = fd_pwrite_all(fd, data, len, 0);
	if (r < 0) {
		return -ENOMEM; /* whatever it says: there is no disk behind it */
	}
	return TAKE_FD(fd);
}

int fd_set_cloexec(int fd, int on)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0) {
		return -errno;
	}
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}
