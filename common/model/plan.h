/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_state.h"
#include "common/util/buf.h"
#include "common/util/macro.h"

/*
 * The plan: what `prepare` found out about a job's inputs, pinned once and the same for everybody
 * from then on. Written by zooparallel-worker as JSON, loaded by the supervisor (for which it is
 * untrusted input) and by every converting worker.
 *
 * A pipe's files are cut into chunks of chunk_size bytes, each file from its own data_offset on;
 * the chunks of a pipe are numbered through all of its files from 0. No chunk spans two files.
 */

#define PLAN_MAX_BYTES	 (256u << 20)
#define PLAN_MAX_FILES	 100000u
#define PLAN_MAX_COLUMNS 100000u
#define PLAN_NO_CHUNK	 UINT64_MAX

/* What must not change between start and commit (design §5 "Input identity"). */
struct plan_identity {
	uint64_t dev;
	uint64_t inode;
	uint64_t size_bytes;
	int64_t mtime_ns;
	int64_t ctime_ns;
};

struct plan_file {
	char *path; /* relative to the pipe's data root */
	struct plan_identity identity;
	uint64_t data_offset; /* first byte after BOM, skipped rows and header */
	uint64_t data_line;   /* physical line at data_offset, 1 = first of the file */
	uint32_t *field_of; /* output column c is this file's field field_of[c]; NULL: same order */
	uint64_t first_chunk; /* computed by plan_load: number of this file's first chunk */
	uint64_t n_chunks;    /* computed by plan_load */
};

struct plan_pipe {
	unsigned root; /* index of the data root that holds the files */
	size_t n_files;
	struct plan_file *files; /* sorted bytewise by path */
	size_t n_columns;	 /* 0 if and only if no file has a row or a header */
	char **columns;		 /* names in output order: unique, valid UTF-8 */
	uint64_t n_chunks;	 /* computed by plan_load: sum over files */
	uint64_t n_bytes;	 /* computed by plan_load: sum of size_bytes - data_offset */
};

struct plan {
	uint64_t chunk_size; /* bytes, at least 1 */
	size_t n_pipes;
	struct plan_pipe *pipes;
	/* Set instead of pipes where the inputs cannot be used; message names file and line. */
	enum job_reason failure; /* JOB_REASON_OK: the plan is good */
	char *message;
	uint64_t checksum; /* computed by plan_load: of its text */
};

/* A chunk's place: bytes [begin, end) of a file, without the overhang of its last row. */
struct plan_chunk {
	size_t file;
	uint64_t begin;
	uint64_t end;
	bool is_first_of_file;
	bool is_last_of_file;
};

/* Frees plan and all it owns; NULL is fine. Returns NULL. */
struct plan *plan_free(struct plan *plan);
void plan_freep(struct plan **plan);

/* Appends the plan as JSON to `out`; errors are out's own. */
void plan_render(const struct plan *plan, struct buf *out);

/* Of a plan's text. */
uint64_t plan_checksum(const char *text, size_t len);

/*
 * Parses and checks text (untrusted: lengths, ranges, unique columns, permutations) and computes
 * the derived numbers. Returns 0, -EINVAL if it is not a plan, or -ENOMEM.
 */
int plan_load(const char *text, size_t len, struct plan **ret_plan) MUST_CHECK;

/* Where chunk `chunk` (< pipe->n_chunks) lies. O(log n_files). */
struct plan_chunk plan_chunk_at(const struct plan *plan, const struct plan_pipe *pipe,
				uint64_t chunk);

/* Fills identity from an open file. Returns 0 or -errno. */
int plan_identity_of(int fd, struct plan_identity *ret_identity) MUST_CHECK;
bool plan_identity_equal(const struct plan_identity *a, const struct plan_identity *b);
