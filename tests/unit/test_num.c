/* SPDX-License-Identifier: MIT */
#include "common/util/num.h"

#include <check.h>
#include <errno.h>

#include "tests/support/unit.h"

START_TEST(whole_numbers_are_read_to_their_limits)
{
	uint64_t u;
	int64_t i;

	ck_assert_int_eq(num_parse_u64("18446744073709551615", &u), 0);
	ck_assert_uint_eq(u, UINT64_MAX);
	ck_assert_int_eq(num_parse_u64("18446744073709551616", &u), -ERANGE);
	ck_assert_int_eq(num_parse_u64("184467440737095516150", &u), -ERANGE);
	ck_assert_int_eq(num_parse_u64("007", &u), 0);
	ck_assert_uint_eq(u, 7);
	ck_assert_int_eq(num_parse_i64("9223372036854775807", &i), 0);
	ck_assert_int_eq(i, INT64_MAX);
	ck_assert_int_eq(num_parse_i64("-9223372036854775808", &i), 0);
	ck_assert_int_eq(i, INT64_MIN);
	ck_assert_int_eq(num_parse_i64("9223372036854775808", &i), -ERANGE);
	ck_assert_int_eq(num_parse_i64("-9223372036854775809", &i), -ERANGE);
	ck_assert_int_eq(num_parse_i64("-0", &i), 0);
	ck_assert_int_eq(i, 0);
}
END_TEST

START_TEST(anything_but_digits_is_no_number_and_changes_nothing)
{
	static const char *const texts[] = {"",	    "-",   "+1",  " 1",	 "1 ",
					    "0x10", "1.0", "1e3", "--1", "٣"};
	uint64_t u = 99;
	int64_t i = 99;

	for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
		ck_assert_int_eq(num_parse_u64(texts[k], &u), -EINVAL);
		ck_assert_int_eq(num_parse_i64(texts[k], &i), -EINVAL);
	}
	ck_assert_int_eq(num_parse_u64("-1", &u), -EINVAL);
	ck_assert_uint_eq(u, 99);
	ck_assert_int_eq(i, 99);
}
END_TEST

START_TEST(doubles_are_in_the_notation_of_json)
{
	static const char *const bad[] = {"",	"-",   ".5",  "5.",  "01",   "1e",   "1e+",
					  "+1", "inf", "nan", "0x1", "1.5 ", " 1.5", "1,5"};
	double d = 99;

	ck_assert_int_eq(num_parse_double("0", &d), 0);
	ck_assert_double_eq(d, 0);
	ck_assert_int_eq(num_parse_double("-12.5e-1", &d), 0);
	ck_assert_double_eq(d, -1.25);
	ck_assert_int_eq(num_parse_double("0.1", &d), 0);
	ck_assert_double_eq(d, 0.1);
	ck_assert_int_eq(num_parse_double("1E400", &d), -ERANGE);
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
		ck_assert_msg(num_parse_double(bad[k], &d) == -EINVAL, "%s was accepted", bad[k]);
	}
	ck_assert_double_eq(d, 0.1);
}
END_TEST

START_TEST(sizes_know_both_families_of_units)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"512", 512},
		    {"0", 0},
		    {"1B", 1},
		    {"64KiB", 65536},
		    {"256MiB", UINT64_C(268435456)},
		    {"1GB", UINT64_C(1000000000)},
		    {"2kB", 2000},
		    {"16777215TiB", UINT64_C(16777215) << 40}};
	static const char *const bad[] = {"",	"KiB", "1 KiB",	 "1kib",
					  "1K", "-1",  "1.5GiB", "1KiBs"};
	uint64_t bytes;

	for (size_t k = 0; k < ARRAY_SIZE(good); k++) {
		ck_assert_int_eq(num_parse_size(good[k].text, &bytes), 0);
		ck_assert_uint_eq(bytes, good[k].bytes);
	}
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
		ck_assert_msg(num_parse_size(bad[k], &bytes) == -EINVAL, "%s", bad[k]);
	}
	ck_assert_int_eq(num_parse_size("16777216TiB", &bytes), -ERANGE);
}
END_TEST

