/* SPDX-License-Identifier: MIT */
/*
 * A slot is RUNNING -> EXITED if its worker found nothing left to do, or RUNNING -> RESTARTING ->
 * RUNNING after a death. A worker's death is judged only once it was reaped: from then on it
 * writes nowhere, so what it held can be given to others.
 *
 * A failure does not end the pool at once. It is kept, everyone is told to stop, and the pool ends
 * as any other does, when the last worker is gone. The end is told through a deferred call, so it
 * never comes in the middle of pool_new() or of the caller's own work.
 */
#include "daemon/sched/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/model/stats_file.h"
#include "common/model/worker_protocol.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/core/child.h"
#include "daemon/sched/blame.h"
#include "daemon/sched/restart.h"

#define STOP_GRACE_NS	(200 * CLOCK_NS_PER_MS)
#define FINISH_GRACE_NS (2 * CLOCK_NS_PER_SEC)
#define NUMBER_SIZE	24

struct slot {
	struct pool *pool;
	uint32_t index;
	enum pool_slot_state state;
	pid_t pid;
	uint32_t generation; /* of the current or last worker */
	bool was_started;
	struct loop_source *child, *timer;
	struct restart restart;
	struct worker_kill kill; /* of the current or last worker */
};

struct pool {
	struct pool_options options;
	struct slot *slots;
	bool is_stopping; /* no worker is started any more */
	struct failure failure;
	struct loop_source *grace, *defer;
};

static void slot_start(struct slot *slot);

/* --- the end ---------------------------------------------------------------------------------- */

static void on_ended(void *userdata)
{
	struct pool *pool = userdata;

	pool->defer = loop_source_free(pool->defer);
	pool->grace = loop_source_free(pool->grace);
	pool->options.ended(pool->options.userdata, &pool->failure);
}

static void check_ended(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->options.n_slots; i++) {
		if (pool->slots[i].state != POOL_SLOT_EXITED) {
			return;
		}
	}
	if (pool->defer == NULL) {
		int r = loop_add_defer(pool->options.env->loop, on_ended, pool, &pool->defer);

		if (r < 0) {
			log_job(LOG_LEVEL_ERROR, pool->options.job_id, -1,
				"cannot add an event: %s", strerror(-r));
			on_ended(pool);
		}
	}
}

void pool_kill(struct pool *pool, uint32_t slot, enum worker_cause cause, const char *what)
{
	struct slot *killed = &pool->slots[slot];

	if (killed->pid > 0 && !killed->kill.is_sent) {
		killed->kill = (struct worker_kill){.is_sent = true, .cause = cause};
		snprintf(killed->kill.what, sizeof(killed->kill.what), "%s", what);
		kill(killed->pid, SIGKILL);
	}
}

static void kill_all(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->options.n_slots; i++) {
		pool_kill(pool, i, WORKER_CAUSE_OK, "");
	}
}

static void on_grace(void *userdata, int64_t now_ns)
{
	kill_all(userdata);
}

static void arm_grace(struct pool *pool, int64_t grace_ns)
{
	int r = 0;

	if (pool->grace == NULL) {
		r = loop_add_timer(pool->options.env->loop, on_grace, pool, &pool->grace);
	}
	if (r == 0 && grace_ns > 0) {
		r = loop_timer_arm(pool->grace, clock_monotonic_ns() + grace_ns);
	}
	if (r < 0 || grace_ns <= 0) {
		kill_all(pool);
	}
}

static void stop_restarts(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->options.n_slots; i++) {
		if (pool->slots[i].state == POOL_SLOT_RESTARTING) {
			pool->slots[i].timer = loop_source_free(pool->slots[i].timer);
			pool->slots[i].state = POOL_SLOT_EXITED;
		}
	}
}

void pool_stop(struct pool *pool, const struct failure *failure, int64_t grace_ns)
{
	if (pool->failure.reason == JOB_REASON_OK) {
		pool->failure = *failure;
	}
	pool->is_stopping = true;
	chunk_table_stop(pool->options.table);
	stop_restarts(pool);
	arm_grace(pool, grace_ns);
	check_ended(pool);
}

