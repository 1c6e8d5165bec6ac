/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/util/macro.h"

struct buf;

/* Closes (if not negative), keeps errno, gives -1: `fd = fd_close(fd);` */
int fd_close(int fd);

/* For CLEANUP: `CLEANUP(fd_closep) int fd = -1;` */
void fd_closep(int *fd);

/* All bytes or -errno (how many went out before an error is unknown). EINTR is retried. */
int fd_write_all(int fd, const void *data, size_t len) MUST_CHECK;
int fd_pwrite_all(int fd, const void *data, size_t len, off_t offset) MUST_CHECK;

/* Reads n bytes, fewer only at the end of the file. The count or -errno. */
ssize_t fd_pread_full(int fd, void *ret_data, size_t n, off_t offset) MUST_CHECK;

/*
 * Adds everything up to the end of the file to the buf, of which it takes at most max_bytes:
 * -EFBIG if there is more; -ENOMEM, or -errno of read(2). On failure the buf's bytes are as before.
 */
int fd_read_all(int fd, size_t max_bytes, struct buf *buf) MUST_CHECK;

/*
 * Opens a path that can lead nowhere outside dirfd: openat2(2) with RESOLVE_BENEATH,
 * NO_SYMLINKS and NO_MAGICLINKS; O_CLOEXEC is added. A new fd or -errno: -EXDEV for an
 * absolute path or `..` that leaves, -ELOOP for a symbolic link anywhere in the path.
 */
int fd_open_beneath(int dirfd, const char *path, int flags, mode_t mode) MUST_CHECK;

/* A memfd (CLOEXEC) that holds the bytes, its position at the start. A new fd, -ENOMEM or -errno.
 */
int fd_memfd(const char *name, const void *data, size_t len) MUST_CHECK;

/* Sets or clears FD_CLOEXEC; cleared only for what a child is to inherit. */
int fd_set_cloexec(int fd, int on) MUST_CHECK;
