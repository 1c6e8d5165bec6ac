/* SPDX-License-Identifier: MIT */

/*
 * The memo's jump is exact because of where it is taken: at a newline that both walks passed inside
 * quotes. From there on they see the same bytes in the same state, so they can only differ in how
 * far they may look, and the later row may always look further.
 */
#include "daemon/pipe/row_extent.h"

enum { FIRST_LOOK_BYTES = 4096 };

/* More of the row: twice as much each time, and never more than can decide about it. */
static int fetch_more(const struct dialect *dialect, struct reader *reader, uint64_t start,
		      uint64_t at, struct reader_span *ret_span)
{
	uint64_t enough = dialect->max_row_bytes + 2;
	uint64_t want = at * 2 + FIRST_LOOK_BYTES;

	return reader_fetch(reader, start, start + (want < enough ? want : enough), ret_span);
}

static void take_short_cut(const struct row_memo *memo, uint64_t start, struct dialect_walk *walk)
{
	if (start + walk->at <= memo->until) {
		walk->at = memo->until - start;
		walk->state = memo->state;
	}
}

static struct row_extent endless_row(uint64_t start, const struct dialect_walk *walk,
				     struct row_memo *memo)
{
	memo->until = start + walk->at;
	memo->state = walk->state;
	return (struct row_extent){
		.code = walk->state == DIALECT_QUOTED ? REJECT_UNCLOSED_QUOTE : REJECT_ROW_TOO_LONG,
	};
}

int row_extent_find(const struct dialect *dialect, struct reader *reader, uint64_t start,
		    struct row_memo *memo, struct row_extent *ret_extent)
{
	struct dialect_walk walk = {.at = 0, .state = DIALECT_START};

	for (;;) {
		struct reader_span span;
		enum dialect_found found;
		int r = fetch_more(dialect, reader, start, walk.at, &span);

		if (r < 0) {
			return r;
		}
		do {
			uint64_t from = walk.at;

			found = dialect_walk(dialect, span.bytes, span.len, span.is_final, &walk);
			memo->n_walked += walk.at - from;
			if (found == DIALECT_FOUND_NEWLINE) {
				take_short_cut(memo, start, &walk);
			}
		} while (found == DIALECT_FOUND_NEWLINE);

		if (found == DIALECT_FOUND_END) {
			*ret_extent = (struct row_extent){
				.has_end = true,
				.end = start + walk.line_end_at,
				.next = start + walk.at,
			};
			return 0;
		}
		if (found == DIALECT_FOUND_NO_END) {
			*ret_extent = endless_row(start, &walk, memo);
			return 0;
		}
	}
}
