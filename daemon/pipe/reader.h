/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"

/*
 * A window on one file at a time: pread(2) into one reused buffer. What it holds is always
 * followed by READER_PADDING readable bytes, zeros where the file ends, so that whole vectors and
 * words may be loaded anywhere.
 *
 * The file ends where the plan says, even if it has grown since.
 */
enum { READER_PADDING = 64 };

struct reader {
	int fd;		    /* borrowed */
	uint64_t file_size; /* bytes, as pinned in the plan */
	uint8_t *data;
	size_t capacity; /* without the padding */
	size_t normal_capacity;
	uint64_t offset; /* of data[0] in the file */
	size_t len;
};

/* Bytes of a file as the reader holds them, valid until its next call. */
struct reader_span {
	const uint8_t *bytes;
	size_t len;
	bool is_final; /* the file ends behind them */
};

/* capacity_bytes is what the window normally holds; it grows for giant rows and shrinks again. */
int reader_init(struct reader *ret_reader, size_t capacity_bytes) MUST_CHECK;
void reader_deinit(struct reader *reader);

/* Changes to another file, or to the same again, and forgets the bytes. */
void reader_open(struct reader *reader, int fd, uint64_t file_size);

/*
 * Makes at least [from, min(to, file size)) readable; the span begins at `from` and may be longer.
 * Bytes before `from` may be dropped. Returns 0; -ENODATA: the file is shorter than it was pinned;
 * -ENOMEM; -errno of pread(2).
 */
int reader_fetch(struct reader *reader, uint64_t from, uint64_t to,
		 struct reader_span *ret_span) MUST_CHECK;
