/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/spec_error.h"
#include "common/util/clock.h"
#include "common/util/macro.h"

/*
 * A job spec, version 1: what zooparallel-job(5) describes, parsed and checked.
 *
 * A spec that job_spec_parse() has returned keeps every rule that can be judged from its text
 * alone. Whether its paths lie in a data root, and whether two jobs have one target, is for the
 * caller.
 */

#define JOB_SPEC_MAX_BYTES	   (1024 * 1024)
#define JOB_SPEC_MAX_NAME_BYTES	   64
#define JOB_SPEC_MAX_WORKERS	   1024
#define JOB_SPEC_MAX_PRIORITY	   100 /* and its negative is the least */
#define JOB_SPEC_MAX_PIPES	   64
#define JOB_SPEC_MAX_FIELDNAMES	   100000
#define JOB_SPEC_MAX_ROW_BYTES	   (64 * 1024 * 1024)
#define JOB_SPEC_DEFAULT_ROW_BYTES (1024 * 1024)
#define JOB_SPEC_DEFAULT_MAX_RATIO 0.5
#define JOB_SPEC_MAX_COUNT	   9007199254740991 /* 2^53 - 1: exact in every JSON reader */

#define JOB_SPEC_MIN_MEMORY_BYTES (INT64_C(32) << 20) /* twice what ordinary rows take */
#define JOB_SPEC_MAX_MEMORY_BYTES (INT64_C(1) << 40)
#define JOB_SPEC_MIN_WALL_NS	  CLOCK_NS_PER_SEC
#define JOB_SPEC_MAX_WALL_NS	  (365 * 86400 * CLOCK_NS_PER_SEC)
#define JOB_SPEC_MIN_STALL_NS	  CLOCK_NS_PER_SEC
#define JOB_SPEC_MAX_STALL_NS	  (86400 * CLOCK_NS_PER_SEC)
#define JOB_SPEC_DEFAULT_STALL_NS (60 * CLOCK_NS_PER_SEC)

#define JOB_SPEC_MAX_ATTEMPTS	    100
#define JOB_SPEC_DEFAULT_ATTEMPTS   3
#define JOB_SPEC_MAX_BACKOFF_NS	    (86400 * CLOCK_NS_PER_SEC)
#define JOB_SPEC_DEFAULT_BACKOFF_NS CLOCK_NS_PER_SEC

/* Where rows come from. */
struct input_spec {
	char *path; /* may be a glob; see data_path.h for what it is relative to */
	char delimiter;
	char quotechar; /* 0: nothing quotes */
	bool strict;
	bool header;
	char **fieldnames; /* NULL: from the header, else positions */
	size_t n_fieldnames;
	uint64_t skip_rows; /* physical lines before the header, in each file */
	uint64_t limit;	    /* rows to read; UINT64_MAX: all */
	uint64_t max_row_bytes;
};

enum output_if_exists {
	OUTPUT_IF_EXISTS_REPLACE,
	OUTPUT_IF_EXISTS_FAIL,
};

/* Where accepted rows go. */
struct output_spec {
	char *path;
	enum output_if_exists if_exists;
	int mode; /* permission bits; -1: those of the file it replaces, else 0640 */
};

/* Where rejected rows go, and how many are too many. */
struct errors_spec {
	char *path;	   /* NULL: the first 1,000 stay in the job's state */
	uint64_t max_rows; /* one more fails the job; UINT64_MAX: no bound */
	double max_ratio;  /* of the rows processed, 0 to 1, judged at the end */
};

struct pipe_spec {
	struct input_spec input;
	struct output_spec output;
	struct errors_spec errors;
};

/* What a run may take. */
struct limits_spec {
	uint64_t memory_per_worker_bytes; /* 0: no limit */
	int64_t wall_ns;		  /* since the run has started; 0: no limit */
	int64_t stall_ns;		  /* without a sign of life a worker is killed */
};

/* How often what fails for a passing reason is tried, and after which pause. */
struct retry_spec {
	unsigned attempts; /* at least 1 */
	int64_t backoff_ns;
};

struct job_spec {
	char *name;	  /* NULL: left out, the caller takes the file's (job_name_from_file()) */
	unsigned workers; /* 0: left out, the caller chooses */
	int priority;	  /* greater runs first */
	size_t n_pipes;	  /* at least 1 */
	struct pipe_spec *pipes;
	struct limits_spec limits;
	struct retry_spec retry;
};

/*
 * Reads a spec from text[0..len); it need not end with NUL. The spec owns copies of all its
 * strings. Returns 0 and *ret_spec, which the caller frees; -EINVAL and *ret_error with the first
 * error met; or -ENOMEM.
 */
MUST_CHECK int job_spec_parse(const char *text, size_t len, struct job_spec **ret_spec,
			      struct spec_error *ret_error);

/* Takes NULL too. Returns NULL. */
struct job_spec *job_spec_free(struct job_spec *spec);
void job_spec_freep(struct job_spec **spec);

/* Whether name is [A-Za-z0-9._-]{1,64}. */
bool job_name_is_valid(const char *name);

/*
 * The name of a job whose spec gives none: the last component of file_name without ".json".
 * The caller frees *ret_name. Returns 0, -EINVAL if that is not a valid job name, or -ENOMEM.
 */
MUST_CHECK int job_name_from_file(const char *file_name, char **ret_name);
