/* SPDX-License-Identifier: MIT */

/*
 * Most fields are short and clean, so the hot loop is: copy a key, copy a value, both by stores of
 * a fixed size that overrun, so that no length is ever branched on but "more than one step". One
 * predicted branch on the index's flag leads to the careful path. A row with a fault is given back
 * whole: what is wrong with it, only the dialect's walker says.
 */
#include "daemon/pipe/json_emit.h"

#include <errno.h>
#include <string.h>

#include "common/util/buf.h"
#include "daemon/pipe/bits.h"
#include "daemon/pipe/utf8.h"

static void add_key(struct buf *buf, struct json_key *key, const char *before, const char *column)
{
	key->offset = (uint32_t)buf->len;
	buf_add_str(buf, before);
	if (column != NULL) {
		buf_add_json_string(buf, column, strlen(column));
		buf_add_str(buf, ":\"");
	}
	key->len = (uint32_t)buf->len - key->offset;
}

int json_keys_init(struct json_keys *ret_keys, char *const *columns, size_t n_columns)
{
	static const char padding[JSON_EMIT_STEP];
	CLEANUP(free_p) struct json_key *keys = calloc(n_columns + 1, sizeof(*keys));
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;
	size_t n_row_bytes;

	if (keys == NULL) {
		return -ENOMEM;
	}
	for (size_t c = 0; c < n_columns; c++) {
		add_key(&buf, &keys[c], c == 0 ? "{" : "\",", columns[c]);
	}
	add_key(&buf, &keys[n_columns], "\"}\n", NULL);
	n_row_bytes = buf.len;
	buf_add(&buf, padding, sizeof(padding));
	if (buf_error(&buf) < 0) {
		return -ENOMEM;
	}
	*ret_keys = (struct json_keys){
		.bytes = (uint8_t *)buf_take(&buf),
		.keys = TAKE_PTR(keys),
		.n_columns = n_columns,
		.n_row_bytes = n_row_bytes,
	};
	return 0;
}

void json_keys_deinit(struct json_keys *keys)
{
	free(keys->bytes);
	free(keys->keys);
	*keys = (struct json_keys){0};
}

static inline uint8_t *put(uint8_t *out, const uint8_t *from, size_t len)
{
	memcpy(out, from, JSON_EMIT_STEP);
	for (size_t at = JSON_EMIT_STEP; UNLIKELY(at < len); at += JSON_EMIT_STEP) {
		memcpy(out + at, from + at, JSON_EMIT_STEP);
	}
	return out + len;
}

static inline uint8_t *put_key(const struct json_keys *keys, size_t c, uint8_t *out)
{
	return put(out, keys->bytes + keys->keys[c].offset, keys->keys[c].len);
}

