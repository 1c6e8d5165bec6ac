/* SPDX-License-Identifier: MIT */
/*
 * The fold believes nothing: from a record that is right, every number is bent in turn, and each
 * time the record must be refused and the account stay as it was.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sched/fold.h"
#include "tests/support/unit.h"

/* Two files: "a" has 250 bytes from byte 10 (line 2) on, "b" 100 bytes from byte 0, chunks of 100.
 */
static struct plan_file files[2];
static char *columns[] = {(char[]){"id"}, (char[]){"name"}};
static struct plan_pipe pipe_plan;
static struct plan plan;
static struct pipe_spec spec;
static struct fold_rules rules;
static struct fold_state state;

static void setup(void)
{
	files[0] = (struct plan_file){.path = (char[]){"a"},
				      .identity.size_bytes = 260,
				      .data_offset = 10,
				      .data_line = 2,
				      .first_chunk = 0,
				      .n_chunks = 3};
	files[1] = (struct plan_file){.path = (char[]){"b"},
				      .identity.size_bytes = 100,
				      .data_offset = 0,
				      .data_line = 1,
				      .first_chunk = 3,
				      .n_chunks = 1};
	pipe_plan = (struct plan_pipe){.n_files = 2,
				       .files = files,
				       .n_columns = 2,
				       .columns = columns,
				       .n_chunks = 4,
				       .n_bytes = 350};
	plan = (struct plan){.chunk_size = 100, .n_pipes = 1, .pipes = &pipe_plan};
	spec = (struct pipe_spec){.input.limit = UINT64_MAX,
				  .errors.path = (char[]){"err"},
				  .errors.max_rows = UINT64_MAX};
	fold_init(&rules, &state, &plan, &pipe_plan, &spec);
}

static int take(const struct chunk_accept *accept)
{
	const char *fault = NULL;
	int r = fold_accept(&rules, &state, accept, &fault);

	ck_assert_int_eq(r == 0, fault == NULL);
	return r;
}

/* Chunk 0: bytes 10 to 115, 8 rows on 9 lines, one of them rejected. */
static struct chunk_accept first(void)
{
	return (struct chunk_accept){
		.start = 10,
		.end = 115,
		.end_line = 11,
		.rows = 8,
		.success = 6,
		.error = 1,
		.filtered = 1,
		.rejects[REJECT_RAGGED] = 1,
		.total_rows = 8,
		.total_error = 1,
		.out_length = 200,
		.err_length = 150,
		.overhang_newlines = 1,
		.overhang_quote_parity = 1,
	};
}

/* Chunk 1: the row that reached into it, then up to its end. */
static struct chunk_accept second(void)
{
	return (struct chunk_accept){
		.start = 115,
		.end = 240,
		.end_line = 21,
		.rows = 9,
		.success = 9,
		.total_rows = 17,
		.total_error = 1,
		.out_offset = 200,
		.out_length = 250,
		.err_offset = 150,
		.overhang_newlines = 30,
	};
}

/* Chunk 2: the rest of file "a", whose last line has no newline. */
static struct chunk_accept third(void)
{
	return (struct chunk_accept){
		.start = 240,
		.end = 260,
		.end_line = 22,
		.rows = 2,
		.success = 2,
		.total_rows = 19,
		.total_error = 1,
		.out_offset = 450,
		.out_length = 60,
		.err_offset = 150,
	};
}

/* Chunk 3: file "b". */
static struct chunk_accept fourth(void)
{
	return (struct chunk_accept){
		.start = 0,
		.end = 100,
		.end_line = 11,
		.rows = 10,
		.success = 10,
		.total_rows = 29,
		.total_error = 1,
		.out_offset = 510,
		.out_length = 300,
		.err_offset = 150,
	};
}

static struct chunk_accept record_of(unsigned chunk)
{
	switch (chunk) {
	case 0:
		return first();
	case 1:
		return second();
	case 2:
		return third();
	default:
		return fourth();
	}
}

static void take_up_to(unsigned chunk)
{
	for (unsigned k = 0; k < chunk; k++) {
		struct chunk_accept accept = record_of(k);

		ck_assert_int_eq(take(&accept), 0);
	}
}

