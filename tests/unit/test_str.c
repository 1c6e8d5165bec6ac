/* SPDX-License-Identifier: MIT */
#include "common/util/str.h"

#include <check.h>
#include <string.h>

#include "tests/support/unit.h"

START_TEST(null_equals_only_null)
{
	ck_assert(str_equal(NULL, NULL));
	ck_assert(!str_equal(NULL, ""));
	ck_assert(!str_equal("a", NULL));
	ck_assert(str_equal("a", "a"));
	ck_assert(!str_equal("a", "ab"));
}
END_TEST

START_TEST(starts_and_ends_are_compared_whole)
{
	ck_assert(str_starts_with("users.json", "users"));
	ck_assert(str_starts_with("users", ""));
	ck_assert(!str_starts_with("us", "users"));
	ck_assert(str_ends_with("users.json", ".json"));
	ck_assert(str_ends_with(".json", ".json"));
	ck_assert(!str_ends_with("json", ".json"));
	ck_assert(!str_ends_with("users.jsonl", ".json"));
}
END_TEST

static const char *const keys[] = {"input",   "output",	 "errors",
				   "version", "workers", "max_row_bytes"};

START_TEST(a_slip_finds_the_key_that_was_meant)
{
	static const char *const slips[][2] = {
		{"ouput", "output"},	{"inptu", "input"},	{"error", "errors"},
		{"verson", "version"},	{"wrokers", "workers"}, {"max_rows_byte", "max_row_bytes"},
		{"workers", "workers"}, {"otuput", "output"},
	};

	for (size_t k = 0; k < ARRAY_SIZE(slips); k++) {
		ck_assert_pstr_eq(str_nearest(slips[k][0], keys, ARRAY_SIZE(keys)), slips[k][1]);
	}
}
END_TEST

START_TEST(another_word_finds_nothing)
{
	static const char *const words[] = {"", "x", "schema", "compression", "in", "zz"};
	char long_word[200];

	memset(long_word, 'a', sizeof(long_word));
	long_word[sizeof(long_word) - 1] = '\0';
	for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
		ck_assert_pstr_eq(str_nearest(words[k], keys, ARRAY_SIZE(keys)), NULL);
	}
	ck_assert_pstr_eq(str_nearest(long_word, keys, ARRAY_SIZE(keys)), NULL);
	ck_assert_pstr_eq(str_nearest("input", (const char *const[]){long_word}, 1), NULL);
	ck_assert_pstr_eq(str_nearest("input", NULL, 0), NULL);
}
END_TEST

START_TEST(the_nearest_wins_and_of_equals_the_first)
{
	static const char *const words[] = {"abcdxx", "abcdex", "abcdey"};

	ck_assert_pstr_eq(str_nearest("abcdef", words, 3), "abcdex");
	ck_assert_pstr_eq(str_nearest("abcdey", words, 3), "abcdey");
}
END_TEST

/* Encodes as the formula of UTF-8 says, with no regard to what is allowed. */
static size_t encode(uint32_t c, unsigned char *out)
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (unsigned char)(0xc0 | c >> 6);
		out[1] = (unsigned char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (unsigned char)(0xe0 | c >> 12);
		out[1] = (unsigned char)(0x80 | (c >> 6 & 63));
		out[2] = (unsigned char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (unsigned char)(0xf0 | c >> 18);
	out[1] = (unsigned char)(0x80 | (c >> 12 & 63));
	out[2] = (unsigned char)(0x80 | (c >> 6 & 63));
	out[3] = (unsigned char)(0x80 | (c & 63));
	return 4;
}

START_TEST(every_character_is_utf8_but_the_surrogates)
{
	unsigned char bytes[4];

	for (uint32_t c = 0; c < 0x120000; c++) {
		size_t len = encode(c, bytes);
		bool is_character = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

		ck_assert_msg(str_is_utf8(bytes, len, NULL) == is_character, "U+%04X", c);
		if (len > 1) {
			ck_assert_msg(!str_is_utf8(bytes, len - 1, NULL), "cut U+%04X", c);
		}
	}
}
END_TEST

START_TEST(overlong_and_lone_bytes_are_not_utf8)
{
	static const char *const bad[] = {"\x80",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xe0\x9f\xbf",
					  "\xf0\x8f\xbf\xbf",
					  "\xf5\x80\x80\x80",
					  "\xff",
					  "\xc3\x41",
					  "\xe2\x82\x41",
					  "\xf0\x9f\x98\x41"};

	for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
		ck_assert_msg(!str_is_utf8(bad[k], strlen(bad[k]), NULL), "number %zu", k);
	}
}
END_TEST

START_TEST(the_first_bad_byte_is_named)
{
	size_t offset = 99;

	ck_assert(str_is_utf8("a\xc3\xa9z", 4, &offset));
	ck_assert_uint_eq(offset, 99);
	ck_assert(!str_is_utf8("a\xc3\xa9z\xe2\x82", 6, &offset));
	ck_assert_uint_eq(offset, 4);
	ck_assert(!str_is_utf8("\xff", 1, &offset));
	ck_assert_uint_eq(offset, 0);
}
END_TEST

START_TEST(a_cut_never_splits_a_character)
{
	static const char text[] = "aé€😀"; /* 1 + 2 + 3 + 4 bytes */
	static const size_t floors[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

	ck_assert_uint_eq(strlen(text), 10);
	for (size_t max = 0; max < ARRAY_SIZE(floors); max++) {
		ck_assert_uint_eq(str_utf8_floor(text, 10, max), floors[max]);
	}
	ck_assert_uint_eq(str_utf8_floor("\x80\x80\x80", 3, 2), 0);
}
END_TEST

UNIT_MAIN(null_equals_only_null, starts_and_ends_are_compared_whole,
	  a_slip_finds_the_key_that_was_meant, another_word_finds_nothing,
	  the_nearest_wins_and_of_equals_the_first, every_character_is_utf8_but_the_surrogates,
	  overlong_and_lone_bytes_are_not_utf8, the_first_bad_byte_is_named,
	  a_cut_never_splits_a_character)
