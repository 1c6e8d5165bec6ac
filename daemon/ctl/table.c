/* SPDX-License-Identifier: MIT */
/*
 * Cells are kept until the end because a column is as wide as its widest cell. Where the screen is
 * too narrow the elastic columns give way down to a few characters, then lines lose their end.
 */
#include "daemon/ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
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
		free(table->cells[i].text);
	}
	free(table->cells);
	table_init(table, table->columns, table->n_columns);
}

/* Doubles at each power of two, so that the array knows its capacity by its length. */
static int make_room(struct table *table)
{
	size_t n = table->n_cells;
	struct table_cell *cells;

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

void table_add_styled(struct table *table, const char *text, enum style style)
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
	table->cells[table->n_cells++] = (struct table_cell){.text = cell, .style = style};
}

void table_add(struct table *table, const char *text)
{
	table_add_styled(table, text, STYLE_PLAIN);
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
			widths[i] = MAX(widths[i], text_width(table->cells[k].text));
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

/* A line in the making: blanks wait for the text behind them, so none are left at its end. */
struct line {
	struct buf *out;
	size_t n_left; /* columns */
	size_t n_blanks;
};

static void add_text(struct line *line, const char *text, size_t len, enum style style)
{
	for (; line->n_blanks > 0 && line->n_left > 0; line->n_blanks--, line->n_left--) {
		buf_add_char(line->out, ' ');
	}
	buf_add_str(line->out, style_begin(style));
	buf_add(line->out, text, len);
	buf_add_str(line->out, style_end(style));
}

/* One cell, cut to its column with a `~` where something is missing. */
static void add_cell(struct line *line, const struct table_cell *cell, size_t width,
		     enum table_align align)
{
	size_t n_columns = text_width(cell->text);
	size_t n_pad = n_columns < width ? width - n_columns : 0;
	size_t n_before = align == TABLE_RIGHT ? n_pad : 0;
	size_t n_room, n_shown;

	line->n_blanks += n_before;
	n_room = line->n_left > line->n_blanks ? line->n_left - line->n_blanks : 0;
	n_shown = MIN(n_columns, n_room);
	if (n_shown > 0 && n_columns > width) {
		CLEANUP(buf_deinit) struct buf cut = BUF_INIT;

		buf_add(&cut, cell->text, text_fit(cell->text, width - 1));
		buf_add_char(&cut, '~');
		n_shown = MIN(width, n_room);
		if (buf_terminated(&cut)) {
			add_text(line, cut.data, text_fit(cut.data, n_shown), cell->style);
		}
	} else if (n_shown > 0) {
		add_text(line, cell->text, text_fit(cell->text, n_shown), cell->style);
	}
	line->n_left -= MIN(n_shown, line->n_left);
	line->n_blanks += n_pad - n_before;
}

int table_render(const struct table *table, size_t width, struct buf *out)
{
	CLEANUP(free_p) size_t *widths = calloc(table->n_columns, sizeof(*widths));
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
		struct line line = {.out = out, .n_left = width ? width : SIZE_MAX};

		for (size_t i = 0; i < table->n_columns; i++) {
			const struct table_column *column = &table->columns[i];
			struct table_cell cell = {.text = (char *)(uintptr_t)column->title};

			if (row > 0) {
				cell = table->cells[(row - 1) * table->n_columns + i];
			}
			cell.style = table->has_color ? cell.style : STYLE_PLAIN;
			line.n_blanks += i ? GAP : 0;
			add_cell(&line, &cell, widths[i], column->align);
		}
		buf_add_char(out, '\n');
	}
	return buf_error(out);
}
