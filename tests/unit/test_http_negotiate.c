/* SPDX-License-Identifier: MIT */
#include "daemon/http/negotiate.h"

#include <stddef.h>

#include "tests/support/unit.h"

START_TEST(openmetrics_is_for_those_who_name_and_prefer_it)
{
	static const struct {
		const char *accept;
		enum negotiate_metrics wanted;
	} cases[] = {
		{NULL, NEGOTIATE_PROMETHEUS_TEXT},
		{"", NEGOTIATE_PROMETHEUS_TEXT},
		{"*/*", NEGOTIATE_PROMETHEUS_TEXT},
		{"text/html, image/*", NEGOTIATE_PROMETHEUS_TEXT},
		{"application/openmetrics-text", NEGOTIATE_OPENMETRICS},
		{"Application/OpenMetrics-Text ; Version=1.0.0", NEGOTIATE_OPENMETRICS},
		{"application/openmetrics-text; version=\"1.0.0\"", NEGOTIATE_OPENMETRICS},
		{"application/openmetrics-text; version=0.0.1", NEGOTIATE_PROMETHEUS_TEXT},
		{"application/openmetrics-text;q=0", NEGOTIATE_PROMETHEUS_TEXT},
		{"application/openmetrics-text;q=0.5,text/plain;q=0.4", NEGOTIATE_OPENMETRICS},
		{"application/openmetrics-text;q=0.4,text/plain;q=0.5", NEGOTIATE_PROMETHEUS_TEXT},
		{"application/openmetrics-text;q=0.4,text/*;q=0.401", NEGOTIATE_PROMETHEUS_TEXT},
		{"application/openmetrics-text;q=0.7,*/*;q=0.1", NEGOTIATE_OPENMETRICS},
		{"text/plain;q=0.1,*/*;q=0.9,application/openmetrics-text", NEGOTIATE_OPENMETRICS},
		{"application/openmetrics-text;q=1.1", NEGOTIATE_PROMETHEUS_TEXT},
		{"application/openmetrics-text;q=x", NEGOTIATE_PROMETHEUS_TEXT},
		{"application/openmetrics-text;q", NEGOTIATE_OPENMETRICS},
		{";;;,,,;q=,=", NEGOTIATE_PROMETHEUS_TEXT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_msg(negotiate_metrics(cases[i].accept) == cases[i].wanted, "%s",
			      cases[i].accept);
	}
}
END_TEST

START_TEST(gzip_must_be_allowed)
{
	ck_assert(!negotiate_gzip(NULL));
	ck_assert(!negotiate_gzip(""));
	ck_assert(!negotiate_gzip("identity, br"));
	ck_assert(!negotiate_gzip("gzip;q=0"));
	ck_assert(!negotiate_gzip("gzip; q=0.000, *"));
	ck_assert(!negotiate_gzip("*;q=0"));
	ck_assert(!negotiate_gzip("gzipped"));
	ck_assert(negotiate_gzip("gzip"));
	ck_assert(negotiate_gzip("deflate, GZIP;q=0.001"));
	ck_assert(negotiate_gzip("x-gzip"));
	ck_assert(negotiate_gzip("*"));
	ck_assert(negotiate_gzip(" \tgzip\t ; q = 0.5"));
}
END_TEST

START_TEST(a_tag_matches_itself_in_any_list)
{
	ck_assert(!negotiate_none_match(NULL, "\"a\""));
	ck_assert(!negotiate_none_match("", "\"a\""));
	ck_assert(!negotiate_none_match("\"b\"", "\"a\""));
	ck_assert(!negotiate_none_match("a", "\"a\""));
	ck_assert(!negotiate_none_match("\"A\"", "\"a\""));
	ck_assert(!negotiate_none_match("W/", "\"a\""));
	ck_assert(negotiate_none_match("\"a\"", "\"a\""));
	ck_assert(negotiate_none_match("W/\"a\"", "\"a\""));
	ck_assert(negotiate_none_match("\"b\" ,\"a\"", "\"a\""));
	ck_assert(negotiate_none_match("*", "\"a\""));
}
END_TEST

UNIT_MAIN(openmetrics_is_for_those_who_name_and_prefer_it, gzip_must_be_allowed,
	  a_tag_matches_itself_in_any_list)
