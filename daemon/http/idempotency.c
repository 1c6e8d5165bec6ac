/* SPDX-License-Identifier: MIT */
/*
 * A list, newest first: submissions are few, and a search of a thousand keys costs microseconds.
 * Of a body only its hash and length are kept. An entry that is still being worked on is never
 * dropped: its owner holds a pointer to it.
 */
#include "daemon/http/idempotency.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "common/util/str.h"
#include "daemon/http/hash.h"

struct idempotency_entry {
	TAILQ_ENTRY(idempotency_entry) link;
	char *key;
	uid_t uid;
	uint64_t hash;
	size_t len;
	bool is_done;
	unsigned status;
	char *job_id, *text, *detail_json;
};

struct idempotency {
	TAILQ_HEAD(idempotency_head, idempotency_entry) entries; /* newest first */
	size_t n_entries;
};

static void entry_free(struct idempotency_entry *entry)
{
	free(entry->key);
	free(entry->job_id);
	free(entry->text);
	free(entry->detail_json);
	free(entry);
}

static void drop(struct idempotency *idempotency, struct idempotency_entry *entry)
{
	TAILQ_REMOVE(&idempotency->entries, entry, link);
	idempotency->n_entries--;
	entry_free(entry);
}

struct idempotency *idempotency_new(void)
{
	struct idempotency *idempotency = calloc(1, sizeof(*idempotency));

	if (idempotency != NULL) {
		TAILQ_INIT(&idempotency->entries);
	}
	return idempotency;
}

struct idempotency *idempotency_free(struct idempotency *idempotency)
{
	while (idempotency != NULL && !TAILQ_EMPTY(&idempotency->entries)) {
		drop(idempotency, TAILQ_FIRST(&idempotency->entries));
	}
	free(idempotency);
	return NULL;
}

static bool is_valid_key(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++) {
		if (key[i] < 0x20 || key[i] > 0x7e) {
			return false;
		}
	}
	return len > 0 && len <= IDEMPOTENCY_MAX_KEY_BYTES;
}

/* The name is part of what was asked for. */
static uint64_t hash_of(const struct http_submission *submission)
{
	const char *name = submission->name_hint != NULL ? submission->name_hint : "";

	return hash_add(hash_add(HASH_START, name, strlen(name) + 1), submission->text,
			submission->len);
}

static struct idempotency_entry *find(struct idempotency *idempotency, const char *key, uid_t uid)
{
	struct idempotency_entry *entry;

	TAILQ_FOREACH(entry, &idempotency->entries, link)
	{
		if (entry->uid == uid && str_equal(entry->key, key)) {
			return entry;
		}
	}
	return NULL;
}

static void make_room(struct idempotency *idempotency)
{
	struct idempotency_entry *entry = TAILQ_LAST(&idempotency->entries, idempotency_head);

	while (entry != NULL && idempotency->n_entries >= IDEMPOTENCY_MAX_KEYS) {
		struct idempotency_entry *newer = TAILQ_PREV(entry, idempotency_head, link);

		if (entry->is_done) {
			drop(idempotency, entry);
		}
		entry = newer;
	}
}

int idempotency_begin(struct idempotency *idempotency, const struct http_submission *submission,
		      struct idempotency_entry **ret_entry)
{
	struct idempotency_entry *entry;

	if (!is_valid_key(submission->idempotency_key)) {
		return IDEMPOTENCY_INVALID;
	}
	entry = find(idempotency, submission->idempotency_key, submission->uid);
	if (entry != NULL) {
		if (entry->hash != hash_of(submission) || entry->len != submission->len) {
			return IDEMPOTENCY_DIFFERS;
		}
		*ret_entry = entry;
		return entry->is_done ? IDEMPOTENCY_KNOWN : IDEMPOTENCY_BUSY;
	}
	make_room(idempotency);
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL) {
		return -ENOMEM;
	}
	entry->key = strdup(submission->idempotency_key);
	if (entry->key == NULL) {
		free(entry);
		return -ENOMEM;
	}
	entry->uid = submission->uid;
	entry->hash = hash_of(submission);
	entry->len = submission->len;
	TAILQ_INSERT_HEAD(&idempotency->entries, entry, link);
	idempotency->n_entries++;
	*ret_entry = entry;
	return IDEMPOTENCY_FRESH;
}

/* False: no memory. */
static bool copy_text(char **ret_copy, const char *text)
{
	*ret_copy = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret_copy != NULL;
}

void idempotency_end(struct idempotency *idempotency, struct idempotency_entry *entry,
		     const struct http_result *result)
{
	entry->is_done = true;
	entry->status = result->status;
	if (result->status >= 500 || !copy_text(&entry->job_id, result->job_id) ||
	    !copy_text(&entry->text, result->text) ||
	    !copy_text(&entry->detail_json, result->detail_json)) {
		drop(idempotency, entry);
	}
}

struct http_result idempotency_result(const struct idempotency_entry *entry)
{
	return (struct http_result){
		.status = entry->status,
		.job_id = entry->job_id,
		.text = entry->text,
		.detail_json = entry->detail_json,
	};
}
