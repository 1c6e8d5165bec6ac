/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/macro.h"

/*
 * Where something is in the text of a JSON document: line, column and JSON path.
 *
 * jansson says where it stopped reading, but not where a value that it did read came from. These
 * functions walk the text again. They never read outside it and always end, whatever it holds; what
 * they answer is only meaningful where the text is JSON.
 */

/* One step down from the root: to a key of an object or, if key is NULL, to an index of an array.
 */
struct json_step {
	const char *key;
	size_t index;
};

enum json_locate_target {
	JSON_LOCATE_VALUE, /* the first byte of the value */
	JSON_LOCATE_KEY,   /* the quote that opens the last step's key */
};

enum {
	JSON_PLACE_PATH_BYTES = 256,
};

struct json_place {
	unsigned line;			  /* from 1 */
	unsigned column;		  /* from 1, in characters */
	char path[JSON_PLACE_PATH_BYTES]; /* "$.pipes[1].input", "$[\"odd key\"]"; cut if too long
					   */
};

/*
 * Finds what n_steps lead to in the JSON document text[0..len), which need not end with NUL.
 * Returns 0, or -ENOENT if there is no such value (or no such key: the last step is an index).
 */
MUST_CHECK int json_locate(const char *text, size_t len, const struct json_step *steps,
			   size_t n_steps, enum json_locate_target target,
			   struct json_place *ret_place);

/*
 * Finds the key of which text[end - 1] is the closing quote. Only text[0..end) is looked at: the
 * rest may be anything. Returns 0, or -ENOENT if no key ends there or it lies below 32 levels.
 */
MUST_CHECK int json_locate_key_before(const char *text, size_t end, struct json_place *ret_place);