START_TEST(durations_without_a_unit_are_seconds)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {{"10ms", 10000000},
		    {"60s", INT64_C(60000000000)},
		    {"5m", INT64_C(300000000000)},
		    {"1h", INT64_C(3600000000000)},
		    {"7d", INT64_C(604800000000000)},
		    {"2", INT64_C(2000000000)},
		    {"3us", 3000},
		    {"9ns", 9}};
	int64_t ns;

	for (size_t k = 0; k < ARRAY_SIZE(good); k++) {
		ck_assert_int_eq(num_parse_duration_ns(good[k].text, &ns), 0);
		ck_assert_int_eq(ns, good[k].ns);
	}
	ck_assert_int_eq(num_parse_duration_ns("5 m", &ns), -EINVAL);
	ck_assert_int_eq(num_parse_duration_ns("-5", &ns), -EINVAL);
	ck_assert_int_eq(num_parse_duration_ns("5M", &ns), -EINVAL);
	ck_assert_int_eq(num_parse_duration_ns("10000000000", &ns), -ERANGE);
	ck_assert_int_eq(num_parse_duration_ns("213503d", &ns), -ERANGE);
}
END_TEST

START_TEST(sizes_are_shown_with_one_decimal)
{
	char text[NUM_TEXT_SIZE];

	ck_assert_str_eq(num_format_size(text, 0), "0 B");
	ck_assert_str_eq(num_format_size(text, 1023), "1023 B");
	ck_assert_str_eq(num_format_size(text, 1024), "1.0 KiB");
	ck_assert_str_eq(num_format_size(text, 1572864), "1.5 MiB");
	ck_assert_str_eq(num_format_size(text, 1048575), "1.0 MiB");
	ck_assert_str_eq(num_format_size(text, UINT64_MAX), "16.0 EiB");
}
END_TEST

START_TEST(durations_are_shown_in_their_two_largest_units)
{
	char text[NUM_TEXT_SIZE];

	ck_assert_str_eq(num_format_duration_ns(text, -5), "0 ms");
	ck_assert_str_eq(num_format_duration_ns(text, INT64_C(999999999)), "999 ms");
	ck_assert_str_eq(num_format_duration_ns(text, INT64_C(12390000000)), "12.3 s");
	ck_assert_str_eq(num_format_duration_ns(text, INT64_C(59999000000)), "59.9 s");
	ck_assert_str_eq(num_format_duration_ns(text, INT64_C(245000000000)), "4m 05s");
	ck_assert_str_eq(num_format_duration_ns(text, INT64_C(7800000000000)), "2h 10m");
	ck_assert_str_eq(num_format_duration_ns(text, INT64_C(273600000000000)), "3d 04h");
	ck_assert_str_eq(num_format_duration_ns(text, INT64_MAX), "106751d 23h");
}
END_TEST

START_TEST(counts_are_shown_in_groups_of_three)
{
	char text[NUM_TEXT_SIZE];

	ck_assert_str_eq(num_format_count(text, 0), "0");
	ck_assert_str_eq(num_format_count(text, 999), "999");
	ck_assert_str_eq(num_format_count(text, 1000), "1,000");
	ck_assert_str_eq(num_format_count(text, UINT64_MAX), "18,446,744,073,709,551,615");
}
END_TEST

UNIT_MAIN(whole_numbers_are_read_to_their_limits,
	  anything_but_digits_is_no_number_and_changes_nothing, doubles_are_in_the_notation_of_json,
	  sizes_know_both_families_of_units, durations_without_a_unit_are_seconds,
	  sizes_are_shown_with_one_decimal, durations_are_shown_in_their_two_largest_units,
	  counts_are_shown_in_groups_of_three)
