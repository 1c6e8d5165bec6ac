/* SPDX-License-Identifier: MIT */
#include "common/model/json_locate.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "common/util/buf.h"
#include "tests/support/unit.h"

static const char document[] =
	"{\n"
	"  \"version\": 1,\n"
	"\t\"pipes\": [ {}, {\"input\": {\"päth\":\"ä]}\\\"\", \"limit\":null}},\n"
	"    [[1, 2], \"x\"] ],\n"
	"  \"a b\": true, \"\\u006eame\" : \"n\", \"\": 0, \"last\":-1.5e3}\n";

struct expectation {
	struct json_step steps[4];
	size_t n_steps;
	enum json_locate_target target;
	unsigned line;
	unsigned column;
	const char *path;
};

static void check_found(const struct expectation *expected)
{
	struct json_place place;

	ck_assert_int_eq(json_locate(document, strlen(document), expected->steps, expected->n_steps,
				     expected->target, &place),
			 0);
	ck_assert_uint_eq(place.line, expected->line);
	ck_assert_uint_eq(place.column, expected->column);
	ck_assert_str_eq(place.path, expected->path);
}

START_TEST(values_are_found_by_key_and_index)
{
	static const struct expectation expectations[] = {
		{{{0}}, 0, JSON_LOCATE_VALUE, 1, 1, "$"},
		{{{"version", 0}}, 1, JSON_LOCATE_VALUE, 2, 14, "$.version"},
		{{{"pipes", 0}}, 1, JSON_LOCATE_VALUE, 3, 11, "$.pipes"},
		{{{"pipes", 0}, {NULL, 0}}, 2, JSON_LOCATE_VALUE, 3, 13, "$.pipes[0]"},
		{{{"pipes", 0}, {NULL, 1}, {"input", 0}},
		 3,
		 JSON_LOCATE_VALUE,
		 3,
		 27,
		 "$.pipes[1].input"},
		{{{"pipes", 0}, {NULL, 2}, {NULL, 0}, {NULL, 1}},
		 4,
		 JSON_LOCATE_VALUE,
		 4,
		 10,
		 "$.pipes[2][0][1]"},
		{{{"pipes", 0}, {NULL, 2}, {NULL, 1}},
		 3,
		 JSON_LOCATE_VALUE,
		 4,
		 14,
		 "$.pipes[2][1]"},
		{{{"last", 0}}, 1, JSON_LOCATE_VALUE, 5, 49, "$.last"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		check_found(&expectations[i]);
	}
}
END_TEST

START_TEST(columns_count_characters_not_bytes)
{
	/* "päth" and "ä" stand before it: two bytes more than characters */
	check_found(&(struct expectation){{{"pipes", 0}, {NULL, 1}, {"input", 0}, {"limit", 0}},
					  4,
					  JSON_LOCATE_VALUE,
					  3,
					  52,
					  "$.pipes[1].input.limit"});
}
END_TEST

START_TEST(keys_are_found_at_their_opening_quote)
{
	check_found(&(struct expectation){{{"version", 0}}, 1, JSON_LOCATE_KEY, 2, 3, "$.version"});
	check_found(&(struct expectation){{{"a b", 0}}, 1, JSON_LOCATE_KEY, 5, 3, "$[\"a b\"]"});
	check_found(&(struct expectation){{{"", 0}}, 1, JSON_LOCATE_KEY, 5, 35, "$[\"\"]"});
}
END_TEST

START_TEST(an_escaped_key_is_compared_decoded_and_shown_as_written)
{
	check_found(&(struct expectation){
		{{"name", 0}}, 1, JSON_LOCATE_KEY, 5, 16, "$[\"\\u006eame\"]"});
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
	static const struct json_step missing[][3] = {
		{{"nothing", 0}, {0}, {0}},	      {{NULL, 0}, {0}, {0}},
		{{"version", 0}, {"deeper", 0}, {0}}, {{"pipes", 0}, {NULL, 3}, {0}},
		{{"pipes", 0}, {"0", 0}, {0}},	      {{"pipes", 0}, {NULL, 0}, {"input", 0}},
	};
	static const size_t n_steps[] = {1, 1, 2, 2, 2, 3};
	struct json_place place;

	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		ck_assert_int_eq(json_locate(document, strlen(document), missing[i], n_steps[i],
					     JSON_LOCATE_VALUE, &place),
				 -ENOENT);
	}
}
END_TEST

