/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/sched/fold.h"
#include "daemon/sched/worker_end.h"

/*
 * All that a new daemon needs to go on with a job: how far the rows of each pipe are taken over,
 * and of which plan, which files and which build that is told. Saved in two places: in the runtime
 * directory with every fold (account_pages.h), and durably every few seconds (checkpoint.h).
 */
enum { ACCOUNT_BOOT_ID_SIZE = 40 };

struct account {
	uint64_t sequence; /* a later one is truer */
	uint64_t build_id; /* of the workers that made the rows */
	char boot_id[ACCOUNT_BOOT_ID_SIZE];
	uint64_t plan_checksum;	      /* of plan.json in the runtime directory */
	uint64_t saved_plan_checksum; /* of the one in the state directory, if it is there */
	int64_t started_at_ns;	      /* realtime: the job's first start */
	struct worker_tally tally;
	struct fold_state held; /* the most that the runs before had accepted: it was counted */
	size_t n_lanes;
	const struct fold_state *lanes;
	const uint64_t *inodes; /* of the files that are written, rows and rejects: 2 * n_lanes */
	void *owned;		/* what account_decode() has allocated, else NULL */
};

/* Bytes that an account of n_lanes takes. */
size_t account_size(size_t n_lanes);

/* Fills n_bytes = account_size(account->n_lanes) at `at`. */
void account_encode(const struct account *account, void *at);

/*
 * Returns 0; -EINVAL if the bytes are no account of this version or torn; -ENOMEM. len may be more
 * than the account takes.
 */
int account_decode(const void *data, size_t len, struct account *ret_account) MUST_CHECK;
void account_deinit(struct account *account);

/*
 * For the places that an account is kept in: *newest, {0} before the first one, becomes what is in
 * this place if that is whole and later. Returns 1 if so, 0 if not; -ENOMEM with *newest freed.
 */
int account_keep_newest(struct account *newest, const void *data, size_t len) MUST_CHECK;
