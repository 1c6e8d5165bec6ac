/* SPDX-License-Identifier: MIT */

#include "common/model/chunk_table.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "tests/support/unit.h"

static int table_fd;
static struct chunk_table table;

static void make_table(uint32_t n_lanes, uint32_t n_slots, const uint64_t *n_chunks)
{
	table_fd = memfd_create("table", MFD_CLOEXEC);
	ck_assert_int_ge(table_fd, 0);
	ck_assert_int_eq(chunk_table_create(table_fd, n_lanes, n_slots, n_chunks, &table), 0);
}

static void drop_table(void)
{
	chunk_table_unmap(&table);
	table_fd = fd_close(table_fd);
}

static void write_chunk(uint64_t k)
{
	struct chunk_accept accept = {.start = k, .end = k + 1, .rows = 1, .success = 1};
	struct chunk_record *record = chunk_table_record(&table, 0, k);

	chunk_table_accept(record, &accept);
	chunk_table_written(record);
}

static bool fold_next(uint64_t *folded)
{
	struct chunk_accept accept;
	uint32_t slot;

	if (chunk_table_peek(&table, 0, *folded, &accept, &slot) == 0) {
		return false;
	}
	ck_assert_uint_eq(accept.start, *folded);
	chunk_table_fold(&table, 0, *folded);
	(*folded)++;
	return true;
}

START_TEST(a_table_maps_as_it_was_created)
{
	struct chunk_table other;

	make_table(2, 3, (uint64_t[]){10, 100000});
	ck_assert_int_eq(chunk_table_map(table_fd, &other), 0);
	ck_assert_uint_eq(other.n_lanes, 2);
	ck_assert_uint_eq(other.n_slots, 3);
	ck_assert_uint_eq(other.ring_size, CHUNK_TABLE_RING_SIZE);
	ck_assert_uint_eq(atomic_load(&other.lanes[1].n_chunks), 100000);
	chunk_table_unmap(&other);
	drop_table();
}
END_TEST

START_TEST(a_foreign_or_cut_table_is_refused)
{
	struct chunk_table other;

	make_table(1, 1, (uint64_t[]){10});
	table.header->version = CHUNK_TABLE_VERSION + 1;
	ck_assert_int_eq(chunk_table_map(table_fd, &other), -EINVAL);
	table.header->version = CHUNK_TABLE_VERSION;
	table.header->ring_size = 1u << 30;
	ck_assert_int_eq(chunk_table_map(table_fd, &other), -EINVAL);
	drop_table();
	table_fd = memfd_create("short", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(table_fd, 16), 0);
	ck_assert_int_eq(chunk_table_map(table_fd, &other), -EINVAL);
	table_fd = fd_close(table_fd);
}
END_TEST

START_TEST(chunks_are_claimed_lowest_first_and_once)
{
	uint64_t k;

	make_table(1, 2, (uint64_t[]){3});
	for (uint64_t want = 0; want < 3; want++) {
		ck_assert_int_eq(chunk_table_claim(&table, 0, want % 2, &k), 1);
		ck_assert_uint_eq(k, want);
	}
	ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 0);
	ck_assert(chunk_table_lane_is_drained(&table, 0));
	drop_table();
}
END_TEST

START_TEST(a_chunk_given_back_is_the_next_one_claimed)
{
	uint64_t k;

	make_table(1, 2, (uint64_t[]){5});
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	}
	ck_assert(!chunk_table_has_free_before(&table, 0, 3));
	chunk_table_give_back(&table, 0, 1);
	ck_assert(chunk_table_has_free_before(&table, 0, 3));
	ck_assert(!chunk_table_has_free_before(&table, 0, 1));
	ck_assert(!chunk_table_lane_is_drained(&table, 0));
	ck_assert_int_eq(chunk_table_claim(&table, 0, 1, &k), 1);
	ck_assert_uint_eq(k, 1);
	drop_table();
}
END_TEST

START_TEST(only_written_records_fold_and_only_in_order)
{
	uint64_t folded = 0;
	uint64_t k;

	make_table(1, 1, (uint64_t[]){3});
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	}
	write_chunk(1);
	ck_assert(!fold_next(&folded));
	chunk_table_accept(chunk_table_record(&table, 0, 0), &(struct chunk_accept){.start = 0});
	ck_assert(!fold_next(&folded));
	chunk_table_written(chunk_table_record(&table, 0, 0));
	ck_assert(fold_next(&folded));
	ck_assert(fold_next(&folded));
	ck_assert(!fold_next(&folded));
	drop_table();
}
END_TEST

