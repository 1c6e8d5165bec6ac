/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/macro.h"
#include "daemon/sched/account.h"

/*
 * The account of a run that is on: `account` in its runtime directory, mapped by the supervisor
 * alone. Two places take turns, so that a kill at any instant leaves one of them whole. It lives in
 * the page cache: it outlasts the daemon, not the machine.
 */
struct account_pages {
	char *base; /* NULL: not open */
	size_t page_size;
	unsigned next; /* page to be written */
};

/* Makes the file, under another name until it is published. Returns 0 or -errno. */
int account_pages_create(int run_dir_fd, size_t n_lanes,
			 struct account_pages *ret_pages) MUST_CHECK;
/* The first account is written: replaces the file of a run before. Returns 0 or -errno. */
int account_pages_publish(int run_dir_fd) MUST_CHECK;
void account_pages_close(struct account_pages *pages);

/* account->sequence must have risen since the last time, by which the later one is told. */
void account_pages_write(struct account_pages *pages, const struct account *account);

/* What was written is true no more: both pages are torn. A later write makes one whole again. */
void account_pages_spoil(struct account_pages *pages);

/* The later whole one of the two. Returns 0; -EINVAL: none is whole; -errno. */
int account_pages_read(int run_dir_fd, struct account *ret_account) MUST_CHECK;
