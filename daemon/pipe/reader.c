/* SPDX-License-Identifier: MIT */

/*
 * Reading into one reused buffer is faster here than mapping the file (a page fault costs more
 * than copying the page), and a file that shrinks is an error instead of a SIGBUS.
 *
 * A fetch that is not already in the window moves what is still wanted to the buffer's front and
 * fills the rest of its normal capacity, so a chunk is mostly one pread.
 */
#include "daemon/pipe/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "common/util/memory.h"

/* Smaller windows are for tests: huge pages would be a waste. */
#define HUGE_FROM_BYTES ((size_t)256 << 10)

static int reader_resize(struct reader *reader, size_t capacity)
{
	size_t size = capacity + READER_PADDING;
	uint8_t *data = size >= HUGE_FROM_BYTES ? memory_alloc_huge(size) : malloc(size);

	if (data == NULL) {
		return -ENOMEM;
	}
	if (reader->len > 0) {
		memcpy(data, reader->data, reader->len);
	}
	free(reader->data);
	reader->data = data;
	reader->capacity = capacity;
	return 0;
}

int reader_init(struct reader *ret_reader, size_t capacity_bytes)
{
	struct reader reader = {.fd = -1, .normal_capacity = capacity_bytes};
	int r = reader_resize(&reader, capacity_bytes);

	if (r < 0) {
		return r;
	}
	*ret_reader = reader;
	return 0;
}

void reader_deinit(struct reader *reader)
{
	free(reader->data);
	*reader = (struct reader){.fd = -1};
}

void reader_open(struct reader *reader, int fd, uint64_t file_size)
{
	reader->fd = fd;
	reader->file_size = file_size;
	reader->offset = 0;
	reader->len = 0;
}

/* Drops what lies before `from`, and everything if the window does not reach that far. */
static void reader_drop_before(struct reader *reader, uint64_t from)
{
	if (from < reader->offset || from > reader->offset + reader->len) {
		reader->len = 0;
	} else {
		size_t n_dropped = (size_t)(from - reader->offset);

		reader->len -= n_dropped;
		memmove(reader->data, reader->data + n_dropped, reader->len);
	}
	reader->offset = from;
}

/* Makes room for n bytes, and more than that if it has to grow: a window that moves on by a little
 * with each row must not be copied for each row. Goes back to normal once that is enough again. */
static int reader_make_room(struct reader *reader, size_t n)
{
	size_t capacity = reader->normal_capacity;

	while (capacity < n || (capacity > reader->normal_capacity && capacity - n < n / 4)) {
		capacity *= 2;
	}
	if (capacity == reader->capacity ||
	    (capacity < reader->capacity && reader->len > capacity)) {
		return 0;
	}
	return reader_resize(reader, capacity);
}

static int reader_fill(struct reader *reader)
{
	uint64_t at = reader->offset + reader->len;
	size_t n = reader->capacity - reader->len;

	if (n > reader->file_size - at) {
		n = (size_t)(reader->file_size - at);
	}

	ssize_t n_read = fd_pread_full(reader->fd, reader->data + reader->len, n, (off_t)at);

	if (n_read < 0) {
		return (int)n_read;
	}
	if ((size_t)n_read < n) {
		return -ENODATA;
	}
	reader->len += n;
	memset(reader->data + reader->len, 0, READER_PADDING);
	return 0;
}

int reader_fetch(struct reader *reader, uint64_t from, uint64_t to, struct reader_span *ret_span)
{
	if (to > reader->file_size) {
		to = reader->file_size;
	}
	if (from > to) {
		from = to;
	}
	if (from < reader->offset || to > reader->offset + reader->len) {
		reader_drop_before(reader, from);

		int r = reader_make_room(reader, (size_t)(to - from));

		if (r == 0) {
			r = reader_fill(reader);
		}
		if (r < 0) {
			return r;
		}
	}
	*ret_span = (struct reader_span){
		.bytes = reader->data + (from - reader->offset),
		.len = (size_t)(reader->offset + reader->len - from),
		.is_final = reader->offset + reader->len == reader->file_size,
	};
	return 0;
}