START_TEST(a_lane_of_true_records_is_taken_over_to_its_end)
{
	take_up_to(3);
	ck_assert(!state.is_ended);
	struct chunk_accept last = fourth();
	ck_assert_int_eq(take(&last), 0);
	ck_assert(state.is_ended);
	ck_assert_uint_eq(state.n_folded, 4);
	ck_assert_uint_eq(state.rows, 29);
	ck_assert_uint_eq(state.success, 27);
	ck_assert_uint_eq(state.error, 1);
	ck_assert_uint_eq(state.filtered, 1);
	ck_assert_uint_eq(state.rejects[REJECT_RAGGED], 1);
	ck_assert_uint_eq(state.input_bytes, 350);
	ck_assert_uint_eq(state.out_end, 810);
	ck_assert_uint_eq(state.err_end, 150);
	ck_assert_int_eq(take(&last), -EPROTO);
}
END_TEST

/* Every 64-bit number of a record, and values that a scribbling worker might leave there. */
enum { N_NUMBERS = offsetof(struct chunk_accept, overhang_newlines) / sizeof(uint64_t) };

static bool is_allowed(unsigned number, const struct chunk_accept *accept, uint64_t value)
{
	uint64_t bent = value;

	switch (number * sizeof(uint64_t)) {
	/* These are judged by bounds, not known to the byte. */
	case offsetof(struct chunk_accept, end_line):
		return bent >= accept->end_line - 1 && bent <= accept->end_line + 90;
	case offsetof(struct chunk_accept, out_length):
		return accept->success > 0 && bent >= 3 * accept->success && bent < 10000;
	case offsetof(struct chunk_accept, err_length):
		return accept->error > 0 && bent >= 3 * accept->error && bent < 10000;
	case offsetof(struct chunk_accept, end):
		return bent == accept->end + 1 || bent == accept->end - 1;
	default:
		return false;
	}
}

START_TEST(a_record_with_any_number_bent_is_refused)
{
	static const uint64_t wild[] = {
		0, 1, 3, 99, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX, UINT64_MAX - 1};
	unsigned chunk = (unsigned)_i;
	unsigned n_refused = 0;

	take_up_to(chunk);
	struct fold_state before = state;
	for (unsigned number = 0; number < N_NUMBERS; number++) {
		for (unsigned i = 0; i < ARRAY_SIZE(wild) + 2; i++) {
			struct chunk_accept accept = record_of(chunk);
			uint64_t numbers[N_NUMBERS];

			memcpy(numbers, &accept, sizeof(numbers));
			uint64_t was = numbers[number];
			numbers[number] = i < ARRAY_SIZE(wild) ? wild[i] : was + (i % 2 ? 1 : -1);
			if (numbers[number] == was ||
			    is_allowed(number, &accept, numbers[number])) {
				continue;
			}
			memcpy(&accept, numbers, sizeof(numbers));
			ck_assert_msg(take(&accept) == -EPROTO, "number %u = %llu", number,
				      (unsigned long long)numbers[number]);
			ck_assert_mem_eq(&state, &before, sizeof(state));
			n_refused++;
		}
	}
	ck_assert_uint_gt(n_refused, 150);
	struct chunk_accept good = record_of(chunk);
	ck_assert_int_eq(take(&good), 0);
}
END_TEST

START_TEST(rows_must_be_contiguous_within_a_file)
{
	take_up_to(1);
	struct chunk_accept gap = second();
	gap.start = 116;
	ck_assert_int_eq(take(&gap), -EPROTO);
	struct chunk_accept overlap = second();
	overlap.start = 110; /* its nominal start */
	ck_assert_int_eq(take(&overlap), -EPROTO);
}
END_TEST

START_TEST(a_chunk_may_not_leave_its_own_bytes)
{
	take_up_to(1);
	struct chunk_accept early = second();
	early.end = 209;
	early.overhang_newlines = 0;
	ck_assert_int_eq(take(&early), -EPROTO);
	early.end = 210;
	ck_assert_int_eq(take(&early), 0);
}
END_TEST

START_TEST(a_chunk_inside_a_long_row_has_no_rows)
{
	struct chunk_accept wide = first();
	wide.end = 250; /* its last row reaches into the third chunk */
	ck_assert_int_eq(take(&wide), 0);
	struct chunk_accept inside = second();
	inside.start = inside.end = 250;
	inside.end_line = 11;
	inside.overhang_newlines = 10;
	ck_assert_int_eq(take(&inside), -EPROTO); /* nine rows */
	inside.rows = inside.success = 0;
	inside.total_rows = 8;
	ck_assert_int_eq(take(&inside), -EPROTO); /* and their output */
	inside.out_length = 0;
	inside.overhang_newlines = 41;
	ck_assert_int_eq(take(&inside), -EPROTO); /* bytes 210 to 250 hold 40 at most */
	inside.overhang_newlines = 10;
	ck_assert_int_eq(take(&inside), 0);
}
END_TEST

