/* SPDX-License-Identifier: MIT */
#include "common/util/buf.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/unit.h"

START_TEST(pieces_stand_in_the_order_they_were_added)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;

	buf_add(&buf, "ab\0c", 4);
	buf_add_str(&buf, "de");
	buf_add_char(&buf, 'f');
	buf_printf(&buf, "%d-%s", 42, "x");
	ck_assert_int_eq(buf_error(&buf), 0);
	ck_assert_uint_eq(buf.len, 11);
	ck_assert_mem_eq(buf.data, "ab\0cdef42-x", 11);
}
END_TEST

START_TEST(a_terminated_view_ends_in_nul_and_adds_nothing)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;

	ck_assert_str_eq(buf_terminated(&buf), "");
	for (int i = 0; i < 1000; i++) {
		buf_add_char(&buf, 'x');
		ck_assert_uint_eq(strlen(buf_terminated(&buf)), buf.len);
	}
	ck_assert_uint_eq(buf.len, 1000);
}
END_TEST

START_TEST(a_long_print_grows_the_buffer)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;

	buf_printf(&buf, "%*d", 100000, 7);
	ck_assert_uint_eq(buf.len, 100000);
	ck_assert_int_eq(buf.data[0], ' ');
	ck_assert_int_eq(buf.data[99999], '7');
}
END_TEST

START_TEST(an_error_sticks_until_cleared)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;

	buf_add_str(&buf, "before");
	ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX), -ENOMEM);
	buf_add_str(&buf, "after");
	ck_assert_int_eq(buf_error(&buf), -ENOMEM);
	ck_assert_uint_eq(buf.len, 6);
	ck_assert_ptr_null(buf_terminated(&buf));
	ck_assert_ptr_null(buf_take(&buf));

	buf_clear(&buf);
	buf_add_str(&buf, "again");
	ck_assert_str_eq(buf_terminated(&buf), "again");
}
END_TEST

START_TEST(taken_bytes_outlive_the_buffer)
{
	struct buf buf = BUF_INIT;
	char *text;

	buf_add_str(&buf, "mine");
	text = buf_take(&buf);
	ck_assert_ptr_null(buf.data);
	buf_deinit(&buf);
	ck_assert_str_eq(text, "mine");
	free(text);
}
END_TEST

START_TEST(json_strings_have_exactly_the_agreed_escapes)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;
	static const char text[] = "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\0z";

	buf_add_json_string(&buf, text, sizeof(text) - 1);
	ck_assert_str_eq(buf_terminated(&buf),
			 "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\\u0000z\"");
	buf_clear(&buf);
	buf_add_json_string(&buf, NULL, 0);
	ck_assert_str_eq(buf_terminated(&buf), "\"\"");
}
END_TEST

/* jansson is the oracle: what it reads is what was given. */
START_TEST(every_character_comes_back_from_json)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;
	char all[128];
	json_t *json;

	for (int c = 0; c < 128; c++) {
		all[c] = (char)c;
	}
	buf_add_json_string(&buf, all, sizeof(all));
	json = json_loadb(buf.data, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	ck_assert_ptr_nonnull(json);
	ck_assert_uint_eq(json_string_length(json), sizeof(all));
	ck_assert_mem_eq(json_string_value(json), all, sizeof(all));
	json_decref(json);
}
END_TEST

UNIT_MAIN(pieces_stand_in_the_order_they_were_added, a_terminated_view_ends_in_nul_and_adds_nothing,
	  a_long_print_grows_the_buffer, an_error_sticks_until_cleared,
	  taken_bytes_outlive_the_buffer, json_strings_have_exactly_the_agreed_escapes,
	  every_character_comes_back_from_json)
