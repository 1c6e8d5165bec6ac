/* SPDX-License-Identifier: MIT */
/*
 * Time is added up from round to round, and a round adds half a second at most. So a daemon that
 * was itself stopped, or starved, does not hold its own silence against workers that stood still
 * with it: they have their turn before the limit is reached. (A suspended machine adds nothing:
 * CLOCK_MONOTONIC stands still.)
 *
 * A worker that waits for another's chunk gives signs of life and is never hung. That all wait and
 * nobody comes forward is another fault: of the table by which they wait. It is told only while
 * everybody is heard of, since who waits for a hung worker, or for one that the kernel will not
 * let go, waits rightly.
 */
#include "daemon/sched/stall.h"

#include <errno.h>
#include <stdlib.h>

#include "common/util/clock.h"

#define QUIET_NS  (500 * CLOCK_NS_PER_MS)
#define UNDEAD_NS (5 * CLOCK_NS_PER_SEC)

struct stall_slot {
	bool is_known; /* the counts are those of this generation */
	bool is_condemned, is_told;
	uint32_t generation;
	uint64_t n_beats, n_steps;
	int64_t silent_ns; /* since the last sign, or since the process was first seen */
	int64_t condemned_ns;
};

int stall_init(struct stall *stall, int64_t limit_ns, uint32_t n_slots)
{
	*stall = (struct stall){.limit_ns = limit_ns, .n_slots = n_slots};
	stall->slots = calloc(n_slots, sizeof(*stall->slots));
	return stall->slots == NULL ? -ENOMEM : 0;
}

void stall_deinit(struct stall *stall)
{
	free(stall->slots);
	*stall = (struct stall){0};
}

void stall_tick(struct stall *stall, int64_t now_ns)
{
	int64_t elapsed_ns = stall->ticked_ns != 0 ? now_ns - stall->ticked_ns : 0;

	stall->step_ns = MAX(MIN(elapsed_ns, STALL_LONGEST_STEP_NS), INT64_C(0));
	stall->ticked_ns = now_ns;
	stall->idle_ns += stall->step_ns;
	stall->n_alive = 0;
}

static enum stall_verdict look_at_silent(struct stall *stall, struct stall_slot *slot)
{
	slot->silent_ns += stall->step_ns;
	if (slot->silent_ns >= QUIET_NS) {
		stall->idle_ns = 0;
	}
	if (slot->is_condemned) {
		slot->condemned_ns += stall->step_ns;
		if (slot->condemned_ns < UNDEAD_NS || slot->is_told) {
			return STALL_NONE;
		}
		slot->is_told = true;
		return STALL_UNDEAD;
	}
	slot->is_condemned = slot->silent_ns >= stall->limit_ns;
	return slot->is_condemned ? STALL_HUNG : STALL_NONE;
}

enum stall_verdict stall_look(struct stall *stall, uint32_t index, const struct stall_sign *sign)
{
	struct stall_slot *slot = &stall->slots[index];

	if (sign->is_restarting) {
		stall->idle_ns = 0;
	}
	if (!sign->is_alive) {
		*slot = (struct stall_slot){0};
		return STALL_NONE;
	}
	stall->n_alive++;
	if (!slot->is_known || slot->generation != sign->generation) {
		*slot = (struct stall_slot){.is_known = true,
					    .generation = sign->generation,
					    .n_beats = sign->n_beats,
					    .n_steps = sign->n_steps};
		stall->idle_ns = 0;
		return STALL_NONE;
	}
	if (slot->n_steps != sign->n_steps) {
		stall->idle_ns = 0;
	}
	if (slot->n_beats == sign->n_beats && slot->n_steps == sign->n_steps) {
		return look_at_silent(stall, slot);
	}
	slot->n_beats = sign->n_beats;
	slot->n_steps = sign->n_steps;
	slot->silent_ns = 0;
	return STALL_NONE;
}

bool stall_is_deadlock(const struct stall *stall)
{
	return stall->n_alive > 0 && stall->idle_ns >= stall->limit_ns;
}
