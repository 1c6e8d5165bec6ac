/* SPDX-License-Identifier: MIT */
#include "daemon/http/route.h"

#include <string.h>

#include "daemon/http/call.h"
#include "daemon/http/page.h"
#include "tests/support/http_fake.h"
#include "tests/support/unit.h"

static struct fake fake;
static struct http_backend backend;
static struct route_context context;
static struct request request;
static struct answer answer;
static struct exchange exchange;

static void set_up(void)
{
	fake_init(&fake);
	backend = fake_backend(&fake);
	context = (struct route_context){.backend = &backend, .idempotency = idempotency_new()};
	ck_assert_int_eq(host_list_init(&context.hosts, NULL, 0), 0);
}

static void tear_down(void)
{
	idempotency_free(context.idempotency);
	host_list_deinit(&context.hosts);
	request_target_deinit(&request.target);
	buf_deinit(&request.body);
	answer_deinit(&answer);
}

/* A new request; the caller may change it before ask(). */
static void begin(const char *method, const char *target, bool is_unix)
{
	request_target_deinit(&request.target);
	buf_deinit(&request.body);
	answer_deinit(&answer);
	request = (struct request){
		.method = request_method_parse(method),
		.host = "localhost",
		.n_hosts = 1,
		.is_unix = is_unix,
		.may_change = is_unix,
		.received_ns = 1000,
	};
	ck_assert_int_eq(request_target_parse(target, &request.target), 0);
	exchange = (struct exchange){.context = &context,
				     .request = &request,
				     .answer = &answer,
				     .may_wait = true,
				     .now_ns = 1000};
}

static enum route_result ask(void)
{
	const struct route *route = route_admit(&exchange);

	return route != NULL ? route_run(route, &exchange) : ROUTE_DONE;
}

static unsigned status_of(const char *method, const char *target, bool is_unix)
{
	begin(method, target, is_unix);
	ck_assert_int_eq(ask(), ROUTE_DONE);
	return answer.status;
}

START_TEST(each_route_answers_on_its_sockets)
{
	static const struct {
		const char *method, *target;
		unsigned tcp, unix_socket;
	} cases[] = {
		{"GET", "/", 200, 200},
		{"HEAD", "/metrics", 200, 200},
		{"GET", "/healthz", 200, 200},
		{"GET", "/readyz?pretty", 200, 200},
		{"GET", "/api/v1/status", 200, 200},
		{"GET", "/api/v1/jobs?state=running&name=users&limit=5&after=20261122T000000000Z",
		 200, 200},
		{"GET", "/api/v1/jobs/1A", 200, 200},
		{"GET", "/api/v1/jobs/1A/workers", 200, 200},
		{"GET", "/api/v1/jobs/1A/errors?limit=1", 200, 200},
		{"GET", "/api/v1/jobs/1Z", 404, 404},
		{"GET", "/api/v1/jobs/1Z/workers", 404, 404},
		{"GET", "/api/v1/jobs/1A/", 404, 404},
		{"GET", "/api/v1/jobs/%2e%2e/errors", 404, 404},
		{"GET", "/api/v1/jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 404, 404},
		{"GET", "/api/v1", 404, 404},
		{"POST", "/api/v1/jobs", 405, 202},
		{"POST", "/api/v1/validate", 405, 422},
		{"POST", "/api/v1/jobs/1A/cancel", 405, 202},
		{"DELETE", "/api/v1/jobs/1B", 405, 202},
		{"GET", "/api/v1/validate", 404, 405},
		{"PUT", "/", 405, 405},
		{"PUT", "/nothing", 405, 404},
		{"GET", "/metrics?pretty", 400, 400},
		{"GET", "/api/v1/jobs?limit=0", 400, 400},
		{"GET", "/api/v1/jobs?state=x", 400, 400},
		{"GET", "/api/v1/jobs?after=zzz", 400, 400},
		{"GET", "/api/v1/jobs/1A?wait=x", 400, 400},
	};

	set_up();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_msg(status_of(cases[i].method, cases[i].target, false) == cases[i].tcp,
			      "%s: %u", cases[i].target, answer.status);
		ck_assert_msg(status_of(cases[i].method, cases[i].target, true) ==
				      cases[i].unix_socket,
			      "unix %s: %u", cases[i].target, answer.status);
	}
	tear_down();
}
END_TEST

