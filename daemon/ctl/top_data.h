/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/ctl/api.h"
#include "daemon/ctl/job_info.h"

/* What `zooparallel top` shows: one look at the daemon, its jobs chosen and in order. */

enum top_key {
	TOP_KEY_NAME,
	TOP_KEY_STATE,
	TOP_KEY_RATE,
	TOP_KEY_ROWS,
	TOP_KEY_REJECTS,
	TOP_KEY_RAM,
	TOP_KEY_PROGRESS,
	TOP_KEY_AGE,
	TOP_N_KEYS,
};

/* Which jobs, and in what order. */
struct top_choice {
	bool has_state;
	enum job_state state;
	char name[65]; /* a part of it; "": any */
	enum top_key key;
	bool is_reversed;
};

/* --sort's word for the key, and the letter that chooses it on the screen. */
const char *top_key_name(enum top_key key);
char top_key_letter(enum top_key key);
int top_key_parse(const char *name, enum top_key *ret) MUST_CHECK; /* -EINVAL */

struct top_data {
	int64_t at_ns;	   /* when it was asked for; CLOCK_REALTIME */
	int error;	   /* of api.h; 0: the daemon has answered */
	char problem[256]; /* why there is nothing to show; "" if there is */
	json_t *status;	   /* /api/v1/status; NULL with a problem */
	json_t *lists[3];  /* what the jobs' strings belong to */
	struct job_info *jobs;
	size_t n_jobs;
	bool is_partial; /* the daemon has more jobs of this choice */
};

#define TOP_DATA_INIT ((struct top_data){0})

/*
 * Asks the daemon, at most TOP_TIMEOUT_NS for an answer, and replaces what `data` had. What goes
 * wrong is told in data->problem. Jobs that live come first: of the ended ones only the newest are
 * looked at.
 */
#define TOP_TIMEOUT_NS (INT64_C(1000) * 1000 * 1000)
void top_data_load(struct top_data *data, struct api *api, const char *socket_path,
		   const struct top_choice *choice);
void top_data_deinit(struct top_data *data);

/* Sorts and filters jobs that were read: the pure half of it. Returns how many are left. */
size_t top_data_choose(struct job_info *jobs, size_t n_jobs, const struct top_choice *choice);
