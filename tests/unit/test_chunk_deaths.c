/* SPDX-License-Identifier: MIT */
/*
 * One chunk and what its workers die of. Every test plays the supervisor as daemon/sched/pool.c
 * does: find the chunk, charge it, free what the dead one held.
 */
#include "common/model/chunk_deaths.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>

#include "common/model/chunk_table.h"
#include "common/util/fd.h"
#include "tests/support/unit.h"

enum { N_CHUNKS = 3, CHUNK = 1, SLOT = 1, OTHER_SLOT = 0, BEGIN = 1000, END = 2000, ATTEMPTS = 3 };

static int table_fd;
static struct chunk_table table;
static struct chunk_deaths deaths; /* as the last charge has left them */

static void setup(void)
{
	const uint64_t n_chunks = N_CHUNKS;
	uint64_t k;

	table_fd = memfd_create("table", MFD_CLOEXEC);
	ck_assert_int_ge(table_fd, 0);
	ck_assert_int_eq(chunk_table_create(table_fd, 1, 2, &n_chunks, &table), 0);
	ck_assert_int_eq(chunk_table_claim(&table, 0, OTHER_SLOT, &k), 1);
	ck_assert_uint_eq(k, 0);
}

static void teardown(void)
{
	chunk_table_unmap(&table);
	table_fd = fd_close(table_fd);
}

static struct chunk_record *record(void)
{
	return chunk_table_record(&table, 0, CHUNK);
}

static void claim(void)
{
	uint64_t k;

	ck_assert_int_eq(chunk_table_claim(&table, 0, SLOT, &k), 1);
	ck_assert_uint_eq(k, CHUNK);
	ck_assert_uint_eq(atomic_load(&record()->row_after), 0);
}

static unsigned free_slot(void)
{
	const uint64_t folded = 0;

	return chunk_table_free_slot(&table, SLOT, &folded);
}

static bool find(uint64_t *ret_chunk)
{
	return chunk_deaths_find(&table, 0, SLOT, 0, N_CHUNKS, ret_chunk);
}

static enum chunk_verdict charge(void)
{
	const struct chunk_trial trial = {.begin = BEGIN, .end = END, .attempts = ATTEMPTS};
	uint64_t k;

	ck_assert(find(&k));
	ck_assert_uint_eq(k, CHUNK);
	enum chunk_verdict verdict = chunk_deaths_charge(record(), &trial, &deaths);
	ck_assert_uint_eq(free_slot(), 1);
	return verdict;
}

/* A worker takes the chunk, touches the row and dies. */
static enum chunk_verdict die_on(uint64_t row)
{
	claim();
	chunk_deaths_touch(record(), row);
	return charge();
}

static void make_careful(void)
{
	for (int i = 1; i < ATTEMPTS; i++) {
		ck_assert_int_eq(die_on(CHUNK_NO_ROW), CHUNK_VERDICT_AGAIN);
	}
	ck_assert_int_eq(die_on(CHUNK_NO_ROW), CHUNK_VERDICT_CAREFUL);
	ck_assert(deaths.is_careful);
}

static void make_skip(uint64_t row)
{
	for (int i = 1; i < ATTEMPTS; i++) {
		ck_assert_int_eq(die_on(row), CHUNK_VERDICT_AGAIN);
	}
	ck_assert_int_eq(die_on(row), CHUNK_VERDICT_SKIP);
	ck_assert_uint_eq(deaths.skips[deaths.n_skips - 1], row);
}

START_TEST(only_what_was_being_converted_is_found)
{
	uint64_t k;

	ck_assert(!find(&k));
	claim();
	chunk_table_set_waiting(record(), true);
	ck_assert(!find(&k));
	chunk_table_set_waiting(record(), false);
	ck_assert(find(&k));
	ck_assert_uint_eq(k, CHUNK);
	ck_assert(!chunk_deaths_find(&table, 0, SLOT, CHUNK + 1, N_CHUNKS, &k));
	chunk_table_accept(record(), &(struct chunk_accept){.start = 1});
	ck_assert(!find(&k));
	ck_assert_uint_eq(free_slot(), 1);
	ck_assert_uint_eq(chunk_deaths_get(record()).n_deaths, 0);
}
END_TEST

START_TEST(a_death_that_is_not_charged_leaves_no_trace)
{
	for (int i = 0; i < 100; i++) {
		claim();
		chunk_deaths_touch(record(), BEGIN + 5);
		ck_assert_uint_eq(free_slot(), 1);
	}
	deaths = chunk_deaths_get(record());
	ck_assert_mem_eq(&deaths, &(struct chunk_deaths){0}, sizeof(deaths));
}
END_TEST

