/* SPDX-License-Identifier: MIT */
#include "daemon/http/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

static struct request request;

static int parse(const char *raw)
{
	request_target_deinit(&request.target);
	return request_target_parse(raw, &request.target);
}

START_TEST(a_target_is_a_path_and_its_parameters)
{
	ck_assert_int_eq(parse("/api/v1/jobs?state=running&pretty&name=a+b%20c&empty=&&"), 0);
	ck_assert_str_eq(request.target.path, "/api/v1/jobs");
	ck_assert_uint_eq(request.target.n_params, 4);
	ck_assert_str_eq(request_param(&request, "state"), "running");
	ck_assert_str_eq(request_param(&request, "pretty"), "");
	ck_assert_str_eq(request_param(&request, "name"), "a+b c");
	ck_assert_str_eq(request_param(&request, "empty"), "");
	ck_assert_ptr_null(request_param(&request, "State"));
	ck_assert_ptr_null(request.target.authority);
}
END_TEST

START_TEST(decoding_comes_after_splitting)
{
	ck_assert_int_eq(parse("/a%2Fb%3Fc?x%3D=%26%3d&y=1=2"), 0);
	ck_assert_str_eq(request.target.path, "/a/b?c");
	ck_assert_str_eq(request_param(&request, "x="), "&=");
	ck_assert_str_eq(request_param(&request, "y"), "1=2");
}
END_TEST

START_TEST(the_absolute_form_has_an_authority)
{
	ck_assert_int_eq(parse("http://host:80/path?a=b"), 0);
	ck_assert_str_eq(request.target.authority, "host:80");
	ck_assert_str_eq(request.target.path, "/path");
	ck_assert_str_eq(request_param(&request, "a"), "b");
	ck_assert_int_eq(parse("http://host"), -EINVAL);
	ck_assert_int_eq(parse("http://host?a"), -EINVAL);
	ck_assert_int_eq(parse("http:///"), 0);
	ck_assert_str_eq(request.target.authority, "");
}
END_TEST

START_TEST(what_is_not_well_formed_is_refused)
{
	static const char *const bad[] = {"",	    "*",	 "a",	 "?a",	  "/%",
					  "/%4",    "/%zz",	 "/%4z", "/%00",  "/a?b=%00",
					  "/%0a",   "/%7f",	 "/%ff", "/\x01", "/?%c3=1",
					  "/a?b=%", "https://a/"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(bad[i]) == -EINVAL, "%s", bad[i]);
	}
}
END_TEST

START_TEST(a_parameter_stands_there_once)
{
	ck_assert_int_eq(parse("/?a=1&b=2&a=1"), -EEXIST);
	ck_assert_int_eq(parse("/?a=1&%61=2"), -EEXIST);
}
END_TEST

START_TEST(length_and_number_have_limits)
{
	char text[REQUEST_MAX_TARGET_BYTES + 2];
	char params[256] = "/?";

	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[REQUEST_MAX_TARGET_BYTES] = '\0';
	ck_assert_int_eq(parse(text), 0);
	text[REQUEST_MAX_TARGET_BYTES] = 'a';
	text[REQUEST_MAX_TARGET_BYTES + 1] = '\0';
	ck_assert_int_eq(parse(text), -E2BIG);
	for (int i = 0; i < REQUEST_MAX_PARAMS; i++) {
		snprintf(params + strlen(params), sizeof(params) - strlen(params), "p%d&", i);
	}
	ck_assert_int_eq(parse(params), 0);
	ck_assert_uint_eq(request.target.n_params, REQUEST_MAX_PARAMS);
	snprintf(params + strlen(params), sizeof(params) - strlen(params), "q");
	ck_assert_int_eq(parse(params), -E2BIG);
}
END_TEST

START_TEST(methods_are_case_sensitive)
{
	ck_assert_int_eq(request_method_parse("GET"), REQUEST_GET);
	ck_assert_int_eq(request_method_parse("HEAD"), REQUEST_HEAD);
	ck_assert_int_eq(request_method_parse("POST"), REQUEST_POST);
	ck_assert_int_eq(request_method_parse("DELETE"), REQUEST_DELETE);
	ck_assert_int_eq(request_method_parse("get"), REQUEST_OTHER);
	ck_assert_int_eq(request_method_parse(""), REQUEST_OTHER);
}
END_TEST

UNIT_MAIN(a_target_is_a_path_and_its_parameters, decoding_comes_after_splitting,
	  the_absolute_form_has_an_authority, what_is_not_well_formed_is_refused,
	  a_parameter_stands_there_once, length_and_number_have_limits, methods_are_case_sensitive)