START_TEST(a_405_allows_what_is_allowed_there)
{
	set_up();
	status_of("PUT", "/api/v1/jobs", true);
	ck_assert_str_eq(answer.allow, "GET, HEAD, POST");
	status_of("PUT", "/api/v1/jobs", false);
	ck_assert_str_eq(answer.allow, "GET, HEAD");
	status_of("PUT", "/api/v1/jobs/1A", true);
	ck_assert_str_eq(answer.allow, "GET, HEAD, DELETE");
	tear_down();
}
END_TEST

START_TEST(strangers_on_the_unix_socket_may_read_only)
{
	set_up();
	begin("POST", "/api/v1/jobs", true);
	request.may_change = false;
	ask();
	ck_assert_uint_eq(answer.status, 403);
	ck_assert_uint_eq(fake.n_submitted, 0);
	begin("GET", "/api/v1/jobs", true);
	request.may_change = false;
	ask();
	ck_assert_uint_eq(answer.status, 200);
	tear_down();
}
END_TEST

START_TEST(the_authority_goes_before_the_host)
{
	set_up();
	ck_assert_uint_eq(status_of("GET", "http://evil/healthz", false), 421);
	ck_assert_uint_eq(status_of("GET", "http://localhost/healthz", false), 200);
	begin("GET", "/healthz", false);
	request.n_hosts = 2;
	ask();
	ck_assert_uint_eq(answer.status, 400);
	tear_down();
}
END_TEST

START_TEST(a_long_poll_waits_for_the_end_or_its_time)
{
	set_up();
	begin("GET", "/api/v1/jobs/1A?wait=5s", false);
	ck_assert_int_eq(ask(), ROUTE_WAIT);
	ck_assert_int_eq(exchange.wait_until_ns, 1000 + INT64_C(5000000000));
	exchange.now_ns = exchange.wait_until_ns;
	ck_assert_int_eq(ask(), ROUTE_DONE);
	ck_assert_uint_eq(answer.status, 200);

	begin("GET", "/api/v1/jobs/1A?wait=1h", false);
	ck_assert_int_eq(ask(), ROUTE_WAIT);
	ck_assert_int_eq(exchange.wait_until_ns, 1000 + INT64_C(60000000000));
	exchange.must_answer = true;
	ck_assert_int_eq(ask(), ROUTE_DONE);
	ck_assert_uint_eq(answer.status, 200);

	begin("GET", "/api/v1/jobs/1A?wait=5s", false);
	exchange.may_wait = false;
	ck_assert_int_eq(ask(), ROUTE_DONE);
	ck_assert_uint_eq(answer.status, 503);
	ck_assert_uint_gt(answer.retry_after_seconds, 0);

	begin("GET", "/api/v1/jobs/1B?wait=5s", false);
	exchange.may_wait = false; /* it need not */
	ck_assert_int_eq(ask(), ROUTE_DONE);
	ck_assert_uint_eq(answer.status, 200);
	tear_down();
}
END_TEST

START_TEST(a_change_is_answered_when_it_is_done)
{
	set_up();
	fake.is_slow = true;
	begin("POST", "/api/v1/jobs", true);
	ck_assert_int_eq(ask(), ROUTE_LATER);
	fake_answer(&fake);
	ck_assert_int_eq(ask(), ROUTE_DONE);
	ck_assert_uint_eq(answer.status, 202);
	ck_assert_str_eq(answer.location, "/api/v1/jobs/1C");
	ck_assert_uint_eq(fake.n_submitted, 1);
	ck_assert_ptr_null(exchange.call);
	tear_down();
}
END_TEST

START_TEST(a_result_may_outlive_its_request)
{
	set_up();
	fake.is_slow = true;
	begin("POST", "/api/v1/jobs", true);
	request.idempotency_key = "k";
	ck_assert_int_eq(ask(), ROUTE_LATER);
	exchange.must_answer = true;
	ck_assert_int_eq(ask(), ROUTE_DONE);
	ck_assert_uint_eq(answer.status, 503);
	tear_down();
	fake_answer(&fake); /* no use after free, no leak: the sanitizer sees */
}
END_TEST

START_TEST(a_key_is_for_one_submission)
{
	set_up();
	for (int i = 0; i < 2; i++) {
		begin("POST", "/api/v1/jobs?name=x", true);
		request.idempotency_key = "k";
		ck_assert_int_eq(ask(), ROUTE_DONE);
		ck_assert_uint_eq(answer.status, 202);
		ck_assert_str_eq(answer.location, "/api/v1/jobs/1C");
	}
	ck_assert_uint_eq(fake.n_submitted, 1);
	begin("POST", "/api/v1/jobs?name=y", true);
	request.idempotency_key = "k";
	ask();
	ck_assert_uint_eq(answer.status, 422);
	ck_assert_uint_eq(fake.n_submitted, 1);
	tear_down();
}
END_TEST

