/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/util/macro.h"

/*
 * Which workers hang. Pure: the caller brings clock and signs of life.
 *
 * Each round is one stall_tick() and then one stall_look() for each slot. The signs are the
 * workers' own counts (chunk_table_beat), of which only the change counts; the time is the
 * caller's.
 */

/* A round counts for no more than this, however long ago the last one was. */
#define STALL_LONGEST_STEP_NS INT64_C(500000000)

struct stall_slot; /* private */

struct stall {
	int64_t limit_ns;
	int64_t ticked_ns; /* the last round; 0: none yet */
	int64_t step_ns;   /* what this round counts for */
	int64_t idle_ns;   /* how long all have been alive and nobody has come forward */
	uint32_t n_slots, n_alive;
	struct stall_slot *slots;
};

/* What is known of a slot in this round. */
struct stall_sign {
	bool is_alive;	    /* it has a process */
	bool is_restarting; /* it will have one */
	uint32_t generation;
	uint64_t n_beats; /* signs of life */
	uint64_t n_steps; /* those of them that come forward */
};

enum stall_verdict {
	STALL_NONE,
	STALL_HUNG,   /* silent for limit_ns: to be killed. Said once */
	STALL_UNDEAD, /* was to be killed long ago and still has a process. Said once */
};

int stall_init(struct stall *stall, int64_t limit_ns, uint32_t n_slots) MUST_CHECK;
void stall_deinit(struct stall *stall);

void stall_tick(struct stall *stall, int64_t now_ns);
enum stall_verdict stall_look(struct stall *stall, uint32_t index, const struct stall_sign *sign);

/* At the end of a round: all who live only wait, for each other it seems, since limit_ns. */
bool stall_is_deadlock(const struct stall *stall);
