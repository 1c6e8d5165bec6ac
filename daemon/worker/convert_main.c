/* SPDX-License-Identifier: MIT */

/*
 * A pool's worker from exec to exit. It starts on "its" pipe, slot modulo the number of pipes, so
 * that a job of several pipes runs them side by side, and helps with the others when that is
 * drained.
 *
 * A lane may have chunks left and none free: all are claimed, or the supervisor has to fold before
 * the ring goes on. The first case ends when the lane is drained, the second within a poll
 * interval, so a short sleep is all the waiting it takes.
 *
 * All that it needs is opened first, and what is to run outside its sandbox is started; then it
 * locks itself in, and only then the first byte of an input is read.
 */

#include "daemon/worker/convert_main.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/model/worker_protocol.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "common/util/process.h"
#include "daemon/worker/chunk_work.h"
#include "daemon/worker/lane.h"
#include "daemon/worker/memory_limit.h"
#include "daemon/worker/pinned.h"
#include "daemon/worker/restrict.h"

#define IDLE_SLEEP_NS	(1000 * 1000)
#define MMAP_FROM_BYTES (128 * 1024)

struct convert {
	const char *job_name;
	size_t n_roots;
	struct job_spec *spec;
	struct plan *plan;
	struct worker worker;
	struct lane *lanes; /* one for each pipe */
};

static int parse_args(struct convert *convert, int n_args, char *const *args)
{
	uint64_t slot;
	uint64_t n_roots;

	if (n_args != 4 || num_parse_u64(args[0], &slot) < 0 || slot >= CHUNK_TABLE_MAX_SLOTS ||
	    num_parse_u64(args[1], &n_roots) < 0 ||
	    num_parse_u64(args[2], &convert->worker.memory_limit_bytes) < 0) {
		log_error("convert: expected SLOT N_ROOTS MEMORY_LIMIT NAME");
		return -EINVAL;
	}
	convert->worker.slot = (uint32_t)slot;
	convert->n_roots = n_roots;
	convert->job_name = args[3];
	return 0;
}

static int open_stats(struct worker *worker)
{
	uint64_t start_ticks = 0;
	int r = stats_file_map(CONVERT_FD_STATS, &worker->page);

	if (r < 0) {
		return r;
	}
	r = process_start_ticks(0, &start_ticks);
	stats_page_set_process(worker->page, getpid(), start_ticks);
	return r;
}

static int open_lane(struct convert *convert, size_t index)
{
	struct lane *lane = &convert->lanes[index];
	const struct plan_pipe *pipe = &convert->plan->pipes[index];
	int first_root = CONVERT_FD_OUTPUTS + 2 * (int)convert->plan->n_pipes;

	*lane = (struct lane){
		.chain = {.table = &convert->worker.table,
			  .slot = convert->worker.slot,
			  .lane = (uint32_t)index,
			  .plan = convert->plan,
			  .pipe = pipe},
		.spec = &convert->spec->pipes[index],
		.root_fd = first_root + (int)pipe->root,
		.rows_fd = CONVERT_FD_OUTPUTS + 2 * (int)index,
		.errors_fd = CONVERT_FD_OUTPUTS + 2 * (int)index + 1,
		.input_fd = -1,
	};
	if (pipe->root >= convert->n_roots) {
		return -EINVAL;
	}
	return convert_pipe_new(convert->job_name, lane->spec, pipe, &lane->pipe);
}

