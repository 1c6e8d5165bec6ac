/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"
#include "daemon/core/storage.h"
#include "daemon/sched/job_store.h"

/*
 * Publication of a job's outputs (design §5 "Commit"), one storage request after the other:
 * truncate and fsync each temporary file; write commit.json; rename errors first, outputs last
 * (RENAME_NOREPLACE where if_exists is fail); fsync their directories; copy the head of the
 * errors file into the state; write result.json; move the receipt. Asynchronous: done_fn is told
 * the outcome exactly once.
 */
struct commit;

struct commit_output {
	unsigned root;
	int fd;	     /* the open temporary file */
	int dir_fd;  /* directory that holds both */
	char *temporary_name, *target_name;	/* components in dir_fd */
	char *temporary_path, *target_path;	/* relative to the root, for commit.json */
	uint64_t size_bytes;	/* end of the last accepted row */
	bool is_errors;
	bool is_noreplace;
	bool is_published; /* false: removed instead (the rows of a job that failed) */
	/* Name in the job's directory for a copy of the first lines (of rejects); NULL: none. */
	const char *head_name;
};

struct commit_options {
	struct storage *storage;
	int job_dir_fd;	   /* <state_dir>/jobs/ID */
	int active_dir_fd, receipt_dir_fd; /* spool/active, spool/done or spool/failed */
	const char *receipt;
	const struct job_result *result; /* complete, state and reason as they will be */
	struct commit_output *outputs;	 /* errors first */
	size_t n_outputs;
};

/* reason OK and status 0: all is published and durable. Otherwise why not, with a sentence. */
typedef void (*commit_done_fn)(void *userdata, int status, enum job_reason reason,
			       const char *message);

/* options and all it points to must live until done_fn. */
int commit_start(const struct commit_options *options, commit_done_fn fn, void *userdata,
		 struct commit **ret_commit) MUST_CHECK;
struct commit *commit_free(struct commit *commit);

/*
 * At start: a job that has commit.json and no result.json. Looks at each file: temporary still
 * there (same inode) -> rename is still to be done; gone and target has the inode -> done; else
 * the job cannot be finished. Returns 1: finish by commit_start with what is left; 0: all renames
 * are done, only the result is missing; -ESTALE: lost; -errno.
 */
int commit_recover(const struct commit_record *record, const int *root_fds, size_t n_roots) MUST_CHECK;
