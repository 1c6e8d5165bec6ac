/* SPDX-License-Identifier: MIT */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A folder for one test: `CLEANUP(tmpdir_deinit) struct tmpdir tmp; tmpdir_init(&tmp);` It is
 * removed with all that is in it, unless the test fails first.
 */
struct tmpdir {
	char path[64];
	int fd;
};

static inline void tmpdir_init(struct tmpdir *tmp)
{
	snprintf(tmp->path, sizeof(tmp->path), "/tmp/zooparallel-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tmp->path));
	tmp->fd = open(tmp->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(tmp->fd, 0);
}

static inline int tmpdir_remove_one(const char *path, const struct stat *st, int type,
				    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void tmpdir_deinit(struct tmpdir *tmp)
{
	close(tmp->fd);
	(void)nftw(tmp->path, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
