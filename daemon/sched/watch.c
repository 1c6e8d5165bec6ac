/* SPDX-License-Identifier: MIT */
/*
 * A slot's file is replaced with each new worker, so a mapping belongs to one generation. A
 * mapping alone cannot see that the name leads elsewhere by now; once a second it is checked.
 * Whatever is found broken is shown as such, logged once for each worker, and tried again at the
 * next check.
 */
#include "daemon/sched/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/model/stats_file.h"
#include "common/util/clock.h"
#include "common/util/log.h"
#include "common/util/process.h"

#define MAX_PSS_PER_TICK  20
#define PSS_INTERVAL_NS	  CLOCK_NS_PER_SEC
#define CHECK_INTERVAL_NS CLOCK_NS_PER_SEC

struct watched {
	struct stats_reader reader;
	bool is_open;
	uint32_t generation; /* of the file that is mapped, or was tried */
	int64_t checked_ns, pss_ns;
	bool is_logged; /* as broken, in this generation */
};

struct watch {
	struct worker_tally *tally;
	const char *job_id;
	int run_dir_fd;
	uint32_t n_slots;
	uint32_t next_pss; /* slot whose turn it is */
	struct watched *slots;
	struct worker_view *views;
	struct watch_memory memory;
};

static void note_fault(struct watch *watch, uint32_t slot, enum stats_fault fault)
{
	struct watched *watched = &watch->slots[slot];

	watch->views[slot].is_stats_valid = false;
	if (!watched->is_logged) {
		watched->is_logged = true;
		watch->tally->stats_files_invalid++;
		log_job(LOG_LEVEL_WARNING, watch->job_id, (int)slot,
			"the stats file %s; its numbers are not shown", stats_fault_message(fault));
	}
}

static enum stats_fault open_reader(struct watch *watch, uint32_t slot)
{
	struct watched *watched = &watch->slots[slot];
	char name[POOL_STATS_NAME_SIZE];

	pool_stats_name(slot, name);
	int r = stats_file_open(watch->run_dir_fd, name, &watched->reader);
	watched->is_open = r == 0;
	return r < 0 ? STATS_FAULT_UNREADABLE : (enum stats_fault)r;
}

static enum stats_fault recheck(struct watch *watch, uint32_t slot)
{
	struct watched *watched = &watch->slots[slot];
	char name[POOL_STATS_NAME_SIZE];

	if (!watched->is_open) {
		return open_reader(watch, slot);
	}
	pool_stats_name(slot, name);
	enum stats_fault fault = stats_file_recheck(&watched->reader, watch->run_dir_fd, name);
	if (fault != STATS_FAULT_NONE) {
		stats_file_close(&watched->reader);
		watched->is_open = false;
	}
	return fault;
}

/* Sees to it that the slot's current file is mapped, if it can be. */
static enum stats_fault refresh(struct watch *watch, uint32_t slot, uint32_t generation,
				int64_t now_ns)
{
	struct watched *watched = &watch->slots[slot];

	if (watched->generation != generation || watched->checked_ns == 0) {
		stats_file_close(&watched->reader);
		watched->generation = generation;
		watched->checked_ns = now_ns;
		watched->is_logged = false;
		return open_reader(watch, slot);
	}
	if (now_ns - watched->checked_ns >= CHECK_INTERVAL_NS) {
		watched->checked_ns = now_ns;
		return recheck(watch, slot);
	}
	return watched->is_open ? STATS_FAULT_NONE : STATS_FAULT_MISSING;
}

static void fill_view(struct worker_view *view, const struct stats_snapshot *snapshot,
		      int64_t now_ns)
{
	const int64_t *values = snapshot->values;
	int64_t heartbeat_ns = values[COUNTER_HEARTBEAT];

	view->is_stats_valid = true;
	view->total_processed = values[COUNTER_TOTAL_PROCESSED];
	view->success_count = values[COUNTER_SUCCESS_COUNT];
	view->error_count = values[COUNTER_ERROR_COUNT];
	view->filtered = values[COUNTER_FILTERED];
	view->ram_bytes = values[COUNTER_RAM_BYTES];
	view->peak_ram_bytes = values[COUNTER_PEAK_RAM_BYTES];
	view->bytes_read = values[COUNTER_BYTES_READ];
	view->bytes_written = values[COUNTER_BYTES_WRITTEN];
	view->chunks_done = values[COUNTER_CHUNKS_DONE];
	view->current_chunk = values[COUNTER_CURRENT_CHUNK];
	view->phase = values[COUNTER_PHASE];
	view->heartbeat_age_seconds = 0.0;
	if (heartbeat_ns > 0 && heartbeat_ns < now_ns) {
		view->heartbeat_age_seconds = (double)(now_ns - heartbeat_ns) /
					      (double)CLOCK_NS_PER_SEC;
	}
}

static const char *state_name(const struct pool_slot_info *info,
			      const struct stats_snapshot *snapshot)
{
	if (info->state == POOL_SLOT_RESTARTING) {
		return "restarting";
	}
	if (info->state == POOL_SLOT_EXITED) {
		return "exited";
	}
	/* The worker names itself in the page as its first act. */
	return snapshot != NULL && snapshot->identity.pid == 0 ? "starting" : "running";
}