static uint8_t *put_escaped(uint8_t *out, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[256] = {
		['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
		['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
	};

	if (letters[byte] != 0) {
		*out++ = '\\';
		*out++ = (uint8_t)letters[byte];
	} else if (byte < 0x20) {
		memcpy(out, "\\u00", 4);
		out[4] = (uint8_t)hex[byte >> 4];
		out[5] = (uint8_t)hex[byte & 15];
		out += 6;
	} else {
		*out++ = byte;
	}
	return out;
}

/* Copies up to the first byte that needs care; the copy overruns by up to seven bytes. */
static inline size_t put_clean_run(const uint8_t *from, const uint8_t *end, uint64_t quote_pattern,
				   uint8_t *out)
{
	const uint8_t *at = from;

	while (at < end) {
		uint64_t word = bits_load(at);
		uint64_t care = bits_mark_care(word, quote_pattern);

		memcpy(out + (at - from), at, sizeof(word));
		if (care != 0) {
			at += __builtin_ctzll(care) / 8;
			break;
		}
		at += sizeof(word);
	}
	return (size_t)(MIN(at, end) - from);
}

/* Copies characters that are not ASCII, at least one; the copy overruns by up to three bytes.
 * Returns their length, 0 if one is not well-formed. */
static size_t put_characters(const uint8_t *from, const uint8_t *end, uint8_t *out)
{
	const uint8_t *at = from;

	do {
		size_t n = utf8_char_length(at, (size_t)(end - at));

		if (n == 0) {
			return 0;
		}
		memcpy(out + (at - from), at, 4);
		at += n;
	} while (at < end && *at >= 0x80);
	return (size_t)(at - from);
}

uint8_t *json_emit_careful(const struct dialect *dialect, const uint8_t *field, size_t len,
			   uint8_t *out)
{
	const uint8_t *end = field + len;
	uint64_t quote_pattern = BITS_EACH(dialect->has_quote ? dialect->quote : '"');
	bool is_quoted = dialect->has_quote && len > 0 && field[0] == dialect->quote;

	for (field += is_quoted;;) {
		size_t n = put_clean_run(field, end, quote_pattern, out);

		field += n;
		out += n;
		if (field == end) {
			return is_quoted ? NULL : out;
		}
		if (*field >= 0x80) {
			n = put_characters(field, end, out);
			if (n == 0) {
				return NULL;
			}
			field += n;
			out += n;
			continue;
		}
		if (dialect->has_quote && *field == dialect->quote) {
			if (is_quoted && field + 1 == end) {
				return out;
			}
			if (is_quoted ? field[1] != dialect->quote : dialect->strict) {
				return NULL;
			}
			field += is_quoted;
		}
		if (*field == '\0' || (*field == '\r' && !is_quoted)) {
			return NULL;
		}
		out = put_escaped(out, *field++);
	}
}

static inline uint8_t *emit_value(const struct json_rows *rows, const uint8_t *field, size_t len,
				  uint32_t flags, uint8_t *out)
{
	if (UNLIKELY(flags & CSV_INDEX_CARE)) {
		return json_emit_careful(rows->dialect, field, len, out);
	}

	bool is_quoted = (flags & CSV_INDEX_QUOTED) != 0; /* no branch: files mix both */

	return put(out, field + is_quoted, len - 2 * (size_t)is_quoted);
}

/* The values of one row, whose first field begins at `start`. NULL if one has a fault. */
static inline __attribute__((always_inline)) uint8_t *emit_fields(const struct json_rows *rows,
								  const uint32_t *ends,
								  uint32_t start, uint8_t *out,
								  const bool is_permuted)
{
	size_t n_columns = rows->keys->n_columns;
	uint32_t from = start;

	for (size_t c = 0; c < n_columns; c++) {
		size_t f = is_permuted ? rows->field_of[c] : c;
		uint32_t end = ends[f] & CSV_INDEX_OFFSET;

		if (is_permuted) {
			from = f == 0 ? start : (ends[f - 1] & CSV_INDEX_OFFSET) + 1;
		}

		size_t len = end - from;

		if (f + 1 == n_columns) {
			len -= len > 0 && rows->bytes[end - 1] == '\r';
		}
		out = put_key(rows->keys, c, out);
		out = emit_value(rows, rows->bytes + from, len, ends[f], out);
		if (UNLIKELY(out == NULL)) {
			return NULL;
		}
		from = end + 1;
	}
	return put_key(rows->keys, n_columns, out);
}

static inline __attribute__((always_inline)) size_t emit_rows(const struct json_rows *rows,
							      size_t row, uint8_t *out,
							      uint8_t **ret_out,
							      const bool is_permuted)
{
	const struct csv_index *index = rows->index;
	size_t n_columns = rows->keys->n_columns;
	uint32_t start = csv_index_row_start(index, row);
	uint32_t first = row == 0 ? 0 : index->row_ends[row - 1];

	for (; row < rows->end_row; row++) {
		const uint32_t *ends = index->field_ends + first;
		uint32_t behind = index->row_ends[row];
		uint32_t end = index->field_ends[behind - 1] & CSV_INDEX_OFFSET;

		if (UNLIKELY(behind - first != n_columns || start >= rows->start_limit ||
			     end - start > rows->max_row_bytes)) {
			break;
		}

		uint8_t *next_out = emit_fields(rows, ends, start, out, is_permuted);

		if (UNLIKELY(next_out == NULL)) {
			break;
		}
		out = next_out;
		start = end + 1;
		first = behind;
	}
	*ret_out = out;
	return row;
}

size_t json_emit_rows(const struct json_rows *rows, size_t row, uint8_t *out, uint8_t **ret_out)
{
	return rows->field_of == NULL ? emit_rows(rows, row, out, ret_out, false)
				      : emit_rows(rows, row, out, ret_out, true);
}

uint8_t *json_emit_row(const struct json_rows *rows, const uint8_t *row, const uint32_t *ends,
		       uint8_t *out)
{
	size_t n_columns = rows->keys->n_columns;

	for (size_t c = 0; c < n_columns; c++) {
		size_t f = rows->field_of == NULL ? c : rows->field_of[c];
		uint32_t from = f == 0 ? 0 : ends[f - 1] + 1;

		out = put_key(rows->keys, c, out);
		out = json_emit_careful(rows->dialect, row + from, ends[f] - from, out);
	}
	return put_key(rows->keys, n_columns, out);
}