START_TEST(the_ring_never_runs_over_unfolded_records)
{
	const uint64_t n_chunks = 3 * CHUNK_TABLE_RING_SIZE;
	uint64_t folded = 0;
	uint64_t n_claimed = 0;
	uint64_t k;

	make_table(1, 1, &n_chunks);
	while (folded < n_chunks) {
		while (chunk_table_claim(&table, 0, 0, &k) == 1) {
			ck_assert_uint_eq(k, n_claimed);
			ck_assert_uint_lt(k, folded + CHUNK_TABLE_RING_SIZE - 1);
			write_chunk(k);
			n_claimed++;
		}
		ck_assert(fold_next(&folded));
		/* The predecessor of the first unfolded chunk stays readable. */
		struct chunk_accept last;
		ck_assert(chunk_table_accepted(&table, 0, folded - 1, &last));
		ck_assert_uint_eq(last.start, folded - 1);
	}
	ck_assert_uint_eq(n_claimed, n_chunks);
	drop_table();
}
END_TEST

START_TEST(a_recycled_record_says_that_it_is)
{
	const uint64_t n_chunks = 2 * CHUNK_TABLE_RING_SIZE;
	struct chunk_accept accept;
	uint64_t folded = 0;
	uint64_t n_newlines;
	bool parity;
	uint64_t k;

	make_table(1, 1, &n_chunks);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
		chunk_table_publish_scan(chunk_table_record(&table, 0, k), true, 1);
		write_chunk(k);
	}
	ck_assert(fold_next(&folded));
	ck_assert(chunk_table_accepted(&table, 0, 0, &accept));
	ck_assert(fold_next(&folded));
	ck_assert(!chunk_table_accepted(&table, 0, 0, &accept));
	ck_assert_int_eq(chunk_table_scan(&table, 0, 0, &parity, &n_newlines), -ESTALE);
	ck_assert_int_eq(chunk_table_scan(&table, 0, 1, &parity, &n_newlines), 1);
	drop_table();
}
END_TEST

START_TEST(a_dead_slot_loses_what_it_had_not_written)
{
	const uint64_t folded[1] = {0};
	uint64_t k;

	make_table(1, 2, (uint64_t[]){4});
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(chunk_table_claim(&table, 0, i == 3, &k), 1);
	}
	write_chunk(0);
	chunk_table_accept(chunk_table_record(&table, 0, 1), &(struct chunk_accept){.start = 1});
	ck_assert_uint_eq(chunk_table_free_slot(&table, 0, folded), 2);
	ck_assert_int_eq(chunk_table_claim(&table, 0, 1, &k), 1);
	ck_assert_uint_eq(k, 1);
	ck_assert_int_eq(chunk_table_claim(&table, 0, 1, &k), 1);
	ck_assert_uint_eq(k, 2);
	ck_assert_uint_eq(chunk_table_free_slot(&table, 1, folded), 3);
	drop_table();
}
END_TEST

/* What the two steps of a give-back leave if a SIGKILL comes between them. */
START_TEST(a_chunk_freed_by_a_worker_that_died_at_it_is_found_again)
{
	const uint64_t folded[] = {0};
	uint64_t k;

	make_table(1, 2, (uint64_t[]){10});
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	}
	atomic_store(&chunk_table_record(&table, 0, 1)->claim, 0);
	ck_assert(!chunk_table_has_free_before(&table, 0, 2));
	chunk_table_free_slot(&table, 1, folded);
	ck_assert(chunk_table_has_free_before(&table, 0, 2));
	ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	ck_assert_uint_eq(k, 1);
	drop_table();
}
END_TEST

/* Else who holds a later one would wait for it until the whole job ends. */
START_TEST(a_dead_slot_loses_chunks_behind_the_end_of_a_lane_too)
{
	const uint64_t folded[] = {0};
	uint64_t k;

	make_table(1, 2, (uint64_t[]){10});
	ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	ck_assert_int_eq(chunk_table_claim(&table, 0, 1, &k), 1);
	ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	chunk_table_end_lane(&table, 0, 1);
	ck_assert_uint_eq(chunk_table_free_slot(&table, 1, folded), 1);
	ck_assert(chunk_table_has_free_before(&table, 0, 2));
	ck_assert_int_eq(chunk_table_claim(&table, 0, 1, &k), 0);
	ck_assert(chunk_table_lane_is_drained(&table, 0));
	drop_table();
}
END_TEST

START_TEST(a_lane_ends_where_the_supervisor_says)
{
	uint64_t k;

	make_table(1, 1, (uint64_t[]){100});
	ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 1);
	chunk_table_end_lane(&table, 0, 1);
	ck_assert_int_eq(chunk_table_claim(&table, 0, 0, &k), 0);
	ck_assert(chunk_table_lane_is_drained(&table, 0));
	drop_table();
}
END_TEST

START_TEST(scans_and_reports_arrive_as_they_were_given)
{
	char message[CHUNK_TABLE_MESSAGE_MAX];
	uint64_t n_newlines;
	uint32_t reason;
	bool parity;

	make_table(1, 1, (uint64_t[]){1});
	struct chunk_record *record = chunk_table_record(&table, 0, 0);
	ck_assert_int_eq(chunk_table_scan(&table, 0, 0, &parity, &n_newlines), 0);
	chunk_table_publish_scan(record, true, 123456789012);
	ck_assert_int_eq(chunk_table_scan(&table, 0, 0, &parity, &n_newlines), 1);
	ck_assert(parity);
	ck_assert_uint_eq(n_newlines, 123456789012);

	ck_assert(!chunk_table_report(&table, 0, &reason, message));
	chunk_table_fail(&table, 0, 7, "out.jsonl:\x1b[31m no");
	ck_assert(chunk_table_report(&table, 0, &reason, message));
	ck_assert_uint_eq(reason, 7);
	ck_assert_str_eq(message, "out.jsonl:?[31m no");
	chunk_table_clear_report(&table, 0);
	ck_assert(!chunk_table_report(&table, 0, &reason, message));
	drop_table();
}
END_TEST

