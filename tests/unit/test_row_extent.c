/* SPDX-License-Identifier: MIT */
#include "daemon/pipe/row_extent.h"

#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "tests/support/unit.h"

enum { SIZE = 200000, MAX_ROW = 5000 };

/* Walks a text from row to row as a conversion does. */
struct walk {
	const char *text;
	size_t len;
	struct dialect dialect;
	struct reader reader;
	uint64_t at;
};

static void walk_start(struct walk *walk, int fd, const char *text, size_t len)
{
	const struct input_spec input = {
		.delimiter = ',', .quotechar = '"', .max_row_bytes = MAX_ROW};

	*walk = (struct walk){.text = text, .len = len};
	dialect_init(&walk->dialect, &input);
	ck_assert_int_eq(reader_init(&walk->reader, 10000), 0);
	reader_open(&walk->reader, fd, len);
}

static struct row_extent walk_row(struct walk *walk, struct row_memo *memo)
{
	struct row_extent extent;

	ck_assert_int_eq(row_extent_find(&walk->dialect, &walk->reader, walk->at, memo, &extent),
			 0);
	return extent;
}

static void walk_on(struct walk *walk, const struct row_extent *extent)
{
	const char *newline = memchr(walk->text + walk->at, '\n', walk->len - walk->at);

	if (extent->has_end) {
		walk->at = extent->next;
	} else {
		walk->at = newline == NULL ? walk->len : (uint64_t)(newline - walk->text) + 1;
	}
}

static void fill(char *text, const char *part)
{
	for (size_t i = 0; i < SIZE; i++) {
		text[i] = part[i % strlen(part)];
	}
}

static const char *const parts[] = {
	"x\",\"\n", "\"\n", "\"x\"\"\n", "\",\"\n", "a,\"b\n", "a\n\"b,\"\"\nc\n\n", "\"a\n\"x\"\n",
};

START_TEST(unclosed_quotes_everywhere_cost_linear_work)
{
	CLEANUP(free_p) char *text = malloc(SIZE);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct row_memo memo = {0};
		struct walk walk;

		fill(text, parts[i]);

		CLEANUP(fd_closep) int fd = fd_memfd("input", text, SIZE);

		for (walk_start(&walk, fd, text, SIZE); walk.at < SIZE;) {
			struct row_extent extent = walk_row(&walk, &memo);

			walk_on(&walk, &extent);
		}
		/* Each line looking ahead for itself would be a thousand passes. */
		ck_assert_uint_le(memo.n_walked, 3 * SIZE);
		reader_deinit(&walk.reader);
	}
}
END_TEST

START_TEST(the_memo_changes_no_extent)
{
	CLEANUP(free_p) char *text = malloc(SIZE);
	enum { LEN = 3 * MAX_ROW };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct row_memo memo = {0};
		struct walk walk;

		fill(text, parts[i]);

		CLEANUP(fd_closep) int fd = fd_memfd("input", text, LEN);

		for (walk_start(&walk, fd, text, LEN); walk.at < LEN;) {
			struct row_memo none = {0};
			struct row_extent with = walk_row(&walk, &memo);
			struct row_extent without = walk_row(&walk, &none);

			ck_assert_mem_eq(&with, &without, sizeof(with));
			walk_on(&walk, &with);
		}
		reader_deinit(&walk.reader);
	}
}
END_TEST

START_TEST(a_window_that_moves_on_row_by_row_is_seldom_copied)
{
	enum { NORMAL = 1000, STEP = 5, N_STEPS = 1000 };
	/* Twice the normal window, to the byte: what doubling alone makes room for. */
	const size_t sizes[] = {NORMAL + 1, 2 * NORMAL, 4 * NORMAL};
	CLEANUP(free_p) char *text = calloc(1, SIZE);
	CLEANUP(fd_closep) int fd = fd_memfd("input", text, SIZE);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct reader_span span;
		struct reader reader;
		unsigned n_moves = 0;

		ck_assert_int_eq(reader_init(&reader, NORMAL), 0);
		reader_open(&reader, fd, SIZE);
		for (uint64_t at = 0; at < STEP * N_STEPS; at += STEP) {
			uint64_t before = reader.offset;

			ck_assert_int_eq(reader_fetch(&reader, at, at + sizes[i], &span), 0);
			n_moves += reader.offset != before;
		}
		ck_assert_uint_le(n_moves, N_STEPS / 20);
		reader_deinit(&reader);
	}
}
END_TEST

UNIT_MAIN(unclosed_quotes_everywhere_cost_linear_work, the_memo_changes_no_extent,
	  a_window_that_moves_on_row_by_row_is_seldom_copied)