void pool_finish(struct pool *pool)
{
	pool->is_stopping = true;
	stop_restarts(pool);
	arm_grace(pool, FINISH_GRACE_NS);
	check_ended(pool);
}

/* --- a worker's death ------------------------------------------------------------------------- */

static uint64_t n_done(const struct pool *pool)
{
	uint64_t sum = 0;

	for (uint32_t lane = 0; lane < pool->options.table->n_lanes; lane++) {
		sum += pool->options.folded[lane];
	}
	return sum;
}

static bool is_drained(const struct pool *pool)
{
	for (uint32_t lane = 0; lane < pool->options.table->n_lanes; lane++) {
		if (!chunk_table_lane_is_drained(pool->options.table, lane)) {
			return false;
		}
	}
	return true;
}

static void on_restart(void *userdata, int64_t now_ns)
{
	struct slot *slot = userdata;

	slot->timer = loop_source_free(slot->timer);
	slot_start(slot);
}

/* From the loop, even if there is no delay. */
static void slot_start_after(struct slot *slot, int64_t delay_ns)
{
	struct pool *pool = slot->pool;

	slot->state = POOL_SLOT_RESTARTING;
	int r = loop_add_timer(pool->options.env->loop, on_restart, slot, &slot->timer);
	if (r == 0) {
		r = loop_timer_arm(slot->timer, clock_monotonic_ns() + delay_ns);
	}
	if (r < 0) {
		slot->timer = loop_source_free(slot->timer);
		slot_start(slot);
	}
}

/* The slot has no worker although it should have one. */
static void slot_died(struct slot *slot, enum restart_cause cause, const struct worker_end *death)
{
	struct pool *pool = slot->pool;
	const char *id = pool->options.job_id;
	int64_t delay_ns = restart_delay_ns(&slot->restart, cause, n_done(pool),
					    (uint64_t)clock_monotonic_ns() / 1000);

	slot->state = POOL_SLOT_EXITED;
	if (delay_ns < 0) {
		struct failure failure;

		failure_set(&failure, worker_end_reason(death->cause),
			    "worker %" PRIu32 " %s, %u times in a row without a chunk done",
			    slot->index, death->what, restart_max_stuck(cause));
		pool_stop(pool, &failure, STOP_GRACE_NS);
		return;
	}
	log_job(LOG_LEVEL_WARNING, id, (int)slot->index, "worker %s; the next one starts in %.1f s",
		death->what, (double)delay_ns / (double)CLOCK_NS_PER_SEC);
	pool->options.tally->restarts++;
	if (delay_ns == 0) {
		slot_start(slot);
	} else {
		slot_start_after(slot, delay_ns);
	}
}

/* A permanent failure that the worker has named. */
static bool fail_reported(struct pool *pool, uint32_t slot)
{
	char message[CHUNK_TABLE_MESSAGE_MAX];
	struct failure failure;
	uint32_t reason;

	if (!chunk_table_report(pool->options.table, slot, &reason, message)) {
		return false;
	}
	if (reason == JOB_REASON_OK || reason >= JOB_N_REASONS) {
		reason = JOB_REASON_INTERNAL;
	}
	failure_set(&failure, (enum job_reason)reason, "%s", message);
	pool_stop(pool, &failure, STOP_GRACE_NS);
	return true;
}

static void slot_reaped(struct slot *slot, const siginfo_t *info, const struct worker_end *death)
{
	struct pool *pool = slot->pool;
	enum restart_cause cause = RESTART_CAUSE_KILL;
	enum blame blame = BLAME_NOBODY;
	struct failure failure;

	if (pool->is_stopping) {
		return;
	}
	bool is_refused = worker_end_is_refused(info);
	if ((is_refused || worker_end_is_exit(info, WORKER_EXIT_REPORTED)) &&
	    fail_reported(pool, slot->index)) {
		return;
	}
	if (is_refused) {
		failure_set(&failure, JOB_REASON_INTERNAL, "worker %" PRIu32 " %s", slot->index,
			    death->what);
		pool_stop(pool, &failure, STOP_GRACE_NS);
		return;
	}
	if (worker_end_is_fault(info, death)) {
		blame = blame_death(&pool->options, slot->index, death, &failure);
		cause = blame == BLAME_NOBODY ? RESTART_CAUSE_FAULT : RESTART_CAUSE_CHARGED;
	}
	unsigned n_freed = chunk_table_free_slot(pool->options.table, slot->index,
						 pool->options.folded);
	if (worker_end_is_exit(info, WORKER_EXIT_OK) && n_freed == 0 && is_drained(pool)) {
		return;
	}
	if (blame == BLAME_GIVE_UP) {
		pool_stop(pool, &failure, STOP_GRACE_NS);
		return;
	}
	slot_died(slot, cause, death);
}

