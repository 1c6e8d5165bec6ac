/* SPDX-License-Identifier: MIT */

/*
 * What of the emitter is not worth vectors: the keys, made once, and rows that go alone. The inner
 * loop is in json_emit_rows.h.
 */
#include "daemon/pipe/json_emit.h"

#include <errno.h>
#include <string.h>

#include "common/util/buf.h"
#include "daemon/pipe/json_emit_value.h"

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
	size_t longest = 0;

	if (keys == NULL) {
		return -ENOMEM;
	}
	for (size_t c = 0; c < n_columns; c++) {
		add_key(&buf, &keys[c], c == 0 ? "{" : "\",", columns[c]);
	}
	add_key(&buf, &keys[n_columns], "\"}\n", NULL);
	for (size_t c = 0; c <= n_columns; c++) {
		longest = MAX(longest, (size_t)keys[c].len);
	}
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
		.longest = longest,
	};
	return 0;
}

void json_keys_deinit(struct json_keys *keys)
{
	free(keys->bytes);
	free(keys->keys);
	*keys = (struct json_keys){0};
}

uint8_t *json_emit_row(const struct json_rows *rows, const uint8_t *row, const uint32_t *ends,
		       uint8_t *out)
{
	size_t n_columns = rows->keys->n_columns;

	for (size_t c = 0; c < n_columns; c++) {
		size_t f = rows->field_of == NULL ? c : rows->field_of[c];
		uint32_t from = f == 0 ? 0 : ends[f - 1] + 1;

		out = json_put_key(rows->keys, c, out);
		out = json_put_careful(rows->dialect, row + from, ends[f] - from, false, out);
	}
	return json_put_key(rows->keys, n_columns, out);
}
