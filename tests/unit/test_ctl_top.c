/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/top_text.h"
#include "daemon/ctl/top_view.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"

enum { N_JOBS = 5 };

/* In the order of their IDs, which is that of their ages, the oldest first. */
static const struct job_info samples[N_JOBS] = {
	{.id = "1",
	 .name = "delta",
	 .state = JOB_STATE_COMPLETED,
	 .reason = "ok",
	 .phase = "",
	 .message = "",
	 .total_processed = 50,
	 .error_count = 5,
	 .progress = 1,
	 .eta_seconds = -1},
	{.id = "2",
	 .name = "alpha",
	 .state = JOB_STATE_FAILED,
	 .reason = "no_space",
	 .phase = "",
	 .message = "",
	 .total_processed = 40,
	 .progress = -1,
	 .eta_seconds = -1},
	{.id = "3",
	 .name = "charlie",
	 .state = JOB_STATE_RUNNING,
	 .reason = "",
	 .phase = "converting",
	 .message = "",
	 .total_processed = 10,
	 .items_per_second = 7,
	 .ram_bytes = 1 << 20,
	 .progress = 0.5,
	 .eta_seconds = 3},
	{.id = "4",
	 .name = "bravo",
	 .state = JOB_STATE_PENDING,
	 .reason = "",
	 .phase = "queued",
	 .message = "",
	 .progress = -1,
	 .eta_seconds = -1},
	{.id = "5",
	 .name = "alpha",
	 .state = JOB_STATE_ABORTED,
	 .reason = "cancelled",
	 .phase = "",
	 .message = "",
	 .total_processed = 20,
	 .error_count = 9,
	 .progress = 0.1,
	 .eta_seconds = -1},
};

/* The IDs of what is chosen, in their order. */
static void check_choice(const struct top_choice *choice, const char *expected)
{
	struct job_info jobs[N_JOBS];
	char ids[N_JOBS + 1] = "";
	size_t n;

	memcpy(jobs, samples, sizeof(samples));
	n = top_data_choose(jobs, N_JOBS, choice);
	for (size_t i = 0; i < n; i++) {
		ids[i] = jobs[i].id[0];
	}
	ck_assert_str_eq(ids, expected);
}

START_TEST(every_key_has_its_order_and_equals_are_newest_first)
{
	check_choice(&(struct top_choice){.key = TOP_KEY_NAME}, "52431");
	check_choice(&(struct top_choice){.key = TOP_KEY_STATE}, "34251");
	check_choice(&(struct top_choice){.key = TOP_KEY_RATE}, "35421");
	check_choice(&(struct top_choice){.key = TOP_KEY_ROWS}, "12534");
	check_choice(&(struct top_choice){.key = TOP_KEY_REJECTS}, "51432");
	check_choice(&(struct top_choice){.key = TOP_KEY_RAM}, "35421");
	check_choice(&(struct top_choice){.key = TOP_KEY_PROGRESS}, "13542");
	check_choice(&(struct top_choice){.key = TOP_KEY_AGE}, "54321");
}
END_TEST

START_TEST(the_reverse_keeps_equals_newest_first)
{
	check_choice(&(struct top_choice){.key = TOP_KEY_NAME, .is_reversed = true}, "13452");
	check_choice(&(struct top_choice){.key = TOP_KEY_AGE, .is_reversed = true}, "12345");
}
END_TEST

START_TEST(state_and_name_choose)
{
	check_choice(&(struct top_choice){.key = TOP_KEY_AGE,
					  .has_state = true,
					  .state = JOB_STATE_FAILED},
		     "2");
	check_choice(&(struct top_choice){.key = TOP_KEY_AGE, .name = "LPH"}, "52");
	check_choice(&(struct top_choice){.key = TOP_KEY_AGE, .name = "zulu"}, "");
}
END_TEST

START_TEST(a_job_of_two_answers_is_shown_as_in_the_first)
{
	struct job_info jobs[] = {samples[0], samples[2], samples[0]};

	jobs[2].state = JOB_STATE_RUNNING;
	ck_assert_uint_eq(top_data_choose(jobs, 3, &(struct top_choice){.key = TOP_KEY_AGE}), 2);
	ck_assert_str_eq(jobs[1].id, "1");
	ck_assert_int_eq(jobs[1].state, JOB_STATE_COMPLETED);
}
END_TEST

