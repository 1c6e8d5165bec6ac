/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/macro.h"

/*
 * Bytes that grow at the end. A failed allocation is remembered: every later addition does
 * nothing, and one buf_error() at the end tells. So texts are built without a check a line.
 * `data` and `len` may be read directly; `data` is NULL while nothing was ever added.
 */
struct buf {
	char *data;
	size_t len, capacity;
	int error;
};

#define BUF_INIT ((struct buf){0})

/* Frees the bytes and makes it BUF_INIT again; fit for CLEANUP. */
void buf_deinit(struct buf *buf);

/* Forgets bytes and error, keeps the memory. */
void buf_clear(struct buf *buf);

/* Makes room for n_more bytes and one NUL behind them. Returns buf_error(). */
int buf_reserve(struct buf *buf, size_t n_more);

/* The same for an empty buf that is to grow to megabytes again and again: memory_alloc_huge(). */
int buf_reserve_huge(struct buf *buf, size_t capacity);

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_str(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_FORMAT(2, 3);

/*
 * Adds a JSON string (RFC 8259) with its quotes. The input is valid UTF-8 and passes as it is,
 * but for \" \\ \b \f \n \r \t and the other control characters below 0x20 as \u00xx.
 */
void buf_add_json_string(struct buf *buf, const char *data, size_t len);

/* 0, or -ENOMEM if any addition since the last clear did not fit. */
int buf_error(const struct buf *buf);

/* The bytes with a NUL behind them, valid until the next change; NULL only on -ENOMEM. */
const char *buf_terminated(struct buf *buf);

/* The same, given to the caller, who frees it; the buf is BUF_INIT again. NULL on -ENOMEM. */
char *buf_take(struct buf *buf);