START_TEST(so_many_deaths_lead_to_careful_mode_and_so_many_on_a_row_to_its_skip)
{
	make_careful();
	make_skip(BEGIN);
	make_skip(END - 1);
	ck_assert_uint_eq(deaths.n_skips, 2);
	ck_assert_uint_eq(deaths.skips[0], BEGIN);
	ck_assert_uint_eq(deaths.n_deaths, 3 * ATTEMPTS);
}
END_TEST

/* As many as may be on the list, none of them running. */
START_TEST(deaths_on_a_row_count_only_if_they_are_running)
{
	make_careful();
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(die_on(BEGIN + 7), CHUNK_VERDICT_AGAIN);
		ck_assert_int_eq(die_on(BEGIN + 7), CHUNK_VERDICT_AGAIN);
		ck_assert_int_eq(die_on(BEGIN + 9), CHUNK_VERDICT_AGAIN);
	}
	ck_assert_uint_eq(deaths.n_skips, 0);
	/* But one that is not charged does not come between. */
	ck_assert_int_eq(die_on(BEGIN + 9), CHUNK_VERDICT_AGAIN);
	claim();
	chunk_deaths_touch(record(), BEGIN + 7);
	free_slot();
	ck_assert_int_eq(die_on(BEGIN + 9), CHUNK_VERDICT_SKIP);
}
END_TEST

START_TEST(a_ninth_row_is_the_end)
{
	make_careful();
	for (uint64_t i = 0; i < CHUNK_MAX_SKIPS; i++) {
		make_skip(BEGIN + 10 * i);
	}
	ck_assert_int_eq(die_on(END - 1), CHUNK_VERDICT_AGAIN);
	ck_assert_int_eq(die_on(END - 1), CHUNK_VERDICT_AGAIN);
	ck_assert_int_eq(die_on(END - 1), CHUNK_VERDICT_GIVE_UP);
	ck_assert_uint_eq(deaths.n_skips, CHUNK_MAX_SKIPS);
	ck_assert_uint_eq(deaths.row, END - 1);
	ck_assert_uint_eq(deaths.n_row_deaths, ATTEMPTS);
}
END_TEST

START_TEST(deaths_without_a_row_to_blame_are_the_end)
{
	make_careful();
	make_skip(BEGIN + 5);
	ck_assert_int_eq(die_on(CHUNK_NO_ROW), CHUNK_VERDICT_AGAIN);
	ck_assert_int_eq(die_on(BEGIN + 5), CHUNK_VERDICT_AGAIN); /* it is skipped already */
	ck_assert_int_eq(die_on(CHUNK_NO_ROW), CHUNK_VERDICT_GIVE_UP);
	ck_assert_uint_eq(deaths.row, CHUNK_NO_ROW);
	ck_assert_uint_eq(deaths.n_skips, 1);
}
END_TEST

START_TEST(deaths_that_wander_from_row_to_row_come_to_an_end)
{
	enum chunk_verdict verdict;
	uint64_t n = 0;

	make_careful();
	do {
		verdict = die_on(BEGIN + n++);
		ck_assert_uint_lt(n, 1000);
	} while (verdict == CHUNK_VERDICT_AGAIN);
	ck_assert_int_eq(verdict, CHUNK_VERDICT_GIVE_UP);
	ck_assert_uint_eq(deaths.n_deaths, ATTEMPTS * (CHUNK_MAX_SKIPS + 2));
}
END_TEST

/* The table is memory that a worker may have written anything to. */
START_TEST(rows_of_other_chunks_are_never_put_on_the_list)
{
	static const uint64_t rows[] = {0, BEGIN - 1, END, UINT64_MAX - 1};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_careful();
		ck_assert_int_eq(die_on(rows[i]), CHUNK_VERDICT_AGAIN);
		ck_assert_int_eq(die_on(rows[i]), CHUNK_VERDICT_AGAIN);
		ck_assert_int_eq(die_on(rows[i]), CHUNK_VERDICT_GIVE_UP);
		ck_assert_uint_eq(deaths.n_skips, 0);
		teardown();
		setup();
	}
}
END_TEST

START_TEST(a_scribbled_list_is_read_within_its_bounds)
{
	memset(&record()->deaths, 0xff, sizeof(record()->deaths));
	deaths = chunk_deaths_get(record());
	ck_assert_uint_eq(deaths.n_skips, CHUNK_MAX_SKIPS);
	ck_assert_uint_eq(deaths.is_careful, 1);
	ck_assert_uint_eq(deaths.was_accepted, 1);
	claim();
	chunk_deaths_touch(record(), BEGIN);
	charge();
	ck_assert_uint_le(deaths.n_skips, CHUNK_MAX_SKIPS);
}
END_TEST

