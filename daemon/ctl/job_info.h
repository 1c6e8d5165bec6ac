/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/model/job_state.h"
#include "common/util/macro.h"

/*
 * A job as the API tells it, or as its result.json does once it has ended. Strings belong to the
 * JSON, which must live as long; they are untrusted (text.h). What is missing is "", 0, or -1
 * where that means unknown.
 */
struct job_info {
	const char *id;
	const char *name;
	enum job_state state;
	const char *reason; /* its name: a newer daemon may know more of them */
	const char *message;
	const char *phase;
	int64_t total_processed, success_count, error_count, filtered;
	int64_t ram_bytes;
	double items_per_second;
	double progress;    /* 0..1; -1: unknown */
	double eta_seconds; /* -1: unknown */
	double duration_seconds;
	int64_t submitted_at_ns; /* since 1970; 0: unknown */
	const json_t *json;
};

/* -EPROTO if that is no job: no id, or no state that we know. */
int job_info_read(const json_t *json, struct job_info *ret_info) MUST_CHECK;

/* The typed reason; JOB_REASON_INTERNAL for one that we do not know. */
enum job_reason job_info_reason(const struct job_info *info);

/* Members of any JSON object. */
const char *job_info_text(const json_t *object, const char *key); /* "" if it is no string */
int64_t job_info_integer(const json_t *object, const char *key);  /* 0 if it is no number */
double job_info_number(const json_t *object, const char *key, double fallback);
