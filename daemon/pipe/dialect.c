/* SPDX-License-Identifier: MIT */

/*
 * Two walks use the table: one that only looks for a row's end, and one that splits a row whose end
 * is known and names its first fault. They are apart since the first must be able to pause where
 * the bytes at hand end, and to skip what an earlier walk has seen, while the second never does.
 *
 * A CR is classified with the byte behind it, so CRLF needs no state of its own: its CR is skipped
 * in whatever state, and the LF that certainly follows ends the row.
 */
#include "daemon/pipe/dialect.h"

#include <string.h>

#include "daemon/pipe/utf8.h"

#define STEP(state, act)                                                                           \
	{                                                                                          \
		.next = DIALECT_##state, .action = DIALECT_##act                                   \
	}

const struct dialect_step dialect_table[DIALECT_N_STATES][DIALECT_N_CLASSES] =
	{
		[DIALECT_START] =
			{
				[DIALECT_OTHER] = STEP(UNQUOTED, DATA),
				[DIALECT_DELIMITER] = STEP(START, FIELD_END),
				[DIALECT_QUOTE] = STEP(QUOTED, SKIP),
				[DIALECT_LF] = STEP(START, ROW_END),
				[DIALECT_CR] = STEP(UNQUOTED, FAULT_BARE_CR),
				[DIALECT_CRLF] = STEP(START, SKIP),
				[DIALECT_NUL] = STEP(UNQUOTED, FAULT_NUL_BYTE),
			},
		[DIALECT_UNQUOTED] =
			{
				[DIALECT_OTHER] = STEP(UNQUOTED, DATA),
				[DIALECT_DELIMITER] = STEP(START, FIELD_END),
				[DIALECT_QUOTE] = STEP(UNQUOTED, FAULT_STRAY_QUOTE),
				[DIALECT_LF] = STEP(START, ROW_END),
				[DIALECT_CR] = STEP(UNQUOTED, FAULT_BARE_CR),
				[DIALECT_CRLF] = STEP(UNQUOTED, SKIP),
				[DIALECT_NUL] = STEP(UNQUOTED, FAULT_NUL_BYTE),
			},
		[DIALECT_QUOTED] =
			{
				[DIALECT_OTHER] = STEP(QUOTED, DATA),
				[DIALECT_DELIMITER] = STEP(QUOTED, DATA),
				[DIALECT_QUOTE] = STEP(QUOTE_IN_QUOTED, SKIP),
				[DIALECT_LF] = STEP(QUOTED, DATA),
				[DIALECT_CR] = STEP(QUOTED, DATA),
				[DIALECT_CRLF] = STEP(QUOTED, DATA),
				[DIALECT_NUL] = STEP(QUOTED, FAULT_NUL_BYTE),
			},
		[DIALECT_QUOTE_IN_QUOTED] =
			{
				[DIALECT_OTHER] = STEP(UNQUOTED, FAULT_BAD_QUOTE),
				[DIALECT_DELIMITER] = STEP(START, FIELD_END),
				[DIALECT_QUOTE] = STEP(QUOTED, DATA),
				[DIALECT_LF] = STEP(START, ROW_END),
				[DIALECT_CR] = STEP(UNQUOTED, FAULT_BAD_QUOTE),
				[DIALECT_CRLF] = STEP(QUOTE_IN_QUOTED, SKIP),
				[DIALECT_NUL] = STEP(UNQUOTED, FAULT_NUL_BYTE),
			},
};

void dialect_init(struct dialect *ret_dialect, const struct input_spec *input)
{
	struct dialect dialect = {
		.delimiter = (uint8_t)input->delimiter,
		.quote = (uint8_t)input->quotechar,
		.has_quote = input->quotechar != 0,
		.strict = input->strict,
		.max_row_bytes = input->max_row_bytes,
	};

	dialect.classes['\n'] = DIALECT_LF;
	dialect.classes['\r'] = DIALECT_CR;
	dialect.classes['\0'] = DIALECT_NUL;
	dialect.classes[dialect.delimiter] = DIALECT_DELIMITER;
	if (dialect.has_quote) {
		dialect.classes[dialect.quote] = DIALECT_QUOTE;
	}
	*ret_dialect = dialect;
}

static enum dialect_found walk_end(const struct dialect *dialect, struct dialect_walk *walk,
				   uint64_t line_end_at, uint64_t next_row_at)
{
	if (line_end_at > dialect->max_row_bytes) {
		return DIALECT_FOUND_NO_END;
	}
	walk->line_end_at = line_end_at;
	walk->at = next_row_at;
	return DIALECT_FOUND_END;
}