static void sample(struct watch *watch, uint32_t slot, const struct pool_slot_info *info,
		   int64_t now_ns)
{
	struct watched *watched = &watch->slots[slot];
	/* The figure of the worker before says nothing of this one. */
	bool is_same = watch->views[slot].generation == info->generation && info->pid > 0;
	int64_t pss_bytes = is_same ? watch->views[slot].pss_bytes : 0;
	struct stats_snapshot snapshot;
	enum stats_fault fault = refresh(watch, slot, info->generation, now_ns);

	watch->views[slot] = (struct worker_view){
		.slot = slot, .pid = info->pid, .generation = info->generation};
	if (fault == STATS_FAULT_NONE) {
		fault = stats_file_read(&watched->reader, &snapshot);
	}
	if (fault == STATS_FAULT_NONE) {
		fill_view(&watch->views[slot], &snapshot, now_ns);
	} else {
		note_fault(watch, slot, fault);
	}
	watch->views[slot].state = state_name(info, fault == STATS_FAULT_NONE ? &snapshot : NULL);
	watch->views[slot].pss_bytes = pss_bytes;
	if (info->pid == 0) {
		watch->views[slot].ram_bytes = 0;
	}
}

/* A worker may be gone before it is reaped; then its last number stands until the next tick. */
static void sample_pss(struct watch *watch, int64_t now_ns)
{
	uint32_t n_asked = 0;

	for (uint32_t i = 0; i < watch->n_slots && n_asked < MAX_PSS_PER_TICK; i++) {
		uint32_t slot = watch->next_pss;
		struct watched *watched = &watch->slots[slot];
		struct worker_view *view = &watch->views[slot];
		int64_t bytes;

		if (view->pid > 0) {
			if (watched->pss_ns != 0 && now_ns - watched->pss_ns < PSS_INTERVAL_NS) {
				return;
			}
			watched->pss_ns = now_ns;
			n_asked++;
			if (process_proportional_bytes(view->pid, &bytes) == 0) {
				view->pss_bytes = bytes;
			}
		}
		watch->next_pss = (slot + 1) % watch->n_slots;
	}
}

static void sum_memory(struct watch *watch)
{
	int64_t peak_bytes = 0;

	watch->memory.ram_bytes = 0;
	watch->memory.pss_bytes = 0;
	for (uint32_t slot = 0; slot < watch->n_slots; slot++) {
		const struct worker_view *view = &watch->views[slot];
		int64_t sums[COUNTER_N] = {
			[COUNTER_RAM_BYTES] = watch->memory.ram_bytes,
			[COUNTER_PEAK_RAM_BYTES] = peak_bytes,
		};
		int64_t values[COUNTER_N] = {
			[COUNTER_RAM_BYTES] = view->ram_bytes,
			[COUNTER_PEAK_RAM_BYTES] = view->peak_ram_bytes,
		};

		counter_fold_values(sums, values);
		watch->memory.ram_bytes = sums[COUNTER_RAM_BYTES];
		peak_bytes = sums[COUNTER_PEAK_RAM_BYTES];
		watch->memory.pss_bytes += view->pss_bytes;
	}
	watch->memory.peak_ram_bytes = MAX(watch->memory.peak_ram_bytes, peak_bytes);
}

void watch_tick(struct watch *watch, const struct pool *pool, int64_t now_ns)
{
	for (uint32_t slot = 0; slot < watch->n_slots; slot++) {
		struct pool_slot_info info = pool_slot(pool, slot);

		if (info.was_started) { /* else there is no stats file yet, and none is missed */
			sample(watch, slot, &info, now_ns);
		}
	}
	sample_pss(watch, now_ns);
	sum_memory(watch);
}

struct watch_memory watch_memory(const struct watch *watch)
{
	return watch->memory;
}

const struct worker_view *watch_views(const struct watch *watch)
{
	return watch->views;
}

int watch_new(struct worker_tally *tally, const char *job_id, int run_dir_fd, uint32_t n_slots,
	      struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL) {
		return -ENOMEM;
	}
	watch->tally = tally;
	watch->job_id = job_id;
	watch->run_dir_fd = run_dir_fd;
	watch->n_slots = n_slots;
	watch->slots = calloc(n_slots, sizeof(*watch->slots));
	watch->views = calloc(n_slots, sizeof(*watch->views));
	if (watch->slots == NULL || watch->views == NULL) {
		watch_free(watch);
		return -ENOMEM;
	}
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		watch->views[slot] = (struct worker_view){.slot = slot, .state = "starting"};
	}
	*ret_watch = watch;
	return 0;
}

struct watch *watch_free(struct watch *watch)
{
	if (watch == NULL) {
		return NULL;
	}
	for (uint32_t slot = 0; slot < watch->n_slots && watch->slots != NULL; slot++) {
		stats_file_close(&watch->slots[slot].reader);
	}
	free(watch->slots);
	free(watch->views);
	free(watch);
	return NULL;
}
