/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/util/macro.h"
#include "daemon/http/backend.h"

/*
 * Idempotency keys: a client that did not get the answer to a submission may send it again, and
 * gets the answer to the first, without a second job. As in
 * draft-ietf-httpapi-idempotency-key-header. Keys belong to a user; the last IDEMPOTENCY_MAX_KEYS
 * are known, within this daemon's life.
 */
enum { IDEMPOTENCY_MAX_KEYS = 1000, IDEMPOTENCY_MAX_KEY_BYTES = 255 };

struct idempotency;
struct idempotency_entry;

struct idempotency *idempotency_new(void); /* NULL: no memory */
struct idempotency *idempotency_free(struct idempotency *idempotency);

enum idempotency_answer {
	IDEMPOTENCY_FRESH,   /* do it, then idempotency_end() with *ret_entry */
	IDEMPOTENCY_KNOWN,   /* idempotency_result(*ret_entry) is the answer */
	IDEMPOTENCY_BUSY,    /* the first is still being worked on */
	IDEMPOTENCY_DIFFERS, /* the key came with another body */
	IDEMPOTENCY_INVALID, /* no such key is allowed */
};

/* -ENOMEM, or an enum idempotency_answer. */
int idempotency_begin(struct idempotency *idempotency, const struct http_submission *submission,
		      struct idempotency_entry **ret_entry) MUST_CHECK;

/*
 * Keeps a copy of the result; forgets the key if it is no answer to keep: an error of ours, which
 * a second try may not meet.
 */
void idempotency_end(struct idempotency *idempotency, struct idempotency_entry *entry,
		     const struct http_result *result);

/* Valid until the next call. */
struct http_result idempotency_result(const struct idempotency_entry *entry);
