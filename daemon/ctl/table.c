/* SPDX-License-Identifier: MIT */
/*
 * Cells are kept until the end because a column is as wide as its widest cell. Where the screen is
 * too narrow the elastic columns give way down to a few characters, then lines lose their end.
 */
#include "daemon/ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/ctl/text.h"

enum { GAP = 2, ELASTIC_MIN = 8, CELL_SIZE = 512 };

void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
	*table = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_deinit(struct table *table)
{
	for (size_t i = 0; i < table->n_cells; i++) {
		free(table->cells[i]);
	}
	free(table->cells);
	table_init(table, table->columns, table->n_columns);
}

/* Doubles at each power of two, so that the array knows its capacity by its length. */
static int make_room(struct table *table)
{
	size_t n = table->n_cells;
	char **cells;

	if (n & (n - 1)) {
		return 0;
	}
	cells = realloc(table->cells, (n ? 2 * n : 1) * sizeof(*cells));
	if (!cells) {
		return -ENOMEM;
	}
	table->cells = cells;
	return 0;
}

void table_add(struct table *table, const char *text)
{
	CLEANUP(buf_deinit) struct buf clean = BUF_INIT;
	char *cell;

	text_add_clean(&clean, text);
	cell = buf_terminated(&clean) ? buf_take(&clean) : NULL;
	if (!cell || table->error || make_room(table) < 0) {
		table->error = -ENOMEM;
		free(cell);
		return;
	}
	table->cells[table->n_cells++] = cell;
}

void table_printf(struct table *table, const char *format, ...)
{
	char text[CELL_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	table_add(table, text);
}

/* Widths of all columns; their sum with the gaps. */
static size_t measure(const struct table *table, size_t *widths)
{
	size_t total = 0;

	for (size_t i = 0; i < table->n_columns; i++) {
		widths[i] = text_width(table->columns[i].title);
		for (size_t k = i; k < table->n_cells; k += table->n_columns) {
			widths[i] = MAX(widths[i], text_width(table->cells[k]));
		}
		total += widths[i] + (i ? GAP : 0);
	}
	return total;
}

static void shrink(const struct table *table, size_t *widths, size_t n_excess)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		size_t n_spare = widths[i] > ELASTIC_MIN ? widths[i] - ELASTIC_MIN : 0;
		size_t n_less = MIN(n_spare, n_excess);

		if (table->columns[i].align == TABLE_ELASTIC) {
			widths[i] -= n_less;
			n_excess -= n_less;
		}
	}
}

static void add_blanks(struct buf *out, size_t n)
{
	while (n--) {
		buf_add_char(out, ' ');
	}
}

/* One cell, cut to its column with a `~` where something is missing. */
static void add_cell(struct buf *out, const char *text, size_t width, enum table_align align)
{
	size_t n_columns = text_width(text);
	size_t n_blanks = n_columns < width ? width - n_columns : 0;
	bool is_cut = n_columns > width;

	add_blanks(out, align == TABLE_RIGHT ? n_blanks : 0);
	buf_add(out, text, text_fit(text, is_cut ? width - 1 : width));
	if (is_cut) {
		buf_add_char(out, '~');
	}
	add_blanks(out, align == TABLE_RIGHT ? 0 : n_blanks);
}

/* The line without blanks at its end, and no wider than the screen. */
static void add_line(struct buf *out, struct buf *line, size_t width)
{
	const char *text;

	while (line->len > 0 && line->data[line->len - 1] == ' ') {
		line->len--;
	}
	text = buf_terminated(line);
	if (text) {
		buf_add(out, text, width ? text_fit(text, width) : line->len);
	}
	buf_add_char(out, '\n');
}

int table_render(const struct table *table, size_t width, struct buf *out)
{
	CLEANUP(free_p) size_t *widths = calloc(table->n_columns, sizeof(*widths));
	CLEANUP(buf_deinit) struct buf line = BUF_INIT;
	size_t n_rows = table->n_cells / table->n_columns;
	size_t total;

	if (!widths || table->error) {
		return -ENOMEM;
	}
	total = measure(table, widths);
	if (width && total > width) {
		shrink(table, widths, total - width);
	}
	for (size_t row = 0; row <= n_rows; row++) {
		buf_clear(&line);
		for (size_t i = 0; i < table->n_columns; i++) {
			const struct table_column *column = &table->columns[i];
			const char *text = row ? table->cells[(row - 1) * table->n_columns + i]
					       : column->title;

			add_blanks(&line, i ? GAP : 0);
			add_cell(&line, text, widths[i], column->align);
		}
		add_line(out, &line, width);
	}
	return buf_error(&line) ? buf_error(&line) : buf_error(out);
}