START_TEST(a_key_is_found_by_its_name_and_its_letter)
{
	enum top_key key;

	for (int i = 0; i < TOP_N_KEYS; i++) {
		ck_assert_int_eq(top_key_parse(top_key_name((enum top_key)i), &key), 0);
		ck_assert_int_eq(key, i);
		for (int k = 0; k < i; k++) {
			ck_assert_int_ne(top_key_letter((enum top_key)i),
					 top_key_letter((enum top_key)k));
		}
	}
	ck_assert_int_eq(top_key_parse("nothing", &key), -EINVAL);
}
END_TEST

/* A view of the samples, as it would be after a look. */
static void fill(struct top_view *view)
{
	*view = (struct top_view){.choice.key = TOP_KEY_AGE, .interval_ns = 500000000};
	view->data.jobs = malloc(sizeof(samples));
	ck_assert_ptr_nonnull(view->data.jobs);
	memcpy(view->data.jobs, samples, sizeof(samples));
	view->data.n_jobs = top_data_choose(view->data.jobs, N_JOBS, &view->choice);
	view->n_lines = 2;
	(void)top_view_key(view, 'g');
}

START_TEST(the_bar_moves_within_the_list)
{
	CLEANUP(top_view_deinit) struct top_view view;

	fill(&view);
	ck_assert_str_eq(view.selected_id, "5");
	(void)top_view_key(&view, SCREEN_KEY_UP);
	ck_assert_str_eq(view.selected_id, "5");
	(void)top_view_key(&view, SCREEN_KEY_PAGE_DOWN);
	ck_assert_str_eq(view.selected_id, "3");
	(void)top_view_key(&view, SCREEN_KEY_PAGE_DOWN);
	(void)top_view_key(&view, SCREEN_KEY_PAGE_DOWN);
	ck_assert_str_eq(view.selected_id, "1");
	(void)top_view_key(&view, 'k');
	ck_assert_str_eq(view.selected_id, "2");
}
END_TEST

START_TEST(the_bar_follows_its_job_into_another_order)
{
	CLEANUP(top_view_deinit) struct top_view view;

	fill(&view);
	(void)top_view_key(&view, 'j');
	ck_assert_str_eq(view.selected_id, "4");
	ck_assert_int_eq(top_view_key(&view, 't'), TOP_WISH_NONE);
	ck_assert_str_eq(view.data.jobs[view.selected].id, "4");
	ck_assert_uint_eq(view.selected, 4);
}
END_TEST

START_TEST(no_key_does_harm_without_jobs)
{
	CLEANUP(top_view_deinit) struct top_view view = {.interval_ns = 1};

	for (int key = 1; key < 128; key++) {
		enum top_wish wish = top_view_key(&view, key);

		ck_assert_int_eq(wish == TOP_WISH_QUIT, key == 'q' && view.mode != TOP_MODE_NAME);
		view.mode = TOP_MODE_JOBS;
	}
	for (int key = SCREEN_KEY_UP; key < SCREEN_KEY_CLOSED; key++) {
		ck_assert_int_ne(top_view_key(&view, key), TOP_WISH_QUIT);
	}
	ck_assert_int_eq(view.mode, TOP_MODE_JOBS);
}
END_TEST

START_TEST(a_name_is_typed_and_bounded)
{
	CLEANUP(top_view_deinit) struct top_view view;

	fill(&view);
	ck_assert_int_eq(top_view_key(&view, '/'), TOP_WISH_LOAD);
	for (int i = 0; i < 100; i++) {
		(void)top_view_key(&view, 'q');
	}
	ck_assert_uint_eq(strlen(view.choice.name), sizeof(view.choice.name) - 1);
	ck_assert_int_eq(top_view_key(&view, SCREEN_KEY_BACKSPACE), TOP_WISH_LOAD);
	ck_assert_uint_eq(strlen(view.choice.name), sizeof(view.choice.name) - 2);
	(void)top_view_key(&view, SCREEN_KEY_ESCAPE);
	ck_assert_str_eq(view.choice.name, "");
	ck_assert_int_eq(view.mode, TOP_MODE_JOBS);
}
END_TEST

