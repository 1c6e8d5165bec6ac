/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"

/*
 * Makes names unique in place: an empty one becomes its position (from 1), one that was there
 * before gets _2, _3, ... until it is new. Returns 0 or -ENOMEM.
 */
int columns_make_unique(char **names, size_t n) MUST_CHECK;

/*
 * Finds the columns (unique names) among as many fields of a file: *ret_field_of[c] is the field
 * that is called columns[c]; the caller frees it. It is NULL if they are in the same order.
 * Returns 0; -ENOENT with *ret_missing: there is no field for that column; or -ENOMEM.
 */
int columns_match(char *const *columns, char *const *fields, size_t n, uint32_t **ret_field_of,
		  size_t *ret_missing) MUST_CHECK;
