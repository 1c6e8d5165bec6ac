/* SPDX-License-Identifier: MIT */
#include "daemon/http/json.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "tests/support/unit.h"

static struct buf out;

static const char *text(void)
{
	const char *all = buf_terminated(&out);

	ck_assert_ptr_nonnull(all);
	return all;
}

static void check_double(double value, int n_decimals, const char *wanted)
{
	buf_clear(&out);
	json_add_double(&out, value, n_decimals);
	ck_assert_str_eq(text(), wanted);
}

START_TEST(reals_are_short_and_never_infinite)
{
	check_double(0, 3, "0");
	check_double(-0.0, 3, "0");
	check_double(1.5, 3, "1.5");
	check_double(-1.25, 3, "-1.25");
	check_double(0.001, 3, "0.001");
	check_double(0.0004, 3, "0");
	check_double(-0.0004, 3, "0");
	check_double(0.9996, 3, "1");
	check_double(1.0 / 3, 6, "0.333333");
	check_double(0.000001, 6, "0.000001");
	check_double(1795000000.5, 3, "1795000000.5");
	check_double(100, 0, "100");
	check_double(1e15, 3, "1e+15");
	check_double(1e12, 3, "1000000000000");
	check_double(NAN, 3, "null");
	check_double(INFINITY, 3, "null");
	check_double(-INFINITY, 3, "null");
}
END_TEST

START_TEST(whole_numbers_reach_their_limits)
{
	json_add_i64(&out, INT64_MIN);
	buf_add_char(&out, ' ');
	json_add_i64(&out, INT64_MAX);
	buf_add_char(&out, ' ');
	json_add_i64(&out, 0);
	ck_assert_str_eq(text(), "-9223372036854775808 9223372036854775807 0");
}
END_TEST

START_TEST(texts_are_always_valid)
{
	json_add_text(&out, NULL);
	json_add_text(&out, "\"\\\n\x01\xc3\xa4");
	json_add_text(&out, "a\xff\xfe"
			    "b\xc3");
	ck_assert_str_eq(text(), "null\"\\\"\\\\\\n\\u0001\xc3\xa4\""
				 "\"a\xef\xbf\xbd\xef\xbf\xbd"
				 "b\xef\xbf\xbd\"");
}
END_TEST

START_TEST(fields_follow_their_table)
{
	static const struct {
		const char *name;
		bool is_good;
		int64_t n, unknown, when;
		double ratio;
	} object = {"x", true, -5, -1, INT64_C(1795000000500000000), -1};
	static const struct json_field fields[] = {
		{"name", JSON_KIND_TEXT, 0},
		{"good", JSON_KIND_BOOL, 8},
		{"n", JSON_KIND_I64, 16},
		{"unknown", JSON_KIND_I64_OR_NULL, 24},
		{"when", JSON_KIND_TIME, 32},
		{"seconds", JSON_KIND_TIME_SECONDS, 32},
		{"ratio", JSON_KIND_RATIO_OR_NULL, 40},
	};

	json_add_fields(&out, fields, ARRAY_SIZE(fields), &object);
	ck_assert_str_eq(text(), "\"name\":\"x\",\"good\":true,\"n\":-5,\"unknown\":null,"
				 "\"when\":\"2026-11-18T11:06:40.500Z\","
				 "\"seconds\":1795000000.5,\"ratio\":null");
}
END_TEST

START_TEST(pretty_text_says_the_same)
{
	static const char compact[] = "{\"a\":[1,-2.5,{\"b\":\"x,{}[]:\\\"\\\\\"},[]],\"c\":{},"
				      "\"d\":null,\"e\":[[[true]]]}\n";
	json_t *before, *after;

	json_add_pretty(&out, compact, strlen(compact));
	before = json_loads(compact, 0, NULL);
	after = json_loads(text(), 0, NULL);
	ck_assert(before != NULL && json_equal(before, after));
	ck_assert_ptr_nonnull(strstr(text(), "{\n  \"a\": [\n    1,\n    -2.5,\n"));
	ck_assert_ptr_nonnull(strstr(text(), "\"c\": {},\n"));
	json_decref(before);
	json_decref(after);
}
END_TEST

START_TEST(pretty_survives_what_is_no_json)
{
	static const char *const odd[] = {"", "\"", "\"\\", "}}}", "{", "[,", ":::", "]{"};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_add_pretty(&out, odd[i], strlen(odd[i]));
	}
	ck_assert_int_eq(buf_error(&out), 0);
}
END_TEST

UNIT_MAIN(reals_are_short_and_never_infinite, whole_numbers_reach_their_limits,
	  texts_are_always_valid, fields_follow_their_table, pretty_text_says_the_same,
	  pretty_survives_what_is_no_json)