START_TEST(only_the_last_row_of_a_file_may_lack_its_newline)
{
	struct chunk_accept accept = first();
	accept.end_line = 2 + 7;
	ck_assert_int_eq(take(&accept), -EPROTO);
	accept.end_line = 2 + 8;
	ck_assert_int_eq(take(&accept), 0);
}
END_TEST

START_TEST(overhang_and_parity_are_bounded)
{
	struct chunk_accept accept = first();
	accept.overhang_newlines = 6; /* five bytes behind byte 110 */
	ck_assert_int_eq(take(&accept), -EPROTO);
	accept = first();
	accept.overhang_quote_parity = 2;
	ck_assert_int_eq(take(&accept), -EPROTO);
}
END_TEST

START_TEST(the_limit_ends_the_lane)
{
	rules.limit = 8;
	struct chunk_accept accept = first();
	accept.flags = CHUNK_FLAG_END_OF_LIMIT;
	accept.end = 100; /* rows beyond the limit are not read */
	accept.overhang_newlines = 0;
	ck_assert_int_eq(take(&accept), 0);
	ck_assert(state.is_ended);
	ck_assert_uint_eq(state.end_flags, CHUNK_FLAG_END_OF_LIMIT);
	accept = second();
	ck_assert_int_eq(take(&accept), -EPROTO);
}
END_TEST

START_TEST(the_limit_is_kept)
{
	struct chunk_accept accept = first();
	rules.limit = 7;
	ck_assert_int_eq(take(&accept), -EPROTO);
	accept.flags = CHUNK_FLAG_END_OF_LIMIT;
	ck_assert_int_eq(take(&accept), -EPROTO);
	rules.limit = 9; /* the flag comes too early */
	ck_assert_int_eq(take(&accept), -EPROTO);
	rules.limit = 8; /* reached with the chunk's last row: it may be told by the next one */
	accept.flags = 0;
	ck_assert_int_eq(take(&accept), 0);
	accept = second();
	ck_assert_int_eq(take(&accept), -EPROTO);
}
END_TEST

START_TEST(max_rows_of_the_errors_ends_the_lane_one_reject_later)
{
	struct chunk_accept accept = first();
	rules.max_rejects = 0;
	ck_assert_int_eq(take(&accept), -EPROTO);
	accept.flags = CHUNK_FLAG_END_OF_REJECTS;
	ck_assert_int_eq(take(&accept), 0);
	ck_assert(state.is_ended);
	setup();
	ck_assert_int_eq(take(&accept), -EPROTO); /* no bound, no such end */
	rules.max_rejects = 1;
	ck_assert_int_eq(take(&accept), -EPROTO);
	accept.flags = 0;
	ck_assert_int_eq(take(&accept), 0);
}
END_TEST

START_TEST(unknown_flags_are_refused)
{
	struct chunk_accept accept = first();

	for (unsigned bit = 2; bit < 32; bit++) {
		accept.flags = UINT32_C(1) << bit;
		ck_assert_int_eq(take(&accept), -EPROTO);
	}
}
END_TEST

START_TEST(rejects_without_an_error_file_need_no_bytes)
{
	struct chunk_accept accept = first();
	accept.err_length = 0;
	ck_assert_int_eq(take(&accept), -EPROTO);
	rules.keeps_all_rejects = false;
	ck_assert_int_eq(take(&accept), 0);
}
END_TEST

START_TEST(output_is_bounded_by_input)
{
	struct chunk_accept accept = first();
	/* 105 bytes of input, 6 rows of {"id":"","name":""}\n and escapes */
	uint64_t most = 105 * 6 + 6 * (3 + 2 * 6 + 6 * strlen("idname"));

	accept.out_length = most + 1;
	ck_assert_int_eq(take(&accept), -EPROTO);
	accept.out_length = most;
	ck_assert_int_eq(take(&accept), 0);
}
END_TEST

/* --- accounts that were saved ------------------------------------------------------------------
 */