START_TEST(the_interval_has_bounds)
{
	CLEANUP(top_view_deinit) struct top_view view;

	fill(&view);
	for (int i = 0; i < 100; i++) {
		(void)top_view_key(&view, '+');
	}
	ck_assert_int_eq(view.interval_ns, 100000000);
	for (int i = 0; i < 100; i++) {
		(void)top_view_key(&view, '-');
	}
	ck_assert_int_eq(view.interval_ns, INT64_C(60000000000));
}
END_TEST

static json_t *parse(const char *text)
{
	json_t *document = json_loads(text, 0, NULL);

	ck_assert_ptr_nonnull(document);
	return document;
}

START_TEST(the_header_tells_of_the_daemon_and_fits)
{
	CLEANUP(top_data_deinit)
	struct top_data data = {
		.at_ns = INT64_C(1795342502) * 1000000000,
		.status = parse("{\"version\":\"1.2\",\"ready\":true,\"started_at_seconds\":"
				"1795342442,\"jobs\":{\"pending\":1,\"running\":2,\"completed\":3,"
				"\"failed\":4,\"aborted\":5},\"workers\":{\"running\":6,"
				"\"exited\":9},\"items_per_second\":1234.5,\"ram_bytes\":1048576,"
				"\"total_processed\":1000000,\"error_count\":7,"
				"\"config_last_reload_successful\":true}"),
	};
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	top_text_add_header(&out, &data, 0);
	ck_assert_str_eq(buf_terminated(&out),
			 "zooparalleld 1.2, up 1m 00s  10:15:02Z  1 pending, 2 running, "
			 "3 completed, 4 failed, 5 aborted\n"
			 "1,234 rows/s  6 workers  RAM 1.0 MiB  1,000,000 rows  7 rejected\n");
	buf_clear(&out);
	top_text_add_header(&out, &data, 12);
	ck_assert_str_eq(buf_terminated(&out), "zooparalleld\n1,234 rows/s\n");
}
END_TEST

START_TEST(numbers_without_sense_are_shown_as_none)
{
	CLEANUP(top_data_deinit)
	struct top_data data = {
		.status = parse("{\"started_at_seconds\":-1e300,\"items_per_second\":1e300,"
				"\"ram_bytes\":-5,\"total_processed\":1e5,\"workers\":[1],"
				"\"jobs\":{\"running\":\"x\"}}"),
	};
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	top_text_add_header(&out, &data, 0);
	ck_assert_ptr_nonnull(strstr(buf_terminated(&out), "not ready"));
	ck_assert_ptr_nonnull(strstr(out.data, "\n0 rows/s  0 workers  RAM 0 B  0 rows"));
}
END_TEST

START_TEST(a_job_is_told_by_what_matters_in_its_state)
{
	struct job_info jobs[N_JOBS];
	struct top_data data = {.jobs = jobs, .n_jobs = N_JOBS};
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	memcpy(jobs, samples, sizeof(samples));
	jobs[4].state = JOB_STATE_RUNNING;
	jobs[4].phase = "waiting";
	ck_assert_int_eq(top_text_add_jobs(&out, &data, 0, true), 0);
	ck_assert_ptr_nonnull(strstr(buf_terminated(&out), "\033[31mno_space\033[0m "));
	ck_assert_ptr_nonnull(strstr(out.data, "\033[32mcompleted\033[0m "));
	ck_assert_ptr_nonnull(strstr(out.data, "\033[2mpending\033[0m "));
	ck_assert_ptr_nonnull(strstr(out.data, "charlie  running "));
	ck_assert_ptr_nonnull(strstr(out.data, "alpha    waiting "));
}
END_TEST

UNIT_MAIN(every_key_has_its_order_and_equals_are_newest_first,
	  the_reverse_keeps_equals_newest_first, state_and_name_choose,
	  a_job_of_two_answers_is_shown_as_in_the_first, a_key_is_found_by_its_name_and_its_letter,
	  the_bar_moves_within_the_list, the_bar_follows_its_job_into_another_order,
	  no_key_does_harm_without_jobs, a_name_is_typed_and_bounded, the_interval_has_bounds,
	  the_header_tells_of_the_daemon_and_fits, numbers_without_sense_are_shown_as_none,
	  a_job_is_told_by_what_matters_in_its_state)
