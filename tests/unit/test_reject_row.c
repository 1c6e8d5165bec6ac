/* SPDX-License-Identifier: MIT */
#include "daemon/pipe/reject_row.h"

#include <string.h>

#include "tests/support/unit.h"

static const char *render(struct buf *out, const void *bytes, size_t len)
{
	const struct reject_row row = {
		.job = "users-import",
		.input = "in/\"users\".csv",
		.line = 3,
		.offset = 21,
		.code = REJECT_RAGGED,
		.bytes = bytes,
		.len = len,
	};

	buf_clear(out);
	reject_row_render(&row, out);
	return buf_terminated(out);
}

START_TEST(the_line_has_all_keys_in_order)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	const struct reject_row row = {
		.job = "j",
		.input = "in.csv",
		.line = 2,
		.offset = 10,
		.code = REJECT_NUL_BYTE,
		.field = "na\"me",
		.bytes = (const uint8_t *)"a\0b",
		.len = 3,
	};

	reject_row_render(&row, &out);
	ck_assert_str_eq(buf_terminated(&out),
			 "{\"job\":\"j\",\"input\":\"in.csv\",\"line\":2,\"offset\":10,"
			 "\"stage\":\"parse\",\"code\":\"nul_byte\",\"field\":\"na\\\"me\","
			 "\"message\":\"The row contains a NUL byte.\",\"row\":\"a\\u0000b\"}\n");
}
END_TEST

START_TEST(a_row_without_a_field_says_null)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	ck_assert_ptr_nonnull(strstr(render(&out, "", 0), "\"field\":null,"));
	ck_assert_ptr_nonnull(strstr(out.data, "\"input\":\"in/\\\"users\\\".csv\""));
	ck_assert_ptr_nonnull(strstr(out.data, ",\"row\":\"\"}\n"));
}
END_TEST

START_TEST(bytes_that_are_no_text_are_base64)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	ck_assert_ptr_nonnull(strstr(render(&out, "\xff", 1), ",\"row_base64\":\"/w==\"}\n"));
	ck_assert_ptr_nonnull(strstr(render(&out, "\xff,", 2), ",\"row_base64\":\"/yw=\"}\n"));
	ck_assert_ptr_nonnull(strstr(render(&out, "\xff,a", 3), ",\"row_base64\":\"/yxh\"}\n"));
	ck_assert_ptr_nonnull(
		strstr(render(&out, "\xff,ab", 4), ",\"row_base64\":\"/yxhYg==\"}\n"));
	ck_assert_ptr_null(strstr(out.data, "\"row\":"));
}
END_TEST

START_TEST(a_long_row_is_cut_before_a_character)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	char row[REJECT_ROW_SHOWN_BYTES + 3];

	memset(row, 'x', sizeof(row));
	render(&out, row, REJECT_ROW_SHOWN_BYTES);
	ck_assert_ptr_null(strstr(out.data, "row_truncated"));
	render(&out, row, REJECT_ROW_SHOWN_BYTES + 1);
	ck_assert_ptr_nonnull(strstr(out.data, "xx\",\"row_truncated\":true}\n"));
	ck_assert_uint_eq(strspn(strstr(out.data, "xxxx"), "x"), REJECT_ROW_SHOWN_BYTES);

	memcpy(row + REJECT_ROW_SHOWN_BYTES - 2, "\xf0\x9f\x98\x80", 4);
	render(&out, row, REJECT_ROW_SHOWN_BYTES + 2);
	ck_assert_uint_eq(strspn(strstr(out.data, "xxxx"), "x"), REJECT_ROW_SHOWN_BYTES - 2);

	/* What is cut off decides nothing; what is shown does. */
	row[0] = '\xff';
	render(&out, row, REJECT_ROW_SHOWN_BYTES + 2);
	ck_assert_ptr_nonnull(strstr(out.data, "\"row_base64\":\"/3h4"));
	ck_assert_ptr_nonnull(strstr(out.data, "\"row_truncated\":true"));
}
END_TEST

UNIT_MAIN(the_line_has_all_keys_in_order, a_row_without_a_field_says_null,
	  bytes_that_are_no_text_are_base64, a_long_row_is_cut_before_a_character)