/* A worker that was refused memory has said so, and counts as one that broke its limit. */
static void judge(struct slot *slot, const siginfo_t *info, struct worker_end *ret_death)
{
	const struct pool_options *options = &slot->pool->options;
	char message[CHUNK_TABLE_MESSAGE_MAX];
	uint32_t reason;

	worker_end_judge(info, &slot->kill, &options->env->oom, ret_death);
	if (worker_end_is_exit(info, WORKER_EXIT_REPORTED) &&
	    chunk_table_report(options->table, slot->index, &reason, message) &&
	    reason == JOB_REASON_MEMORY_LIMIT) {
		ret_death->cause = WORKER_CAUSE_MEMORY_LIMIT;
	}
}

static void on_child(void *userdata, const siginfo_t *info)
{
	struct slot *slot = userdata;
	struct pool *pool = slot->pool;
	struct worker_end death;

	slot->child = loop_source_free(slot->child);
	slot->pid = 0;
	slot->state = POOL_SLOT_EXITED;
	judge(slot, info, &death);
	pool->options.tally->exits[death.cause]++;
	pool->options.reaped(pool->options.userdata);
	slot_reaped(slot, info, &death);
	check_ended(pool);
}

/* --- start ------------------------------------------------------------------------------------ */

void pool_stats_name(uint32_t slot, char ret_name[static POOL_STATS_NAME_SIZE])
{
	snprintf(ret_name, POOL_STATS_NAME_SIZE, "worker-%" PRIu32 ".stats", slot);
}

static int make_stats_file(struct slot *slot)
{
	struct stats_identity identity = {
		.slot = slot->index,
		.generation = slot->generation,
		.started_at_ns = clock_realtime_ns(),
	};
	char name[POOL_STATS_NAME_SIZE];

	pool_stats_name(slot->index, name);
	return stats_file_create(slot->pool->options.run_dir_fd, name, &identity);
}

/*
 * Spec and plan are opened for each worker: descriptors that it inherits from a common one would
 * share their position with its siblings.
 */