START_TEST(an_index_has_no_key)
{
	struct json_place place;
	const struct json_step steps[] = {{"pipes", 0}, {NULL, 0}};

	ck_assert_int_eq(json_locate(document, strlen(document), steps, 2, JSON_LOCATE_KEY, &place),
			 -ENOENT);
}
END_TEST

START_TEST(a_long_path_is_cut_at_a_character)
{
	struct buf text = BUF_INIT;
	struct json_place place;

	buf_add_str(&text, "{\"ab");
	for (size_t i = 0; i < 200; i++) {
		buf_add_str(&text, "ä");
	}
	buf_add_str(&text, "\"");
	ck_assert_int_eq(json_locate_key_before(text.data, text.len, &place), 0);
	ck_assert_uint_le(strlen(place.path), JSON_PLACE_PATH_BYTES - 1);
	ck_assert_uint_ge(strlen(place.path), JSON_PLACE_PATH_BYTES - 2);
	ck_assert_str_eq(place.path + strlen(place.path) - 2, "ä");
	buf_deinit(&text);
}
END_TEST

START_TEST(a_key_is_found_by_its_end_whatever_follows)
{
	static const char text[] = "{\"a\":[{},{\"b\":\"x\",\n\"c\":{\"d\" :1,\"d\" garbage";
	struct json_place place;
	size_t end = (size_t)(strstr(text, " garbage") - text);

	ck_assert_int_eq(json_locate_key_before(text, end, &place), 0);
	ck_assert_str_eq(place.path, "$.a[1].c.d");
	ck_assert_uint_eq(place.line, 2);
	ck_assert_uint_eq(place.column, 13);
}
END_TEST

START_TEST(only_a_whole_key_is_taken_for_one)
{
	static const char *const texts[] = {
		"{\"a\":\"b\"", "[\"a\"", "\"a\"", "{\"a\":[\"b\"", "\"", "", "{\"", "{\"a\\\"",
	};
	struct json_place place;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		ck_assert_int_eq(json_locate_key_before(texts[i], strlen(texts[i]), &place),
				 -ENOENT);
	}
}
END_TEST

START_TEST(deep_nesting_is_given_up_not_followed)
{
	static const char inner[] = "{\"a\"";
	char text[300 + sizeof(inner)];
	size_t len = sizeof(text) - 1;
	struct json_place place;

	memset(text, '[', sizeof(text));
	memcpy(text + 300, inner, sizeof(inner));
	ck_assert_int_eq(json_locate_key_before(text, len, &place), -ENOENT);
	ck_assert_int_eq(json_locate_key_before(text + 280, len - 280, &place), 0);
	ck_assert_ptr_nonnull(strstr(place.path, "[0][0].a"));
}
END_TEST

/* Exact copies, so that a sanitizer sees the first byte read too far. */
START_TEST(a_text_that_ends_anywhere_is_never_left)
{
	const struct json_step steps[] = {{"pipes", 0}, {NULL, 1}, {"input", 0}, {"limit", 0}};

	for (size_t len = 0; len <= strlen(document); len++) {
		char *copy = malloc(len + (len == 0));
		struct json_place place;

		memcpy(copy, document, len);
		for (size_t n = 0; n <= ARRAY_SIZE(steps); n++) {
			(void)!json_locate(copy, len, steps, n, JSON_LOCATE_KEY, &place);
		}
		(void)!json_locate_key_before(copy, len, &place);
		free(copy);
	}
}
END_TEST

UNIT_MAIN(values_are_found_by_key_and_index, columns_count_characters_not_bytes,
	  keys_are_found_at_their_opening_quote,
	  an_escaped_key_is_compared_decoded_and_shown_as_written, what_is_not_there_is_not_found,
	  an_index_has_no_key, a_long_path_is_cut_at_a_character,
	  a_key_is_found_by_its_end_whatever_follows, only_a_whole_key_is_taken_for_one,
	  deep_nesting_is_given_up_not_followed, a_text_that_ends_anywhere_is_never_left)
