/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/model/job_spec.h"
#include "common/model/plan.h"
#include "common/util/macro.h"
#include "daemon/sched/failure.h"
#include "daemon/sched/fold.h"
#include "daemon/sched/target.h"

/*
 * The files that a run writes: two for each pipe, rows and rejects, in the order in which workers
 * inherit them (worker_protocol.h). A file with a target is a `.zp-ID-N.part` beside it; rejects
 * without one go to the job's own directory in the state.
 */
enum { OUTPUTS_NAME_SIZE = 64 };

struct output_file {
	const struct target *target; /* NULL: in the job's state directory */
	int dir_fd;		     /* that holds target and temporary file; -1 if no target */
	int fd;			     /* -1 until outputs_create() */
	char temporary[OUTPUTS_NAME_SIZE];
	char rejects_name[OUTPUTS_NAME_SIZE]; /* of rejects, their place in the state directory */
	bool has_temporary;		      /* made by this run */
	bool target_exists;
	struct stat target_stat;
};

struct outputs {
	struct output_file *files;
	size_t n_files; /* 2 * n_pipes */
};

/*
 * Opens the targets' directories and looks at what is there. Returns 0; -EINVAL with *ret_failure
 * (path_denied, output_unwritable, output_exists), and with *ret_outputs holding the directories
 * that could be opened; -ENOMEM. `targets` must outlive the outputs.
 */
int outputs_open(struct outputs *ret_outputs, const char *job_id, const struct job_spec *spec,
		 const struct target_list *targets, const int *root_fds,
		 struct failure *ret_failure) MUST_CHECK;

/* Whether a target is one of the plan's input files: -EINVAL with *ret_failure if so, else 0. */
int outputs_check_inputs(const struct outputs *outputs, const struct plan *plan,
			 struct failure *ret_failure) MUST_CHECK;

/* Makes the files, which must not be there yet. Returns 0, or -EINVAL with *ret_failure. */
int outputs_create(struct outputs *outputs, const struct job_spec *spec, int job_dir_fd,
		   struct failure *ret_failure) MUST_CHECK;

/*
 * Opens the files that an earlier run has left, to go on with. inodes: as they were then, one for
 * each file; states: one for each pipe, whose accepted bytes must be there. Returns 0; -ESTALE if
 * they are not those files or too short; -errno.
 */
int outputs_reopen(struct outputs *outputs, int job_dir_fd, const uint64_t *inodes,
		   const struct fold_state *states) MUST_CHECK;

/* Closes what outputs_reopen() has opened. */
void outputs_close_files(struct outputs *outputs);

/* The accepted bytes of file number `file`. */
uint64_t outputs_accepted_end(const struct fold_state *states, size_t file);

/* The name of pipe `pipe`'s rejects in the state directory. */
void outputs_rejects_name(size_t pipe, char ret_name[static OUTPUTS_NAME_SIZE]);

/* Closes everything; removes nothing. */
void outputs_deinit(struct outputs *outputs);