static int open_input(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static int spawn_with(struct slot *slot, int spec_fd, int plan_fd, int stats_fd)
{
	const struct pool_options *options = &slot->pool->options;
	const struct scheduler_options *shared = &options->env->options;
	const int fixed[] = {spec_fd, plan_fd, options->table_fd, stats_fd, options->lock_fd};
	size_t n_fds = ARRAY_SIZE(fixed) + options->n_output_fds + shared->n_roots;
	CLEANUP(free_p) int *fds = calloc(n_fds, sizeof(*fds));
	char index[NUMBER_SIZE], n_roots[NUMBER_SIZE], memory_limit[NUMBER_SIZE];
	const char *const argv[] = {"convert",	       index, n_roots, memory_limit,
				    options->job_name, NULL};

	if (fds == NULL) {
		return -ENOMEM;
	}
	memcpy(fds, fixed, sizeof(fixed));
	memcpy(fds + ARRAY_SIZE(fixed), options->output_fds, options->n_output_fds * sizeof(*fds));
	memcpy(fds + ARRAY_SIZE(fixed) + options->n_output_fds, shared->root_fds,
	       shared->n_roots * sizeof(*fds));
	snprintf(index, sizeof(index), "%" PRIu32, slot->index);
	snprintf(n_roots, sizeof(n_roots), "%zu", shared->n_roots);
	snprintf(memory_limit, sizeof(memory_limit), "%" PRIu64, options->memory_limit_bytes);
	struct child_spec child = {.argv = argv, .fds = fds, .n_fds = n_fds};
	return child_spawn(shared->program_fd, &child, &slot->pid);
}

static int slot_spawn(struct slot *slot)
{
	const struct pool_options *options = &slot->pool->options;
	CLEANUP(fd_closep) int spec_fd = open_input(options->job_dir_fd, "spec.json");
	CLEANUP(fd_closep) int plan_fd = open_input(options->run_dir_fd, "plan.json");
	CLEANUP(fd_closep) int stats_fd = make_stats_file(slot);

	if (spec_fd < 0 || plan_fd < 0 || stats_fd < 0) {
		return MIN(MIN(spec_fd, plan_fd), stats_fd);
	}
	int r = spawn_with(slot, spec_fd, plan_fd, stats_fd);
	if (r < 0) {
		slot->pid = 0;
		return r;
	}
	r = loop_add_child(options->env->loop, slot->pid, on_child, slot, &slot->child);
	if (r < 0) {
		kill(slot->pid, SIGKILL);
		waitpid(slot->pid, NULL, 0);
		slot->pid = 0;
	}
	return r;
}

/*
 * A fork takes milliseconds: one in each turn of the loop, which has others to serve. So each slot
 * calls for the next. Were all timers set at once, all would be due at once, and the loop serves
 * what has waited longest first: whoever came after them would wait for all.
 */
static void slot_start_next(struct slot *slot)
{
	struct pool *pool = slot->pool;

	if (slot->index + 1 < pool->options.n_slots && !pool->is_stopping) {
		slot_start_after(slot + 1, 0);
	}
}

static void slot_start(struct slot *slot)
{
	struct pool *pool = slot->pool;
	bool is_first = !slot->was_started;
	struct worker_end death = {.cause = WORKER_CAUSE_ERROR};

	if (!is_first) {
		slot->generation++;
	}
	slot->was_started = true;
	slot->kill = (struct worker_kill){0};
	chunk_table_clear_report(pool->options.table, slot->index);
	int r = slot_spawn(slot);
	if (r == 0) {
		slot->state = POOL_SLOT_RUNNING;
		log_job(LOG_LEVEL_DEBUG, pool->options.job_id, (int)slot->index,
			"worker %ld started", (long)slot->pid);
	} else {
		snprintf(death.what, sizeof(death.what), "could not be started (%s)", strerror(-r));
		slot_died(slot, RESTART_CAUSE_FAULT, &death);
	}
	if (is_first) {
		slot_start_next(slot);
	}
}

int pool_new(const struct pool_options *options, struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL) {
		return -ENOMEM;
	}
	pool->options = *options;
	pool->slots = calloc(options->n_slots, sizeof(*pool->slots));
	if (pool->slots == NULL) {
		free(pool);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < options->n_slots; i++) {
		pool->slots[i] = (struct slot){
			.pool = pool, .index = i, .state = POOL_SLOT_RESTARTING};
	}
	slot_start(&pool->slots[0]);
	check_ended(pool);
	*ret_pool = pool;
	return 0;
}

/* --- what others ask -------------------------------------------------------------------------- */

void pool_note_progress(struct pool *pool, uint32_t slot)
{
	if (slot < pool->options.n_slots) {
		restart_note_progress(&pool->slots[slot].restart);
	}
}

struct pool_slot_info pool_slot(const struct pool *pool, uint32_t slot)
{
	const struct slot *found = &pool->slots[slot];

	return (struct pool_slot_info){.state = found->state,
				       .pid = found->pid,
				       .generation = found->generation,
				       .was_started = found->was_started};
}

uint32_t pool_n_alive(const struct pool *pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->options.n_slots; i++) {
		n += pool->slots[i].pid > 0;
	}
	return n;
}

struct pool *pool_free(struct pool *pool)
{
	if (pool == NULL) {
		return NULL;
	}
	for (uint32_t i = 0; i < pool->options.n_slots; i++) {
		loop_source_free(pool->slots[i].child);
		loop_source_free(pool->slots[i].timer);
	}
	loop_source_free(pool->grace);
	loop_source_free(pool->defer);
	free(pool->slots);
	free(pool);
	return NULL;
}
