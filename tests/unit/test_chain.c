/* SPDX-License-Identifier: MIT */

#include "daemon/worker/chain.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "tests/support/unit.h"

/* Two files of 100 and 35 bytes, headers of 5 and 6, chunks of 10: 10 + 3 chunks. */
static struct plan_file files[2] = {
	{.path = (char[]){"a.csv"},
	 .identity = {.size_bytes = 105},
	 .data_offset = 5,
	 .data_line = 2,
	 .first_chunk = 0,
	 .n_chunks = 10},
	{.path = (char[]){"b.csv"},
	 .identity = {.size_bytes = 36},
	 .data_offset = 6,
	 .data_line = 3,
	 .first_chunk = 10,
	 .n_chunks = 3},
};
static struct plan_pipe pipe_plan = {.n_files = 2, .files = files, .n_chunks = 13};
static struct plan plan = {.chunk_size = 10, .n_pipes = 1, .pipes = &pipe_plan};
static struct chunk_table table;
static struct chain chain = {.table = &table, .lane = 0, .plan = &plan, .pipe = &pipe_plan};
static int table_fd;

static void make_table(void)
{
	const uint64_t n_chunks = 13;

	table_fd = memfd_create("table", MFD_CLOEXEC);
	ck_assert_int_eq(chunk_table_create(table_fd, 1, 2, &n_chunks, &table), 0);
}

static void drop_table(void)
{
	chunk_table_unmap(&table);
	table_fd = fd_close(table_fd);
}

static void claim_all_through(uint64_t last)
{
	uint64_t k;

	do {
		ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	} while (k < last);
}

static void scan(uint64_t k, bool parity, uint64_t n_newlines)
{
	chunk_table_publish_scan(chunk_table_record(&table, 0, k), parity, n_newlines);
}

static void accept_chunk(uint64_t k, const struct chunk_accept *accept)
{
	chunk_table_accept(chunk_table_record(&table, 0, k), accept);
}

START_TEST(the_first_chunk_of_each_file_starts_at_its_data)
{
	struct chain_start start;

	make_table();
	claim_all_through(10);
	ck_assert_int_eq(chain_guess(&chain, 0, &start), CHAIN_READY);
	ck_assert(start.is_exact);
	ck_assert_uint_eq(start.offset, 5);
	ck_assert_uint_eq(start.line, 2);
	ck_assert_int_eq(chain_guess(&chain, 10, &start), CHAIN_READY);
	ck_assert(start.is_exact);
	ck_assert_uint_eq(start.offset, 6);
	ck_assert_uint_eq(start.line, 3);
	drop_table();
}
END_TEST

START_TEST(parities_and_newlines_are_summed_from_the_files_start)
{
	struct chain_start start;

	make_table();
	claim_all_through(3);
	scan(0, true, 2);
	scan(1, true, 0);
	scan(2, true, 4);
	ck_assert_int_eq(chain_guess(&chain, 3, &start), CHAIN_READY);
	ck_assert(!start.is_exact && !start.has_offset);
	ck_assert(start.is_quoted);
	ck_assert_uint_eq(start.line, 2 + 6);
	drop_table();
}
END_TEST

START_TEST(the_overhang_of_the_nearest_accepted_chunk_is_taken_back)
{
	struct chain_start start;

	make_table();
	claim_all_through(3);
	accept_chunk(0, &(struct chunk_accept){.start = 5,
					       .end = 19,
					       .end_line = 9,
					       .overhang_newlines = 2,
					       .overhang_quote_parity = 1});
	scan(1, true, 3); /* of its 10 bytes, 4 are chunk 0's overhang */
	scan(2, false, 1);
	ck_assert_int_eq(chain_guess(&chain, 3, &start), CHAIN_READY);
	ck_assert(!start.is_exact && !start.has_offset);
	ck_assert(!start.is_quoted);
	ck_assert_uint_eq(start.line, 9 - 2 + 3 + 1);
	drop_table();
}
END_TEST

