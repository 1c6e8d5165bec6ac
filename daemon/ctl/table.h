/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/buf.h"
#include "common/util/macro.h"

/* A table of text for people: aligned columns, two blanks apart, a line of titles. */

enum table_align {
	TABLE_LEFT,
	TABLE_RIGHT,
	TABLE_ELASTIC, /* left, and the first to be cut where the screen is too narrow */
};

struct table_column {
	const char *title;
	enum table_align align;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	char **cells; /* row by row, cleaned; owned */
	size_t n_cells;
	int error;
};

/* The columns must outlive the table. */
void table_init(struct table *table, const struct table_column *columns, size_t n_columns);
void table_deinit(struct table *table);

/* The next cell, from left to right, row after row; any text. Errors are kept for the end. */
void table_add(struct table *table, const char *text);
void table_printf(struct table *table, const char *format, ...) PRINTF_FORMAT(2, 3);

/* Adds the lines, none wider than `width` columns (0: as wide as they are). 0 or -ENOMEM. */
int table_render(const struct table *table, size_t width, struct buf *out) MUST_CHECK;
