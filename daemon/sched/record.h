/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/worker_cause.h"
#include "common/util/buf.h"
#include "common/util/macro.h"

/*
 * A plain struct and its JSON object, by one table for both directions. Unknown members are
 * ignored (a later version may have written them), missing ones keep their zero unless required, a
 * value of the wrong type or range is an error.
 */
enum record_kind {
	RECORD_STRING, /* char *, malloc'ed; NULL is left out */
	RECORD_COUNT,  /* int64_t, not negative */
	RECORD_U64,    /* uint64_t, bit for bit as a signed number */
	RECORD_U32,
	RECORD_INT,
	RECORD_BOOL,
	RECORD_DOUBLE, /* finite, not negative */
	RECORD_STATE,  /* enum job_state, by name */
	RECORD_REASON, /* enum job_reason, by name */
};

struct record_field {
	const char *name;
	size_t offset;
	enum record_kind kind;
	bool is_required;
};

#define RECORD_FIELD(type, field_kind, member, required)                                           \
	{                                                                                          \
		.name = #member, .offset = offsetof(type, member), .kind = (field_kind),           \
		.is_required = (required)                                                          \
	}

/* One element of an array of counts, under a name of its own. */
#define RECORD_COUNT_AT(type, member, index, text)                                                 \
	{                                                                                          \
		.name = (text), .offset = offsetof(type, member) + (index) * sizeof(int64_t),      \
		.kind = RECORD_COUNT                                                               \
	}

/* For a struct with int64_t worker_exits[WORKER_N_CAUSES]. */
#define RECORD_WORKER_EXITS(type)                                                                  \
	RECORD_COUNT_AT(type, worker_exits, WORKER_CAUSE_OK, "worker_exits_ok"),                   \
		RECORD_COUNT_AT(type, worker_exits, WORKER_CAUSE_ERROR, "worker_exits_error"),     \
		RECORD_COUNT_AT(type, worker_exits, WORKER_CAUSE_SIGNAL, "worker_exits_signal"),   \
		RECORD_COUNT_AT(type, worker_exits, WORKER_CAUSE_OOM, "worker_exits_oom"),         \
		RECORD_COUNT_AT(type, worker_exits, WORKER_CAUSE_MEMORY_LIMIT,                     \
				"worker_exits_memory_limit"),                                      \
		RECORD_COUNT_AT(type, worker_exits, WORKER_CAUSE_STALLED, "worker_exits_stalled")

/* Adds `"name":value` pairs, separated by commas, none before the first. */
void record_render(const struct record_field *fields, size_t n_fields, const void *record,
		   struct buf *out);

/*
 * Fills in the record, which begins as zeros. 0, -EINVAL or -ENOMEM; after a failure too, the
 * strings set so far are the record's.
 */
int record_parse(const struct record_field *fields, size_t n_fields, const json_t *object,
		 void *record) MUST_CHECK;

/* Frees all strings. */
void record_free_strings(const struct record_field *fields, size_t n_fields, void *record);

/*
 * Parses a text whose top is an object with "version": 1. Returns 0 and a new reference, -EINVAL,
 * or -ENOMEM.
 */
int record_load(const char *text, size_t len, json_t **ret_object) MUST_CHECK;
void record_unrefp(json_t **object);

/* Rejects by code, as an object of the codes that are not 0. */
void record_render_rejects(const int64_t *rejects, struct buf *out);
int record_parse_rejects(const json_t *object, int64_t *ret_rejects) MUST_CHECK;
