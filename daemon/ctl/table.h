/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/ctl/style.h"

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

struct table_cell {
	char *text; /* cleaned; owned */
	enum style style;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct table_cell *cells; /* row by row; owned */
	size_t n_cells;
	bool has_color; /* show the styles; false at first */
	int error;
};

/* The columns must outlive the table. */
void table_init(struct table *table, const struct table_column *columns, size_t n_columns);
void table_deinit(struct table *table);

/* The next cell, from left to right, row after row; any text. Errors are kept for the end. */
void table_add(struct table *table, const char *text);
void table_add_styled(struct table *table, const char *text, enum style style);
void table_printf(struct table *table, const char *format, ...) PRINTF_FORMAT(2, 3);

/* Adds the lines, the titles first, none wider than `width` columns (0: as wide as they are). 0 or
 * -ENOMEM. */
int table_render(const struct table *table, size_t width, struct buf *out) MUST_CHECK;
