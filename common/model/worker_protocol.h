/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the supervisor and a zooparallel-worker process agree on: arguments, inherited descriptors
 * and exit codes. A worker gets everything it may touch as a descriptor; it opens nothing by an
 * absolute path.
 *
 *   zooparallel-worker prepare CHUNK_SIZE ROOT...     (the roots' paths, as configured)
 *   zooparallel-worker convert SLOT N_ROOTS MEMORY_LIMIT NAME
 *       MEMORY_LIMIT: limits.memory_per_worker in bytes, 0: none; NAME: the job's, for error rows
 *   zooparallel-worker storage N_FOLDERS
 *
 * Before the first byte that is not the supervisor's own, it gives up whatever else it could do
 * (daemon/worker/restrict.h). A death of SIGSYS is a system call that it was refused.
 *
 * In every mode it dies with its supervisor (PDEATHSIG, then a check of getppid against
 * ZOOPARALLEL_SUPERVISOR, the supervisor's pid in the environment).
 */

#define WORKER_ENV_SUPERVISOR "ZOOPARALLEL_SUPERVISOR"
/* Optional, for tests and benchmarks: which scanner, see daemon/pipe/csv_scanner.h. */
#define WORKER_ENV_SCANNER "ZOOPARALLEL_SCANNER"

/* prepare: reads the spec, writes the plan (common/model/plan.h). */
enum prepare_fd {
	PREPARE_FD_SPEC = 3,  /* the pinned copy of the spec, read only */
	PREPARE_FD_PLAN = 4,  /* empty file, written and left for the supervisor to read */
	PREPARE_FD_ROOTS = 5, /* one directory for each ROOT */
};

/*
 * convert: pipe p's outputs are CONVERT_FD_OUTPUTS + 2p (rows) and + 2p + 1 (rejects); the N_ROOTS
 * data roots follow after the last pipe's.
 */
enum convert_fd {
	CONVERT_FD_SPEC = 3,
	CONVERT_FD_PLAN = 4,
	CONVERT_FD_TABLE = 5, /* chunk table, read and write */
	CONVERT_FD_STATS = 6, /* this slot's stats file, read and write */
	CONVERT_FD_LOCK = 7,  /* never used, only held: proves to a new daemon that we live */
	CONVERT_FD_OUTPUTS = 8,
};

/*
 * storage: one seqpacket socket, see common/model/storage_request.h, and the N_FOLDERS folders
 * below which all is that will be asked for.
 */
enum storage_fd {
	STORAGE_FD_SOCKET = 3,
	STORAGE_FD_FOLDERS = 4,
};

/* Everything else, and every signal, is a crash. */
enum worker_exit {
	WORKER_EXIT_OK = 0,	  /* nothing left to claim, or told to stop */
	WORKER_EXIT_REPORTED = 1, /* a permanent failure, named in its slot of the chunk table */
	WORKER_EXIT_USAGE = 2,	  /* started with arguments or descriptors that make no sense */
};