START_TEST(an_accepted_row_that_reaches_into_the_chunk_ends_the_guessing)
{
	struct chain_start start;

	make_table();
	claim_all_through(3);
	accept_chunk(0, &(struct chunk_accept){.start = 5, .end = 41, .end_line = 7});
	scan(1, false, 0);
	scan(2, false, 0);
	ck_assert_int_eq(chain_guess(&chain, 3, &start), CHAIN_READY);
	ck_assert(start.has_offset && !start.is_exact);
	ck_assert_uint_eq(start.offset, 41);
	ck_assert_uint_eq(start.line, 7);
	ck_assert_int_eq(chain_guess(&chain, 1, &start), CHAIN_READY);
	ck_assert(start.has_offset && start.is_exact);
	drop_table();
}
END_TEST

START_TEST(a_waiter_gives_its_chunk_back_for_an_earlier_one)
{
	struct chunk_accept before;
	struct chain_start start;

	make_table();
	claim_all_through(3);
	chunk_table_give_back(&table, 0, 1);
	scan(2, false, 0);
	ck_assert_int_eq(chain_guess(&chain, 3, &start), CHAIN_GIVE_BACK);
	ck_assert_int_eq(chain_wait(&chain, 3, &before), CHAIN_GIVE_BACK);
	drop_table();
}
END_TEST

START_TEST(a_waiter_sees_the_stop)
{
	struct chunk_accept before;
	struct chain_start start;

	make_table();
	claim_all_through(1);
	chunk_table_stop(&table);
	ck_assert_int_eq(chain_guess(&chain, 1, &start), CHAIN_STOPPED);
	ck_assert_int_eq(chain_wait(&chain, 1, &before), CHAIN_STOPPED);
	drop_table();
}
END_TEST

START_TEST(a_sleeping_waiter_wakes_when_the_chunk_before_is_accepted)
{
	struct chunk_accept before;
	int status;

	make_table();
	claim_all_through(1);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		_exit(chain_wait(&chain, 1, &before) == CHAIN_READY && before.end == 17 ? 0 : 1);
	}
	while (atomic_load(&chunk_table_record(&table, 0, 0)->n_waiters) == 0) {
		usleep(100);
	}
	accept_chunk(0, &(struct chunk_accept){.start = 5, .end = 17});
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	drop_table();
}
END_TEST

START_TEST(a_waiter_gives_signs_of_life_but_comes_no_further)
{
	struct chunk_accept before;

	make_table();
	claim_all_through(1);
	chain.slot = 1;
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		_exit(chain_wait(&chain, 1, &before));
	}
	while (chunk_table_pulse(&table, 1).n_beats < 5) {
		usleep(100);
	}
	ck_assert_uint_eq(chunk_table_pulse(&table, 1).n_steps, 0);
	ck_assert_uint_eq(chunk_table_pulse(&table, 0).n_beats, 0);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	drop_table();
}
END_TEST

START_TEST(an_accepted_chunk_without_a_scan_is_not_waited_for)
{
	struct chain_start start;
	int status;

	make_table();
	claim_all_through(2);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		_exit(chain_guess(&chain, 2, &start) == CHAIN_READY && start.offset == 26 ? 0 : 1);
	}
	while (atomic_load(&chunk_table_record(&table, 0, 1)->n_waiters) == 0) {
		usleep(100);
	}
	accept_chunk(1, &(struct chunk_accept){.start = 15, .end = 26});
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	drop_table();
}
END_TEST

UNIT_MAIN(the_first_chunk_of_each_file_starts_at_its_data,
	  parities_and_newlines_are_summed_from_the_files_start,
	  the_overhang_of_the_nearest_accepted_chunk_is_taken_back,
	  an_accepted_row_that_reaches_into_the_chunk_ends_the_guessing,
	  a_waiter_gives_its_chunk_back_for_an_earlier_one, a_waiter_sees_the_stop,
	  a_sleeping_waiter_wakes_when_the_chunk_before_is_accepted,
	  a_waiter_gives_signs_of_life_but_comes_no_further,
	  an_accepted_chunk_without_a_scan_is_not_waited_for)
