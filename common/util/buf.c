/* SPDX-License-Identifier: MIT */
/*
 * Capacity doubles, so that n additions cost O(n). One byte is always kept free behind the data:
 * buf_terminated() then needs no allocation but the very first.
 */
#include "common/util/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/util/memory.h"

enum { BUF_FIRST_CAPACITY = 256 };

static int buf_fail(struct buf *buf)
{
	buf->error = -ENOMEM;
	return buf->error;
}

void buf_deinit(struct buf *buf)
{
	free(buf->data);
	*buf = BUF_INIT;
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->error = 0;
}

int buf_reserve(struct buf *buf, size_t n_more)
{
	size_t need, capacity;
	char *data;

	if (buf->error != 0) {
		return buf->error;
	}
	if (n_more >= (size_t)PTRDIFF_MAX - buf->len) {
		return buf_fail(buf);
	}
	need = buf->len + n_more + 1;
	if (need <= buf->capacity) {
		return 0;
	}
	capacity = MAX(buf->capacity, (size_t)BUF_FIRST_CAPACITY);
	while (capacity < need) {
		capacity *= 2; /* need is at most PTRDIFF_MAX: this can't pass SIZE_MAX */
	}
	data = realloc(buf->data, capacity);
	if (data == NULL) {
		return buf_fail(buf);
	}
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int buf_reserve_huge(struct buf *buf, size_t capacity)
{
	char *data = memory_alloc_huge(capacity);

	if (data == NULL) {
		return buf_fail(buf);
	}
	buf_deinit(buf);
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (len == 0 || buf_reserve(buf, len) < 0) {
		return;
	}
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

void buf_add_str(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) {
		buf_fail(buf); /* longer than INT_MAX */
		return;
	}
	if (buf_reserve(buf, (size_t)n) < 0) {
		return;
	}
	va_start(args, format);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
	va_end(args);
	buf->len += (size_t)n;
}

static const char json_short_escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
	['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
};

static void buf_add_json_escape(struct buf *buf, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char letter = json_short_escapes[c];

	if (letter != 0) {
		buf_add(buf, (const char[]){'\\', letter}, 2);
	} else {
		buf_add(buf, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
	}
}

void buf_add_json_string(struct buf *buf, const char *data, size_t len)
{
	size_t clean = 0; /* where the bytes begin that need no escape and are not yet added */

	buf_add_char(buf, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c >= 0x20 && c != '"' && c != '\\') {
			continue;
		}
		buf_add(buf, data + clean, i - clean);
		buf_add_json_escape(buf, c);
		clean = i + 1;
	}
	if (clean < len) {
		buf_add(buf, data + clean, len - clean);
	}
	buf_add_char(buf, '"');
}

int buf_error(const struct buf *buf)
{
	return buf->error;
}

const char *buf_terminated(struct buf *buf)
{
	if (buf_reserve(buf, 0) < 0) {
		return NULL;
	}
	buf->data[buf->len] = '\0';
	return buf->data;
}

char *buf_take(struct buf *buf)
{
	char *text = NULL;

	if (buf_terminated(buf) == NULL) {
		return NULL;
	}
	text = buf->data;
	*buf = BUF_INIT;
	return text;
}
