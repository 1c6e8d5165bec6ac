/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"
#include "daemon/core/storage.h"
#include "daemon/sched/job_store.h"

/*
 * Publication of a job's outputs (design §5 "Commit"), one storage request after the other:
 * truncate and fsync each temporary file; copy the heads of error files into the state; remove what
 * is not published; look whether a target that must be new is there; write commit.json; rename
 * errors first, outputs last (RENAME_NOREPLACE where if_exists is fail) and fsync their
 * directories; write result.json; move the receipt.
 *
 * What a crash leaves at each of these points is in the table at the top of commit.c.
 */
struct commit;

struct commit_output {
	unsigned root;
	int fd;				    /* the open temporary file */
	int dir_fd;			    /* directory that holds both */
	char *temporary_name, *target_name; /* components in dir_fd */
	char *temporary_path, *target_path; /* relative to the root, for commit.json */
	uint64_t size_bytes;		    /* end of the last accepted row */
	bool is_errors;
	bool is_noreplace;
	bool is_published; /* false: removed instead (the rows of a job that failed) */
	bool is_in_place;  /* renamed before a restart: fd (O_PATH will do) is the target */
	/* Name in the job's directory for a copy of the first lines (of rejects); NULL: none. */
	const char *head_name;
};

struct commit_options {
	struct loop *loop;
	struct storage *storage;
	int job_dir_fd;			   /* <state_dir>/jobs/ID */
	int active_dir_fd, receipt_dir_fd; /* spool/active, spool/done or spool/failed */
	const char *receipt;
	struct job_result *result;     /* complete, but for its end: see commit_start */
	struct commit_output *outputs; /* errors first */
	size_t n_outputs;	       /* 0: only the result and the receipt */
	bool is_recorded;	       /* commit.json is there, from before a restart */
	/* An output could not be synced. Called before it is undone; NULL: nobody asks. */
	void (*unsynced)(void *userdata);
};

enum {
	COMMIT_DURABLE, /* and the job has ended as its result says */
	/* All is published, but result.json could not be written: the receipt has not moved. */
	COMMIT_UNSAVED,
	/*
	 * All is in place, but a directory could not be synced: commit.json stays for the next
	 * start, which finds out whether it lasted; no result.json, and the receipt has not moved.
	 */
	COMMIT_UNSYNCED,
};

/*
 * status is one of these, and JOB_REASON_OK: all is published. Should only the receipt's move have
 * failed, that is logged, and the next start makes it good.
 *
 * Otherwise -errno, why not (no_space, output_exists, output_unwritable, io_error), and a sentence;
 * temporary files and commit.json are gone. An error file may have been published by then, and
 * earlier outputs of a job with several pipes. The commit may be freed in here.
 */
typedef void (*commit_done_fn)(void *userdata, int status, enum job_reason reason,
			       const char *message);

/*
 * options and all it points to must live until done_fn, which is called exactly once and not from
 * inside commit_start. The result's finished_at_ns and commit_seconds are set when it is about to
 * be written.
 */
int commit_start(const struct commit_options *options, commit_done_fn fn, void *userdata,
		 struct commit **ret_commit) MUST_CHECK;

/* In done_fn, or after the storage was freed. NULL is fine; returns NULL. */
struct commit *commit_free(struct commit *commit);

/*
 * At start: a job that has commit.json and no result.json. Looks at each file: temporary still
 * there (same inode) -> rename is still to be done; gone and target has the inode -> done; else
 * the job cannot be finished. Returns 1: finish by commit_start, where those that were renamed are
 * is_in_place; 0: all are; -ENOENT: lost; -errno: cannot be looked at.
 */
int commit_recover(const struct commit_record *record, const int *root_fds,
		   size_t n_roots) MUST_CHECK;
