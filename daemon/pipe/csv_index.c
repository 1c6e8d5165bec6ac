/* SPDX-License-Identifier: MIT */

/*
 * What the scanners share apart from their inner loops: memory, and the way out for blocks with
 * irregular quotes. The four states of the dialect's table and the carried bits of the blocks
 * say the same, so a block may go either way and the next one the other.
 */
#include "daemon/pipe/csv_index.h"

#include <errno.h>
#include <stdlib.h>

#include "common/util/macro.h"
#include "daemon/pipe/csv_block.h"

int csv_index_init(struct csv_index *ret_index)
{
	/* Every byte may be a field's end or a row's; memory is only used as far as it is touched.
	 */
	size_t n = CSV_INDEX_MAX_BATCH + CSV_BLOCK_BYTES;
	CLEANUP(free_p) uint32_t *field_ends = malloc(n * sizeof(uint32_t));
	CLEANUP(free_p) uint32_t *row_ends = malloc(n * sizeof(uint32_t));

	if (field_ends == NULL || row_ends == NULL) {
		return -ENOMEM;
	}
	*ret_index = (struct csv_index){
		.field_ends = TAKE_PTR(field_ends),
		.row_ends = TAKE_PTR(row_ends),
	};
	return 0;
}

void csv_index_deinit(struct csv_index *index)
{
	free(index->field_ends);
	free(index->row_ends);
	*index = (struct csv_index){0};
}

static enum dialect_state table_state(const struct csv_block_state *state)
{
	if (state->inside_quotes) {
		return DIALECT_QUOTED;
	}
	if (state->after_close) {
		return DIALECT_QUOTE_IN_QUOTED;
	}
	return state->after_terminator ? DIALECT_START : DIALECT_UNQUOTED;
}

struct csv_judged csv_block_by_table(const struct dialect *dialect, const uint8_t *bytes,
				     struct csv_masks masks, struct csv_block_state state)
{
	enum dialect_state at_state = table_state(&state);
	struct csv_block block = {.care = masks.care | masks.quote};

	for (unsigned i = 0; i < bits_count(masks.valid); i++) {
		enum dialect_class class = dialect_class_of(dialect, bytes[i], bytes[i + 1]);
		struct dialect_step step = dialect_table[at_state][class];
		bool is_row_end = step.action == DIALECT_ROW_END;
		bool is_end = is_row_end || step.action == DIALECT_FIELD_END;

		block.newlines |= (uint64_t)is_row_end << i;
		block.terminators |= (uint64_t)is_end << i;
		/* Ends that do not end, and CRs that are not a line end's. */
		block.care |= (uint64_t)(step.action == DIALECT_DATA && class != DIALECT_OTHER)
			      << i;
		block.care |= (uint64_t)(class == DIALECT_CR) << i;
		/* A closing quote that ended the block before: only here is it known to be bad. */
		block.care |= (uint64_t)(step.action == DIALECT_FAULT_BAD_QUOTE) << i;
		at_state = step.next;
	}
	state.inside_quotes = at_state == DIALECT_QUOTED ? UINT64_MAX : 0;
	state.after_close = at_state == DIALECT_QUOTE_IN_QUOTED;
	return (struct csv_judged){block, state};
}