START_TEST(a_saved_account_fits_after_every_chunk_and_says_where_to_go_on)
{
	ck_assert_int_eq(fold_check_saved(&rules, &state), 0);
	for (unsigned chunk = 0; chunk < 4; chunk++) {
		struct chunk_accept accept = record_of(chunk);

		ck_assert_int_eq(take(&accept), 0);
		ck_assert_int_eq(fold_check_saved(&rules, &state), 0);
		struct chunk_accept last = fold_last_accept(&state);
		ck_assert_uint_eq(last.end, accept.end);
		ck_assert_uint_eq(last.end_line, accept.end_line);
		ck_assert_uint_eq(last.total_rows, accept.total_rows);
		ck_assert_uint_eq(last.total_error, accept.total_error);
		ck_assert_uint_eq(last.out_offset + last.out_length,
				  accept.out_offset + accept.out_length);
		ck_assert_uint_eq(last.err_offset + last.err_length,
				  accept.err_offset + accept.err_length);
		ck_assert_uint_eq(last.overhang_newlines, accept.overhang_newlines);
		ck_assert_uint_eq(last.overhang_quote_parity, accept.overhang_quote_parity);
	}
}
END_TEST

static void assert_does_not_fit(const struct fold_state *bent, const char *what)
{
	ck_assert_msg(fold_check_saved(&rules, bent) == -EPROTO, "%s", what);
}

#define ASSERT_BENT(member, value)                                                                 \
	do {                                                                                       \
		struct fold_state bent = state;                                                    \
		bent.member = (value);                                                             \
		assert_does_not_fit(&bent, #member " = " #value);                                  \
	} while (0)

START_TEST(an_account_that_cannot_be_of_this_lane_does_not_fit)
{
	struct chunk_accept accept = first();

	ck_assert_int_eq(take(&accept), 0);
	ASSERT_BENT(n_folded, 5);
	ASSERT_BENT(n_folded, 2); /* which its end does not reach */
	ASSERT_BENT(is_ended, true);
	ASSERT_BENT(end_flags, 1u << 30);
	ASSERT_BENT(overhang_quote_parity, 2);
	ASSERT_BENT(rows, 9);
	ASSERT_BENT(success, 7);
	ASSERT_BENT(error, 2);
	ASSERT_BENT(filtered, 0);
	ASSERT_BENT(rejects[REJECT_RAGGED], 2);
	ASSERT_BENT(rejects[REJECT_RAGGED], 0);
	ASSERT_BENT(input_bytes, 351);
	ASSERT_BENT(out_end, UINT64_MAX);
	ASSERT_BENT(err_end, UINT64_MAX);
	ASSERT_BENT(end, 261);
	ASSERT_BENT(end, 9);
	ASSERT_BENT(end, 109);
	ASSERT_BENT(end_line, 1);
	rules.limit = 7;
	assert_does_not_fit(&state, "more rows than the limit");
}
END_TEST

START_TEST(an_account_without_chunks_has_no_rows)
{
	ASSERT_BENT(out_end, 1);
	ASSERT_BENT(err_end, 1);
}
END_TEST

START_TEST(a_pipe_without_chunks_is_ended_from_the_start)
{
	pipe_plan.n_chunks = 0;
	fold_init(&rules, &state, &plan, &pipe_plan, &spec);
	ck_assert(state.is_ended);
	struct chunk_accept accept = first();
	ck_assert_int_eq(take(&accept), -EPROTO);
}
END_TEST

int main(void)
{
	TCase *tcase = unit_begin(setup, NULL);

	tcase_add_test(tcase, a_lane_of_true_records_is_taken_over_to_its_end);
	tcase_add_loop_test(tcase, a_record_with_any_number_bent_is_refused, 0, 4);
	tcase_add_test(tcase, rows_must_be_contiguous_within_a_file);
	tcase_add_test(tcase, a_chunk_may_not_leave_its_own_bytes);
	tcase_add_test(tcase, a_chunk_inside_a_long_row_has_no_rows);
	tcase_add_test(tcase, only_the_last_row_of_a_file_may_lack_its_newline);
	tcase_add_test(tcase, overhang_and_parity_are_bounded);
	tcase_add_test(tcase, the_limit_ends_the_lane);
	tcase_add_test(tcase, the_limit_is_kept);
	tcase_add_test(tcase, max_rows_of_the_errors_ends_the_lane_one_reject_later);
	tcase_add_test(tcase, unknown_flags_are_refused);
	tcase_add_test(tcase, rejects_without_an_error_file_need_no_bytes);
	tcase_add_test(tcase, output_is_bounded_by_input);
	tcase_add_test(tcase, a_saved_account_fits_after_every_chunk_and_says_where_to_go_on);
	tcase_add_test(tcase, an_account_that_cannot_be_of_this_lane_does_not_fit);
	tcase_add_test(tcase, an_account_without_chunks_has_no_rows);
	tcase_add_test(tcase, a_pipe_without_chunks_is_ended_from_the_start);
	return unit_end("fold", tcase);
}
