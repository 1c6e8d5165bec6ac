/* SPDX-License-Identifier: MIT */
#include "daemon/http/render_page.h"

#include <math.h>
#include <string.h>

#include "tests/support/unit.h"

START_TEST(nothing_that_a_user_named_is_markup)
{
	const struct job_view job = {.id = "1\"A",
				     .name = "<script>alert('x')</script>&",
				     .message = "\"><b>",
				     .state = JOB_STATE_FAILED,
				     .items_per_second = INFINITY,
				     .progress = NAN,
				     .eta_seconds = 1e300,
				     .total_processed = -1};
	static const struct live_view live;
	struct buf out = BUF_INIT;
	const char *text;

	render_page_begin(&out, &live);
	render_page_job(&out, &job);
	render_page_end(&out, 3);
	text = buf_terminated(&out);
	ck_assert_ptr_nonnull(strstr(text, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"));
	ck_assert_ptr_nonnull(strstr(text, "&quot;&gt;&lt;b&gt;"));
	ck_assert_ptr_nonnull(strstr(text, "/api/v1/jobs/1&quot;A?pretty"));
	ck_assert_ptr_null(strstr(text, "<script"));
	ck_assert_ptr_null(strstr(text, "<b>"));
	ck_assert_ptr_nonnull(strstr(text, "and 3 older jobs"));
	buf_deinit(&out);
}
END_TEST

UNIT_MAIN(nothing_that_a_user_named_is_markup)
