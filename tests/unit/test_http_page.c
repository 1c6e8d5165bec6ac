/* SPDX-License-Identifier: MIT */
#include "daemon/http/page.h"

#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "common/util/buf.h"
#include "tests/support/unit.h"

static const char *html(void)
{
	static struct buf text;

	if (text.len == 0) {
		buf_add(&text, page_status.html, page_status.html_len);
	}
	return buf_terminated(&text);
}

static size_t count(const char *text, const char *needle)
{
	size_t n = 0;

	while ((text = strstr(text, needle)) != NULL) {
		n++;
		text++;
	}
	return n;
}

START_TEST(the_compressed_form_is_the_same_page)
{
	unsigned char *plain = malloc(page_status.html_len + 1);
	z_stream stream = {
		.next_in = (unsigned char *)(uintptr_t)page_status.gzip,
		.avail_in = (uInt)page_status.gzip_len,
		.next_out = plain,
		.avail_out = (uInt)page_status.html_len + 1,
	};

	ck_assert_ptr_nonnull(plain);
	ck_assert_int_eq(inflateInit2(&stream, 15 + 16), Z_OK);
	ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
	ck_assert_uint_eq(stream.avail_in, 0);
	ck_assert_uint_eq(stream.total_out, page_status.html_len);
	ck_assert_mem_eq(plain, page_status.html, page_status.html_len);
	inflateEnd(&stream);
	free(plain);
	ck_assert_uint_lt(page_status.gzip_len, page_status.html_len / 2);
}
END_TEST

START_TEST(style_and_scripts_are_in_it)
{
	ck_assert_uint_eq(count(html(), "<style>"), 1);
	ck_assert_uint_eq(count(html(), "</style>"), 1);
	ck_assert_uint_eq(count(html(), "<script"), 1);
	ck_assert_uint_eq(count(html(), "</script>"), 1);
	ck_assert_ptr_nonnull(strstr(html(), "prefers-color-scheme"));
	ck_assert_ptr_nonnull(strstr(html(), "visibilitychange"));
	ck_assert_ptr_nonnull(strstr(html(), "<noscript>"));
}
END_TEST

/* The one address in it is the name of a format, inside the icon, which nobody asks for. */
START_TEST(nothing_in_it_comes_from_elsewhere)
{
	static const char format_name[] = "'http://www.w3.org/2000/svg'";

	ck_assert_uint_eq(count(html(), "://"), 1);
	ck_assert_uint_eq(count(html(), format_name), 1);
	ck_assert_uint_eq(count(html(), "src="), 0);
	ck_assert_uint_eq(count(html(), "url("), 0);
	ck_assert_uint_eq(count(html(), "@import"), 0);
	ck_assert_uint_eq(count(html(), "<link"), 1);
	ck_assert_uint_eq(count(html(), " style="), 0);
}
END_TEST

START_TEST(its_policy_allows_what_is_in_it_and_nothing_else)
{
	const char *policy = page_status.policy;

	ck_assert_ptr_eq(strstr(policy, "default-src 'none'; "), policy);
	ck_assert_uint_eq(count(policy, "'sha256-"), 2);
	ck_assert_ptr_nonnull(strstr(policy, "connect-src 'self'"));
	ck_assert_ptr_nonnull(strstr(policy, "require-trusted-types-for 'script'"));
	ck_assert_ptr_null(strstr(policy, "unsafe"));
	ck_assert_ptr_null(strstr(policy, "*"));
}
END_TEST

UNIT_MAIN(the_compressed_form_is_the_same_page, style_and_scripts_are_in_it,
	  nothing_in_it_comes_from_elsewhere, its_policy_allows_what_is_in_it_and_nothing_else)
