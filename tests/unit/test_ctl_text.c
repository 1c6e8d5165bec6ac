/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/text.h"

#include <check.h>
#include <locale.h>
#include <string.h>

#include "tests/support/unit.h"

static void use_utf8(void)
{
	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

static void check_clean(const char *text, const char *expected)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	text_add_clean(&out, text);
	ck_assert_str_eq(buf_terminated(&out), expected);
}

START_TEST(ordinary_text_passes_as_it_is)
{
	check_clean("users-import.json", "users-import.json");
	check_clean("Zoë 動物園 🦓", "Zoë 動物園 🦓");
	check_clean("", "");
	check_clean(NULL, "");
}
END_TEST

START_TEST(what_steers_a_terminal_is_replaced)
{
	check_clean("a\033[2Jb", "a?[2Jb");
	check_clean("a\r\n\tb\x7f", "a???b?");
	check_clean("a\xc2\x9b"
		    "31mb",
		    "a?31mb"); /* CSI as a C1 control */
}
END_TEST

START_TEST(what_reorders_characters_is_replaced)
{
	check_clean("gpj\xe2\x80\xae.exe", "gpj?.exe");	 /* U+202E */
	check_clean("\xe2\x81\xa6x\xe2\x81\xa9", "?x?"); /* U+2066, U+2069 */
	check_clean("\xe2\x80\xaf", "\xe2\x80\xaf");	 /* U+202F is only a narrow blank */
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_replaced_one_by_one)
{
	check_clean("\xff\xfe", "??");
	check_clean("caf\xe9", "caf?");
	check_clean("\xe2\x82", "??");	    /* cut off by the end */
	check_clean("\xc0\xaf", "??");	    /* an overlong slash */
	check_clean("\xed\xa0\x80", "???"); /* a surrogate */
	check_clean("\x80ok", "?ok");	    /* begins in the middle */
}
END_TEST

START_TEST(width_counts_columns_not_bytes)
{
	ck_assert_uint_eq(text_width(""), 0);
	ck_assert_uint_eq(text_width("abc"), 3);
	ck_assert_uint_eq(text_width("Zoë"), 3);
	ck_assert_uint_eq(text_width("動物園"), 6);
	ck_assert_uint_eq(text_width("e\xcc\x81"), 1); /* a combining accent */
}
END_TEST

START_TEST(a_cut_never_splits_a_character)
{
	ck_assert_uint_eq(text_fit("abc", 2), 2);
	ck_assert_uint_eq(text_fit("abc", 9), 3);
	ck_assert_uint_eq(text_fit("abc", 0), 0);
	ck_assert_uint_eq(text_fit("ëë", 1), 2);
	ck_assert_uint_eq(text_fit("動物", 3), 3); /* the second one needs two columns */
	ck_assert_uint_eq(text_fit("動物", 4), 6);
}
END_TEST

UNIT_MAIN_WITH(use_utf8, NULL, ordinary_text_passes_as_it_is, what_steers_a_terminal_is_replaced,
	       what_reorders_characters_is_replaced,
	       bytes_that_are_not_utf8_are_replaced_one_by_one, width_counts_columns_not_bytes,
	       a_cut_never_splits_a_character)
