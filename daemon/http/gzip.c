/* SPDX-License-Identifier: MIT */
/*
 * In one call, into room for the worst case: an answer is in memory as a whole anyway. The level is
 * the fastest: the loop waits for it, and text of this kind shrinks tenfold at any level.
 */
#include "daemon/http/gzip.h"

#include <errno.h>
#include <limits.h>
#define ZLIB_CONST
#include <zlib.h>

int gzip_add(struct buf *out, const void *data, size_t len)
{
	enum { GZIP_WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8 };
	z_stream stream = {0};
	size_t bound;
	int r;

	if (len > INT_MAX) {
		return -EFBIG;
	}
	if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		return -ENOMEM;
	}
	bound = deflateBound(&stream, len);
	if (buf_reserve(out, bound) < 0) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_in = data;
	stream.avail_in = (uInt)len;
	stream.next_out = (Bytef *)out->data + out->len;
	stream.avail_out = (uInt)bound;
	r = deflate(&stream, Z_FINISH);
	out->len += stream.total_out;
	deflateEnd(&stream);
	return r == Z_STREAM_END ? 0 : -ENOMEM;
}