/* The bytes at hand end, or the bytes that a row may have. */
static enum dialect_found walk_stop(const struct dialect *dialect, const uint8_t *row, size_t len,
				    bool is_final, struct dialect_walk *walk)
{
	uint64_t at = walk->at;
	bool is_at_end = is_final && at >= len;

	if (at <= dialect->max_row_bytes) {
		if (!is_at_end) {
			return DIALECT_NEEDS_MORE;
		}
		return walk->state == DIALECT_QUOTED ? DIALECT_FOUND_NO_END
						     : walk_end(dialect, walk, at, at);
	}
	/* The one end that may still come: the LF of a CR that was the last byte allowed. */
	if (at >= len && !is_at_end) {
		return DIALECT_NEEDS_MORE;
	}
	if (walk->state != DIALECT_QUOTED && at < len && row[at] == '\n' && row[at - 1] == '\r') {
		return walk_end(dialect, walk, at - 1, at + 1);
	}
	return DIALECT_FOUND_NO_END;
}

enum dialect_found dialect_walk(const struct dialect *dialect, const uint8_t *row, size_t len,
				bool is_final, struct dialect_walk *walk)
{
	/* Without the byte behind it, a CR at the end of what is at hand cannot be judged. */
	uint64_t end = is_final || len == 0 ? len : len - 1;
	uint64_t stop = dialect->max_row_bytes < end ? dialect->max_row_bytes + 1 : end;
	enum dialect_state state = walk->state;
	uint64_t at = walk->at;

	for (; at < stop; at++) {
		uint8_t next = at + 1 < len ? row[at + 1] : 0;
		enum dialect_class class = dialect_class_of(dialect, row[at], next);
		struct dialect_step step = dialect_table[state][class];

		if (step.action == DIALECT_ROW_END) {
			bool is_crlf = at > 0 && row[at - 1] == '\r';

			walk->state = state;
			return walk_end(dialect, walk, at - is_crlf, at + 1);
		}
		state = step.next;
		if (class == DIALECT_LF) {
			*walk = (struct dialect_walk){.at = at + 1, .state = state};
			return DIALECT_FOUND_NEWLINE;
		}
	}
	*walk = (struct dialect_walk){.at = at, .state = state};
	return walk_stop(dialect, row, len, is_final, walk);
}

/* True where the action is a fault in this dialect. */
static bool action_is_fault(const struct dialect *dialect, enum dialect_action action,
			    enum reject_code *ret_code)
{
	switch (action) {
	case DIALECT_FAULT_STRAY_QUOTE:
		*ret_code = REJECT_STRAY_QUOTE;
		return dialect->strict;
	case DIALECT_FAULT_BAD_QUOTE:
		*ret_code = REJECT_BAD_QUOTE;
		return true;
	case DIALECT_FAULT_BARE_CR:
		*ret_code = REJECT_BARE_CR;
		return true;
	case DIALECT_FAULT_NUL_BYTE:
		*ret_code = REJECT_NUL_BYTE;
		return true;
	default:
		return false;
	}
}

size_t dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
		     uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault)
{
	struct dialect_fault fault = {.is_set = false};
	enum dialect_state state = DIALECT_START;
	size_t n_fields = 0;
	size_t utf8_until = 0; /* bytes before it belong to a character that is well-formed */

	for (size_t at = 0; at < len; at++) {
		/* The row's line end is not among the bytes: any CR here is a bare one. */
		enum dialect_class class = dialect_class_of(dialect, row[at],
							    at + 1 < len ? row[at + 1] : 0);
		struct dialect_step step = dialect_table[state][class];
		enum reject_code code;
		bool is_fault = action_is_fault(dialect, step.action, &code);

		if (row[at] >= 0x80 && at >= utf8_until && !is_fault) {
			size_t n_bytes = utf8_char_length(row + at, len - at);

			is_fault = n_bytes == 0;
			code = REJECT_INVALID_UTF8;
			utf8_until = at + n_bytes;
		}
		if (is_fault && !fault.is_set) {
			fault = (struct dialect_fault){true, code, n_fields, at};
		}
		if (step.action == DIALECT_FIELD_END) {
			if (n_fields < max_ends) {
				ret_ends[n_fields] = (uint32_t)at;
			}
			n_fields++;
		}
		state = step.next;
	}
	if (n_fields < max_ends) {
		ret_ends[n_fields] = (uint32_t)len;
	}
	*ret_fault = fault;
	return n_fields + 1;
}