START_TEST(signs_of_life_are_counted_by_slot)
{
	struct chunk_pulse pulse;

	make_table(1, 2, (uint64_t[]){1});
	chunk_table_beat(&table, 1, false);
	chunk_table_beat(&table, 1, true);
	chunk_table_beat(&table, 1, false);
	pulse = chunk_table_pulse(&table, 1);
	ck_assert_uint_eq(pulse.n_beats, 3);
	ck_assert_uint_eq(pulse.n_steps, 1);
	pulse = chunk_table_pulse(&table, 0);
	ck_assert_uint_eq(pulse.n_beats, 0);
	ck_assert_uint_eq(pulse.n_steps, 0);
	drop_table();
}
END_TEST

/*
 * Many processes claim, accept in order, write or give back at random, and are killed at random;
 * the parent folds. Every chunk must be folded once, in order: a claim that two hold, one that
 * nobody can find any more, or a record read a lap late shows as a wrong start or as a hang.
 */
enum { STRESS_WORKERS = 4, STRESS_CHUNKS = 30000, STRESS_KILLS = 60 };

static void stress_wait_for_predecessor(uint64_t k, bool *ret_given_back)
{
	struct chunk_accept before;

	*ret_given_back = false;
	while (k > 0 && !chunk_table_accepted(&table, 0, k - 1, &before)) {
		if (chunk_table_has_free_before(&table, 0, k)) {
			chunk_table_give_back(&table, 0, k);
			*ret_given_back = true;
			return;
		}
		chunk_table_sleep(chunk_table_record(&table, 0, k - 1), CHUNK_EVENT_ACCEPTED,
				  10 * 1000 * 1000);
	}
	if (k > 0 && before.start != k - 1) {
		_exit(9);
	}
}

static void stress_worker(uint32_t slot, unsigned seed)
{
	while (!chunk_table_lane_is_drained(&table, 0)) {
		bool is_given_back;
		uint64_t k;

		if (chunk_table_claim(&table, 0, slot, &k) == 0) {
			usleep(50);
			continue;
		}
		if (rand_r(&seed) % 50 == 0) {
			chunk_table_give_back(&table, 0, k);
			continue;
		}
		stress_wait_for_predecessor(k, &is_given_back);
		if (!is_given_back) {
			write_chunk(k);
		}
	}
	_exit(0);
}

static pid_t stress_spawn(uint32_t slot, unsigned seed)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		stress_worker(slot, seed);
	}
	return pid;
}

START_TEST(killed_workers_lose_and_double_nothing)
{
	const uint64_t n_chunks = STRESS_CHUNKS;
	unsigned seed = (unsigned)getpid();
	pid_t pids[STRESS_WORKERS];
	unsigned n_kills = 0;
	uint64_t folded = 0;

	make_table(1, STRESS_WORKERS, &n_chunks);
	for (uint32_t i = 0; i < STRESS_WORKERS; i++) {
		pids[i] = stress_spawn(i, seed + i);
	}
	while (folded < n_chunks) {
		fold_next(&folded);
		if (folded < (n_kills + 1) * (n_chunks / (STRESS_KILLS + 1))) {
			continue;
		}
		uint32_t victim = (uint32_t)rand_r(&seed) % STRESS_WORKERS;
		int status;

		kill(pids[victim], SIGKILL);
		ck_assert_int_eq(waitpid(pids[victim], &status, 0), pids[victim]);
		ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		chunk_table_free_slot(&table, victim, &folded);
		pids[victim] = stress_spawn(victim, ++seed);
		n_kills++;
	}
	for (uint32_t i = 0; i < STRESS_WORKERS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	ck_assert_uint_ge(n_kills, STRESS_KILLS);
	drop_table();
}
END_TEST

UNIT_MAIN(a_table_maps_as_it_was_created, a_foreign_or_cut_table_is_refused,
	  chunks_are_claimed_lowest_first_and_once, a_chunk_given_back_is_the_next_one_claimed,
	  only_written_records_fold_and_only_in_order, the_ring_never_runs_over_unfolded_records,
	  a_recycled_record_says_that_it_is, a_dead_slot_loses_what_it_had_not_written,
	  a_chunk_freed_by_a_worker_that_died_at_it_is_found_again,
	  a_dead_slot_loses_chunks_behind_the_end_of_a_lane_too,
	  a_lane_ends_where_the_supervisor_says, scans_and_reports_arrive_as_they_were_given,
	  signs_of_life_are_counted_by_slot, killed_workers_lose_and_double_nothing)
