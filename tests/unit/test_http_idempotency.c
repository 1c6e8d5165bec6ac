/* SPDX-License-Identifier: MIT */
#include "daemon/http/idempotency.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

static struct idempotency *store;
static struct idempotency_entry *entry;

static int begin(const char *key, const char *text, uid_t uid)
{
	const struct http_submission submission = {
		.text = text, .len = strlen(text), .idempotency_key = key, .uid = uid};

	if (store == NULL) {
		store = idempotency_new();
	}
	return idempotency_begin(store, &submission, &entry);
}

static void end(unsigned status)
{
	char id[] = "1A";

	idempotency_end(store, entry,
			&(struct http_result){.status = status, .job_id = id, .text = "done"});
	id[0] = 'x'; /* it must have been copied */
}

START_TEST(the_second_of_a_key_gets_the_answer_of_the_first)
{
	struct http_result result;

	ck_assert_int_eq(begin("k", "{}", 1), IDEMPOTENCY_FRESH);
	ck_assert_int_eq(begin("k", "{}", 1), IDEMPOTENCY_BUSY);
	end(202);
	ck_assert_int_eq(begin("k", "{}", 1), IDEMPOTENCY_KNOWN);
	result = idempotency_result(entry);
	ck_assert_uint_eq(result.status, 202);
	ck_assert_str_eq(result.job_id, "1A");
	ck_assert_str_eq(result.text, "done");
	ck_assert_ptr_null(result.detail_json);
	idempotency_free(store);
}
END_TEST

START_TEST(another_body_or_another_user_is_another_matter)
{
	ck_assert_int_eq(begin("k", "{}", 1), IDEMPOTENCY_FRESH);
	ck_assert_int_eq(begin("k", "{ }", 1), IDEMPOTENCY_DIFFERS);
	ck_assert_int_eq(begin("k", "{}", 2), IDEMPOTENCY_FRESH);
	ck_assert_int_eq(begin("K", "{}", 1), IDEMPOTENCY_FRESH);
	idempotency_free(store);
}
END_TEST

START_TEST(our_own_failures_may_be_tried_again)
{
	ck_assert_int_eq(begin("k", "{}", 1), IDEMPOTENCY_FRESH);
	end(503);
	ck_assert_int_eq(begin("k", "{}", 1), IDEMPOTENCY_FRESH);
	end(422);
	ck_assert_int_eq(begin("k", "{}", 1), IDEMPOTENCY_KNOWN);
	idempotency_free(store);
}
END_TEST

START_TEST(keys_are_printable_and_short)
{
	char key[IDEMPOTENCY_MAX_KEY_BYTES + 2];

	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	ck_assert_int_eq(begin(key, "{}", 1), IDEMPOTENCY_INVALID);
	key[sizeof(key) - 2] = '\0';
	ck_assert_int_eq(begin(key, "{}", 1), IDEMPOTENCY_FRESH);
	ck_assert_int_eq(begin("", "{}", 1), IDEMPOTENCY_INVALID);
	ck_assert_int_eq(begin("a\tb", "{}", 1), IDEMPOTENCY_INVALID);
	ck_assert_int_eq(begin("\xc3\xa4", "{}", 1), IDEMPOTENCY_INVALID);
	idempotency_free(store);
}
END_TEST

START_TEST(the_oldest_key_is_forgotten_but_never_one_under_way)
{
	char key[16];

	ck_assert_int_eq(begin("busy", "{}", 1), IDEMPOTENCY_FRESH);
	for (int i = 0; i < IDEMPOTENCY_MAX_KEYS; i++) {
		snprintf(key, sizeof(key), "%d", i);
		ck_assert_int_eq(begin(key, "{}", 1), IDEMPOTENCY_FRESH);
		end(202);
	}
	ck_assert_int_eq(begin("busy", "{}", 1), IDEMPOTENCY_BUSY);
	ck_assert_int_eq(begin("1", "{}", 1), IDEMPOTENCY_KNOWN);
	ck_assert_int_eq(begin("0", "{}", 1), IDEMPOTENCY_FRESH);
	idempotency_free(store);
}
END_TEST

UNIT_MAIN(the_second_of_a_key_gets_the_answer_of_the_first,
	  another_body_or_another_user_is_another_matter, our_own_failures_may_be_tried_again,
	  keys_are_printable_and_short, the_oldest_key_is_forgotten_but_never_one_under_way)
