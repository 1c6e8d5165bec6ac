/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

#include "common/util/buf.h"
#include "common/util/macro.h"

/* What goes to stdout. All complain on stderr and return an enum ctl_exit. */

/* One JSON document, indented, its keys in their order. */
int output_json(const json_t *document);

/* The same on one line, for a stream of them. */
int output_json_line(const json_t *document);

/* The buf's bytes; a buf in error is a failure. */
int output_text(struct buf *text);
