/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/buf.h"
#include "common/util/macro.h"

/* Adds the bytes as one gzip member (RFC 1952). -ENOMEM, or -EFBIG beyond what zlib can count. */
int gzip_add(struct buf *out, const void *data, size_t len) MUST_CHECK;
