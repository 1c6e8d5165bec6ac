/* SPDX-License-Identifier: MIT */
#include "daemon/http/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"

enum { LIMIT = 16, N_FREE = 12 }; /* 3/4 */

static struct connection_list list;
static struct connection connections[LIMIT];
static int far_ends[LIMIT];

static void open_all(int n)
{
	connection_list_init(&list, LIMIT);
	for (int i = 0; i < n; i++) {
		int pair[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		far_ends[i] = pair[1];
		connection_add(&list, &connections[i], pair[0], i);
	}
}

static bool is_shut(int i)
{
	char byte;

	ck_assert_int_eq(connections[i].is_shut, recv(far_ends[i], &byte, 1, MSG_DONTWAIT) == 0);
	return connections[i].is_shut;
}

START_TEST(nobody_goes_below_three_quarters)
{
	open_all(N_FREE);
	for (int i = 0; i < N_FREE; i++) {
		ck_assert(!is_shut(i));
	}
	ck_assert_uint_eq(list.n_open, N_FREE);
}
END_TEST

START_TEST(above_it_the_slowest_goes_for_each_that_comes)
{
	open_all(N_FREE);
	connection_set_phase(&list, &connections[0], CONNECTION_WORKING, 100);
	connection_set_phase(&list, &connections[1], CONNECTION_READING, 100);
	for (int i = N_FREE; i < N_FREE + 2; i++) {
		far_ends[i] = -1;
		connection_add(&list, &connections[i], -1, 200);
	}
	ck_assert(is_shut(2) && is_shut(3));
	ck_assert(!is_shut(0) && !is_shut(1) && !is_shut(4));
	ck_assert_uint_eq(list.n_open, N_FREE);
	connection_remove(&list, &connections[2]);
	ck_assert_uint_eq(list.n_open, N_FREE);
	connection_remove(&list, &connections[4]);
	ck_assert_uint_eq(list.n_open, N_FREE - 1);
}
END_TEST

START_TEST(those_who_wait_for_us_are_spared)
{
	open_all(N_FREE);
	for (int i = 0; i < N_FREE; i++) {
		connection_set_phase(&list, &connections[i], CONNECTION_WORKING, 100);
	}
	connection_add(&list, &connections[N_FREE], -1, 200);
	for (int i = 0; i < N_FREE; i++) {
		ck_assert(!is_shut(i));
	}
}
END_TEST

START_TEST(answers_not_taken_have_a_bound)
{
	open_all(4);
	for (int i = 0; i < 3; i++) {
		connection_set_writing(&list, &connections[i], CONNECTION_MAX_ANSWER_BYTES / 2, i);
	}
	ck_assert(is_shut(0) && !is_shut(1) && !is_shut(2));
	connection_set_phase(&list, &connections[1], CONNECTION_IDLE, 10);
	connection_set_writing(&list, &connections[3], CONNECTION_MAX_ANSWER_BYTES / 2, 20);
	ck_assert(!is_shut(1) && !is_shut(2) && !is_shut(3));
	/* The one that has just come is never its own victim. */
	connection_set_writing(&list, &connections[1], 2 * CONNECTION_MAX_ANSWER_BYTES, 30);
	ck_assert(!is_shut(1) && is_shut(2) && is_shut(3));
	connection_remove(&list, &connections[1]);
	ck_assert_uint_eq(list.answer_bytes, 0);
}
END_TEST

START_TEST(a_phase_has_its_time)
{
	open_all(1);
	ck_assert_int_eq(connections[0].deadline_ns, CONNECTION_REQUEST_NS);
	connection_set_phase(&list, &connections[0], CONNECTION_WORKING, 5);
	ck_assert_int_eq(connections[0].deadline_ns, INT64_MAX);
	connection_set_phase(&list, &connections[0], CONNECTION_IDLE, 7);
	ck_assert_int_eq(connections[0].deadline_ns, 7 + CONNECTION_IDLE_NS);
}
END_TEST

START_TEST(a_client_that_closed_is_gone)
{
	open_all(1);
	ck_assert(!connection_is_gone(&connections[0]));
	ck_assert_int_eq(write(far_ends[0], "x", 1), 1);
	close(far_ends[0]);
	ck_assert(!connection_is_gone(&connections[0])); /* it has said something yet */
	ck_assert_int_eq(recv(connections[0].fd, far_ends, 1, 0), 1);
	ck_assert(connection_is_gone(&connections[0]));
}
END_TEST

UNIT_MAIN(nobody_goes_below_three_quarters, above_it_the_slowest_goes_for_each_that_comes,
	  those_who_wait_for_us_are_spared, answers_not_taken_have_a_bound, a_phase_has_its_time,
	  a_client_that_closed_is_gone)