/* The chunk behind it may have its start, totals and offsets from there. */
START_TEST(a_chunk_that_was_accepted_loses_no_row_any_more)
{
	make_careful();
	claim();
	chunk_table_accept(record(), &(struct chunk_accept){.start = BEGIN});
	ck_assert_uint_eq(free_slot(), 1);
	ck_assert_int_eq(die_on(BEGIN), CHUNK_VERDICT_AGAIN);
	ck_assert_int_eq(die_on(BEGIN), CHUNK_VERDICT_AGAIN);
	ck_assert_int_eq(die_on(BEGIN), CHUNK_VERDICT_GIVE_UP);
	ck_assert_uint_eq(deaths.n_skips, 0);
}
END_TEST

START_TEST(what_was_kept_can_be_put_back)
{
	struct chunk_deaths again;

	make_careful();
	make_skip(BEGIN + 3);
	ck_assert_int_eq(die_on(BEGIN + 4), CHUNK_VERDICT_AGAIN);
	teardown();
	setup();
	chunk_deaths_set(record(), &deaths);
	again = chunk_deaths_get(record());
	ck_assert_mem_eq(&again, &deaths, sizeof(again));
	ck_assert_int_eq(die_on(BEGIN + 4), CHUNK_VERDICT_AGAIN);
	ck_assert_int_eq(die_on(BEGIN + 4), CHUNK_VERDICT_SKIP);
}
END_TEST

/* The daemon died between accepting and writing, and the chunk behind may be written. */
START_TEST(a_table_that_goes_on_from_another_knows_what_was_accepted)
{
	const uint64_t n_chunks = N_CHUNKS;
	struct chunk_table old = table;
	int old_fd = table_fd;

	make_careful();
	make_skip(BEGIN + 3);
	claim();
	chunk_table_accept(record(), &(struct chunk_accept){.start = BEGIN});
	table_fd = memfd_create("table", MFD_CLOEXEC);
	ck_assert_int_eq(chunk_table_create(table_fd, 1, 2, &n_chunks, &table), 0);
	ck_assert_uint_eq(chunk_table_import(&table, 0, &old), 0);
	deaths.was_accepted = 1;
	struct chunk_deaths again = chunk_deaths_get(record());
	ck_assert_mem_eq(&again, &deaths, sizeof(again));
	chunk_table_unmap(&old);
	fd_close(old_fd);
}
END_TEST

START_TEST(a_row_given_back_is_touched_no_more)
{
	claim();
	chunk_deaths_touch(record(), BEGIN);
	chunk_table_give_back(&table, 0, CHUNK);
	ck_assert_uint_eq(atomic_load(&record()->row_after), 0);
}
END_TEST

START_TEST(a_record_is_recycled_without_the_deaths_of_the_chunk_before)
{
	make_careful();
	for (uint64_t k = 0; k <= CHUNK; k++) {
		struct chunk_record *one = chunk_table_record(&table, 0, k);

		if (k == CHUNK) {
			claim();
		}
		chunk_deaths_touch(one, BEGIN);
		chunk_table_accept(one, &(struct chunk_accept){.start = k});
		chunk_table_written(one);
		chunk_table_fold(&table, 0, k);
	}
	ck_assert(chunk_deaths_get(record()).is_careful);
	chunk_table_fold(&table, 0, CHUNK + 1);
	deaths = chunk_deaths_get(record());
	ck_assert_mem_eq(&deaths, &(struct chunk_deaths){0}, sizeof(deaths));
	ck_assert_uint_eq(atomic_load(&record()->row_after), 0);
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, only_what_was_being_converted_is_found,
	       a_death_that_is_not_charged_leaves_no_trace,
	       so_many_deaths_lead_to_careful_mode_and_so_many_on_a_row_to_its_skip,
	       deaths_on_a_row_count_only_if_they_are_running, a_ninth_row_is_the_end,
	       deaths_without_a_row_to_blame_are_the_end,
	       deaths_that_wander_from_row_to_row_come_to_an_end,
	       rows_of_other_chunks_are_never_put_on_the_list,
	       a_scribbled_list_is_read_within_its_bounds,
	       a_chunk_that_was_accepted_loses_no_row_any_more, what_was_kept_can_be_put_back,
	       a_table_that_goes_on_from_another_knows_what_was_accepted,
	       a_row_given_back_is_touched_no_more,
	       a_record_is_recycled_without_the_deaths_of_the_chunk_before)