START_TEST(an_unready_daemon_says_why)
{
	set_up();
	fake.is_unready = true;
	ck_assert_uint_eq(status_of("GET", "/readyz", false), 503);
	ck_assert_ptr_nonnull(
		strstr(buf_terminated(&answer.body), "\"reasons\":[\"One.\",\"Two.\"]"));
	ck_assert_uint_eq(status_of("GET", "/api/v1/status", false), 200);
	ck_assert_ptr_nonnull(strstr(buf_terminated(&answer.body),
				     "\"ready\":false,\"reasons\":[\"One.\",\"Two.\"]"));
	tear_down();
}
END_TEST

/* A browser takes the policy of the answer that said "not modified" for the page that it kept. */
START_TEST(the_page_comes_with_its_policy_and_compressed_as_it_was_made)
{
	char tag[ANSWER_ETAG_SIZE];

	set_up();
	begin("GET", "/", false);
	request.accept_encoding = "gzip";
	ask();
	ck_assert_uint_eq(answer.status, 200);
	ck_assert(answer.is_gzip);
	ck_assert_uint_eq(answer.body.len, page_status.gzip_len);
	ck_assert_mem_eq(answer.body.data, page_status.gzip, page_status.gzip_len);
	ck_assert_str_eq(answer.policy, page_status.policy);
	memcpy(tag, answer.etag, sizeof(tag));
	begin("GET", "/", false);
	request.accept_encoding = "gzip";
	request.if_none_match = tag;
	ask();
	ck_assert_uint_eq(answer.status, 304);
	ck_assert_str_eq(answer.policy, page_status.policy);
	ck_assert_uint_eq(status_of("GET", "/api/v1/jobs/1Z", false), 404);
	ck_assert_ptr_null(answer.policy);
	tear_down();
}
END_TEST

START_TEST(the_same_text_is_not_sent_twice)
{
	char tag[ANSWER_ETAG_SIZE];

	set_up();
	status_of("GET", "/api/v1/jobs/1B", false);
	memcpy(tag, answer.etag, sizeof(tag));
	ck_assert_str_ne(tag, "");
	begin("GET", "/api/v1/jobs/1B", false);
	request.if_none_match = tag;
	ask();
	ck_assert_uint_eq(answer.status, 304);
	ck_assert_uint_eq(answer.body.len, 0);
	fake.jobs[1].error_count++;
	begin("GET", "/api/v1/jobs/1B", false);
	request.if_none_match = tag;
	ask();
	ck_assert_uint_eq(answer.status, 200);
	tear_down();
}
END_TEST

START_TEST(a_body_too_big_is_refused)
{
	set_up();
	begin("POST", "/api/v1/jobs", true);
	request.is_body_too_big = true;
	ask();
	ck_assert_uint_eq(answer.status, 413);
	ck_assert_uint_eq(fake.n_submitted, 0);
	tear_down();
}
END_TEST

START_TEST(unreadable_rejects_are_an_error_and_missing_ones_none)
{
	set_up();
	ck_assert_uint_eq(status_of("GET", "/api/v1/jobs/1B/errors", false), 200);
	ck_assert_str_eq(buf_terminated(&answer.body),
			 "{\"job_id\":\"1B\",\"errors\":[],\"more\":false}\n");
	fake.rejects_fd = -EACCES;
	ck_assert_uint_eq(status_of("GET", "/api/v1/jobs/1B/errors", false), 500);
	tear_down();
}
END_TEST

UNIT_MAIN(each_route_answers_on_its_sockets, a_405_allows_what_is_allowed_there,
	  strangers_on_the_unix_socket_may_read_only, the_authority_goes_before_the_host,
	  a_long_poll_waits_for_the_end_or_its_time, a_change_is_answered_when_it_is_done,
	  a_result_may_outlive_its_request, a_key_is_for_one_submission, an_unready_daemon_says_why,
	  the_page_comes_with_its_policy_and_compressed_as_it_was_made,
	  the_same_text_is_not_sent_twice, a_body_too_big_is_refused,
	  unreadable_rejects_are_an_error_and_missing_ones_none)
