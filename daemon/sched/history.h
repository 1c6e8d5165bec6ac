/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/sched/env.h"
#include "daemon/sched/job.h"
#include "daemon/sched/job_store.h"

/*
 * The counters that outlive jobs and restarts. Results are folded into a base in the order of
 * their finish sequence, which is given out before a job is published: a job that publishes
 * quickly waits in here for one with an earlier number that still does.
 */
struct history;

int history_new(struct sched_env *env, struct history **ret_history) MUST_CHECK;
struct history *history_free(struct history *history);

/* Reads the base from the state directory; before the loop runs. A broken one is an error. */
int history_load(struct history *history) MUST_CHECK;

/* Folds what job_store_load() has found, any order; n_jobs ended jobs. */
void history_load_results(struct history *history, struct job *const *jobs, size_t n_jobs);

/* The newest job ID that was ever given out; to be kept current. */
char *history_last_id(struct history *history);

uint64_t history_reserve_sequence(struct history *history);

/* A job has ended with a reserved sequence: folds it as soon as it is its turn. */
void history_add(struct history *history, struct job *job);

/* Writes the base if it has changed since; asynchronous. */
void history_save(struct history *history);
bool history_is_dirty(const struct history *history);

/* Whether the job's counters are on disk without its own files. */
bool history_is_safe_without(const struct history *history, const struct job *job);

/*
 * The base, and on top of it the accepted rows of all jobs that are not folded yet. Names are given
 * their places in the base, for good: the first NAME_TOTALS_MAX - 1 one of their own, the others
 * that of "_other". Valid until the next call. NULL: no memory.
 */
const struct totals_view *history_totals(struct history *history, const struct job_list *jobs);