static int open_lanes(struct convert *convert)
{
	size_t n_pipes = convert->plan->n_pipes;

	if (n_pipes != convert->spec->n_pipes || n_pipes != convert->worker.table.n_lanes ||
	    convert->worker.slot >= convert->worker.table.n_slots) {
		return -EINVAL;
	}
	convert->lanes = calloc(n_pipes, sizeof(*convert->lanes));
	if (convert->lanes == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_pipes; i++) {
		convert->lanes[i].input_fd = -1;
	}
	for (size_t i = 0; i < n_pipes; i++) {
		int r = open_lane(convert, i);

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int open_all(struct convert *convert)
{
	struct worker *worker = &convert->worker;
	int r;

	worker->statm_fd = process_resident_open();
	if ((r = open_stats(worker)) < 0 ||
	    (r = chunk_table_map(CONVERT_FD_TABLE, &worker->table)) < 0 ||
	    (r = pinned_load_spec(CONVERT_FD_SPEC, &convert->spec)) < 0 ||
	    (r = pinned_load_plan(CONVERT_FD_PLAN, &convert->plan)) < 0 ||
	    (r = open_lanes(convert)) < 0 ||
	    (r = converter_new(getenv(WORKER_ENV_SCANNER), &worker->converter)) < 0 ||
	    (r = reader_init(&worker->reader, convert_window_bytes(convert->plan->chunk_size))) <
		    0 ||
	    (r = chunk_work_init_sinks(worker)) < 0) {
		log_error("convert: cannot start: %s", strerror(-r));
		return r;
	}
	return 0;
}

static void close_all(struct convert *convert)
{
	struct worker *worker = &convert->worker;

	for (size_t i = 0; convert->lanes != NULL && i < convert->plan->n_pipes; i++) {
		lane_deinit(&convert->lanes[i]);
	}
	free(convert->lanes);
	for (size_t i = 0; i < ARRAY_SIZE(worker->sinks); i++) {
		buf_deinit(&worker->sinks[i].rows);
		buf_deinit(&worker->sinks[i].errors);
	}
	reader_deinit(&worker->reader);
	converter_free(worker->converter);
	plan_free(convert->plan);
	job_spec_free(convert->spec);
	chunk_table_unmap(&worker->table);
	stats_file_unmap(worker->page);
	worker->statm_fd = fd_close(worker->statm_fd);
}

/* No row can be to blame for it: the job fails with this report, whatever our death says. */
static void on_refused(void *userdata, const char *message)
{
	struct worker *worker = userdata;

	chunk_table_fail(&worker->table, worker->slot, JOB_REASON_INTERNAL, message);
}

static int lock_in(struct convert *convert)
{
	struct worker *worker = &convert->worker;
	struct report *report = &worker->report;
	CLEANUP(restrict_deinit) struct restriction restriction;

	if (restrict_init(SYSCALL_FILTER_CONVERT, &restriction, report) < 0) {
		return -1;
	}
	for (size_t i = 0; i < convert->plan->n_pipes; i++) {
		if (lane_allow_inputs(&convert->lanes[i], worker, &restriction) < 0) {
			return -1;
		}
	}
	restriction.refused = on_refused;
	restriction.userdata = worker;
	return restrict_enter(&restriction, report);
}

static void sleep_idle(struct worker *worker)
{
	const struct timespec pause = {.tv_nsec = IDLE_SLEEP_NS};

	stats_page_set_phase(worker->page, STATS_PHASE_WAITING, -1);
	chunk_table_beat(&worker->table, worker->slot, false);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* Claims and does one chunk of the first lane that has one, from `home` on. 1: did; 0: none. */
static int work_once(struct convert *convert, size_t home, bool *ret_is_drained)
{
	struct worker *worker = &convert->worker;
	size_t n_lanes = convert->plan->n_pipes;

	*ret_is_drained = true;
	for (size_t i = 0; i < n_lanes; i++) {
		struct lane *lane = &convert->lanes[(home + i) % n_lanes];
		uint64_t chunk;

		if (chunk_table_claim(&worker->table, lane->chain.lane, worker->slot, &chunk) ==
		    0) {
			*ret_is_drained &= chunk_table_lane_is_drained(&worker->table,
								       lane->chain.lane);
			continue;
		}
		int outcome = chunk_work(worker, lane, chunk);
		if (outcome == CHUNK_OUTCOME_GIVE_BACK) {
			chunk_table_give_back(&worker->table, lane->chain.lane, chunk);
		} else if (outcome == CHUNK_OUTCOME_WRITTEN) {
			stats_page_set_chunks_done(worker->page, ++worker->chunks_done);
		}
		*ret_is_drained = false;
		return outcome < 0 ? -1 : 1;
	}
	return 0;
}

static int work_all(struct convert *convert)
{
	struct worker *worker = &convert->worker;
	bool is_drained = false;

	while (!chunk_table_is_stopped(&worker->table)) {
		int r = work_once(convert, worker->slot, &is_drained);

		if (r < 0) {
			return -1;
		}
		if (r == 0 && is_drained) {
			return 0;
		}
		if (r == 0) {
			sleep_idle(worker);
		}
	}
	return 0;
}

static enum worker_exit finish(struct convert *convert, int r)
{
	struct worker *worker = &convert->worker;

	stats_page_set_phase(worker->page, STATS_PHASE_WAITING, -1);
	stats_page_set_finished(worker->page, r < 0);
	if (r == 0) {
		return WORKER_EXIT_OK;
	}
	chunk_table_fail(&worker->table, worker->slot, (uint32_t)worker->report.reason,
			 worker->report.message);
	return WORKER_EXIT_REPORTED;
}

/*
 * A buffer that has grown for one long row goes back to the system when it is freed. Of its own
 * accord malloc would raise the bar with each such buffer (mallopt(3)) and keep what is below it.
 */
static void keep_memory_small(void)
{
	mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES);
	mallopt(M_TRIM_THRESHOLD, MMAP_FROM_BYTES);
}

int convert_main(int n_args, char *const *args)
{
	struct convert convert = {0};
	int code = WORKER_EXIT_USAGE;

	if (parse_args(&convert, n_args, args) < 0 ||
	    memory_limit_set(convert.worker.memory_limit_bytes) < 0) {
		return WORKER_EXIT_USAGE;
	}
	keep_memory_small();
	if (open_all(&convert) == 0) {
		/* Here is the place for exec hooks to be started: they are not locked in. */
		code = finish(&convert, lock_in(&convert) < 0 ? -1 : work_all(&convert));
	}
	close_all(&convert);
	return code;
}
