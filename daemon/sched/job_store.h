/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_state.h"
#include "common/model/job_view.h"
#include "common/model/worker_cause.h"
#include "common/util/buf.h"
#include "common/util/macro.h"

/*
 * A job on disk: <state_dir>/jobs/ID/ holds spec.json (the pinned spec), meta.json (name of the
 * receipt, owner, times of submission and start), commit.json while COMMITTING, result.json once
 * it has ended, errors.jsonl (its first rejects). <state_dir>/base.json holds the counters' base:
 * the sums of all results up to a finish sequence, so that retention may remove folded results.
 *
 * Here is what these files say and how they are loaded at start; they are written by the storage
 * process (daemon/core/storage.h) from the text rendered here. Loading reads small local files
 * and happens before the loop runs.
 */

/*
 * Of finish sequences in files: far from where a successor would be 0 again; whole also as a
 * double, as which others read JSON.
 */
#define JOB_RESULT_MAX_SEQUENCE (UINT64_C(1) << 53)

/* What is left of a job that has ended: result.json. Rendered and parsed by one table. */
struct job_result {
	char *id, *name, *message, *receipt;
	enum job_state state;
	enum job_reason reason;
	uint64_t finish_sequence; /* 1, 2, 3... over all jobs that this daemon's state ever ended */
	bool verified;
	int priority;
	int64_t total_processed, success_count, error_count, filtered;
	int64_t rejects[REJECT_N_CODES];
	int64_t input_bytes, output_bytes;
	int64_t submitted_at_ns, started_at_ns, finished_at_ns;
	int64_t peak_ram_bytes;
	int64_t worker_exits[WORKER_N_CAUSES], stats_files_invalid;
	uint32_t n_workers, n_worker_restarts;
	double commit_seconds; /* truncate, fsync, rename: design §12 shows it beside the wall */
	size_t n_pipes;
	struct job_result_pipe *pipes; /* accounts and paths of each pipe */
};

struct job_result_pipe {
	char *input, *output, *errors;
	int64_t total_processed, success_count, error_count, filtered, input_bytes;
};

void job_result_free(struct job_result *result); /* and all it owns; NULL is fine */
void job_result_render(const struct job_result *result, struct buf *out);
int job_result_parse(const char *text, size_t len, struct job_result **ret_result) MUST_CHECK;

/* What is known of a job that has not ended: meta.json. */
struct job_meta {
	char *id;
	char *file_name; /* of the spec as dropped, gives the default name; receipt is ID.file_name
			  */
	uint32_t uid;
	int64_t submitted_at_ns;
};

void job_meta_free(struct job_meta *meta);
void job_meta_render(const struct job_meta *meta, struct buf *out);
int job_meta_parse(const char *text, size_t len, struct job_meta **ret_meta) MUST_CHECK;

/* commit.json: what the commit is about to rename (design §5 "Commit"). */
struct commit_file {
	unsigned root;	 /* data root */
	char *temporary; /* relative path of the .part file */
	char *target;	 /* relative path */
	uint64_t dev, inode, size_bytes;
	bool is_errors, is_noreplace; /* as in struct commit_output */
};
struct commit_record {
	struct job_result *result; /* what will be written once all renames are done */
	size_t n_files;
	struct commit_file *files; /* in the order of renaming: errors first, outputs last */
};
void commit_record_free(struct commit_record *record);
void commit_record_render(const struct commit_record *record, struct buf *out);
int commit_record_parse(const char *text, size_t len, struct commit_record **ret_record) MUST_CHECK;

/* One job directory as found at start. */
struct stored_job {
	char *id;
	char *spec; /* text; NULL if there is none */
	size_t spec_len;
	bool is_spec_unreadable;      /* it is there, but spec is NULL: a fault, not an answer */
	char *receipt;		      /* its file in active/; NULL: not there */
	struct job_meta *meta;	      /* of meta.json, else made of the receipt, else NULL */
	struct job_result *result;    /* NULL: has not ended */
	struct commit_record *commit; /* NULL: was not committing */
};
void stored_job_free(struct stored_job *job);

typedef int (*stored_job_fn)(void *userdata, struct stored_job *job);

/*
 * Loads every job directory in order of ID and hands it to fn, which takes over what it wants
 * (sets the pointer to NULL); the rest is freed. A broken file counts as missing and is logged by
 * the caller through fn (result NULL). Stops at fn's first negative return. What writers that were
 * killed left half-written in the directory of an unfinished job is removed.
 *
 * A claim copies the spec first and then moves the user's file to active/, so a job without result,
 * meta and receipt was never claimed (the spec still lies in incoming/): remove its directory, or
 * it runs twice. A job with result and receipt ended, but its receipt has not moved on: move it.
 */
int job_store_load(int jobs_dir_fd, int active_dir_fd, stored_job_fn fn, void *userdata) MUST_CHECK;

/* base.json: counters of results that are gone or folded, by name, and what they include. */
struct counter_base {
	uint64_t finish_sequence;  /* results up to this one are inside */
	char last_id[24];	   /* the newest job ID ever given out */
	struct totals_view totals; /* owned: names and their array */
};
void counter_base_free(struct counter_base *base);
void counter_base_render(const struct counter_base *base, struct buf *out);
int counter_base_parse(const char *text, size_t len, struct counter_base **ret_base) MUST_CHECK;
/* Adds one result. Results must come in the order of finish_sequence; older ones are ignored. */
int counter_base_fold(struct counter_base *base, const struct job_result *result) MUST_CHECK;
/* Adds a result to the totals and to those of its name. */
void totals_add_result(struct totals_view *totals, struct name_totals_view *name,
		       const struct job_result *result);
/* The totals of `name`, made if need be ("_other" beyond NAME_TOTALS_MAX). NULL: no memory. */
struct name_totals_view *totals_of(struct totals_view *totals, const char *name);
