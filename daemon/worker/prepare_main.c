/* SPDX-License-Identifier: MIT */

/*
 * The supervisor never parses an input, so that a file that breaks a parser breaks a process that
 * is expendable. What is wrong with the inputs is the plan's to say; this process fails only where
 * there is no plan to write it into.
 *
 * The spec is read before the process locks itself in: the supervisor has parsed it, too, and the
 * parser opens /dev/urandom once.
 */
#include "daemon/worker/prepare_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/worker_protocol.h"
#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "daemon/pipe/prepare.h"
#include "daemon/worker/pinned.h"
#include "daemon/worker/report.h"
#include "daemon/worker/restrict.h"

static int write_plan(const struct plan *plan)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	plan_render(plan, &text);
	if (buf_error(&text) < 0) {
		return buf_error(&text);
	}
	return fd_pwrite_all(PREPARE_FD_PLAN, text.data, text.len, 0);
}

static int lock_in(const struct prepare_roots *roots, struct report *report)
{
	CLEANUP(restrict_deinit) struct restriction restriction;

	if (restrict_init(SYSCALL_FILTER_PREPARE, &restriction, report) < 0) {
		return -1;
	}
	for (size_t i = 0; i < roots->n; i++) {
		if (restrict_allow(&restriction, roots->fds[i], report) < 0) {
			return -1;
		}
	}
	return restrict_enter(&restriction, report);
}

static int write_failure(uint64_t chunk_size, struct report *report)
{
	const struct plan plan = {
		.chunk_size = chunk_size, .failure = report->reason, .message = report->message};

	return write_plan(&plan);
}

static int prepare(uint64_t chunk_size, char *const *root_paths, size_t n_roots)
{
	CLEANUP(job_spec_freep) struct job_spec *spec = NULL;
	CLEANUP(plan_freep) struct plan *plan = NULL;
	CLEANUP(free_p) int *root_fds = calloc(n_roots, sizeof(*root_fds));

	if (root_fds == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_roots; i++) {
		root_fds[i] = PREPARE_FD_ROOTS + (int)i;
	}
	const struct prepare_roots roots = {.paths = root_paths, .fds = root_fds, .n = n_roots};
	struct report report;
	int r = pinned_load_spec(PREPARE_FD_SPEC, &spec);
	if (r < 0) {
		return r;
	}
	if (lock_in(&roots, &report) < 0) {
		return write_failure(chunk_size, &report);
	}
	r = prepare_run(spec, &roots, chunk_size, &plan);
	return r < 0 ? r : write_plan(plan);
}

int prepare_main(int n_args, char *const *args)
{
	uint64_t chunk_size;

	if (n_args < 2 || num_parse_u64(args[0], &chunk_size) < 0 || chunk_size == 0) {
		log_error("prepare: expected CHUNK_SIZE ROOT...");
		return WORKER_EXIT_USAGE;
	}
	int r = prepare(chunk_size, args + 1, (size_t)n_args - 1);
	if (r < 0) {
		log_error("prepare: %s", strerror(-r));
		return WORKER_EXIT_REPORTED;
	}
	return WORKER_EXIT_OK;
}
