/* SPDX-License-Identifier: MIT */

/*
 * The header row is found and split by the same walker as any row, so it may have quotes, quoted
 * newlines and doubled quotes. Where there is no header, the first row is only counted: a fault in
 * it is judged later, with all rows, but one without an end has no number of fields and fails the
 * job here.
 */
#include "daemon/pipe/header.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/plan.h"
#include "common/model/reject.h"
#include "daemon/pipe/bits.h"
#include "daemon/pipe/columns.h"
#include "daemon/pipe/dialect.h"
#include "daemon/pipe/row_extent.h"

#define BLOCK_BYTES ((uint64_t)64 << 10)

struct head {
	const struct input_spec *input;
	struct dialect dialect;
	struct reader *reader;
	uint64_t at;
	uint64_t line;
	struct header_problem *problem;
};

void header_deinit(struct header *header)
{
	for (size_t i = 0; i < header->n_names; i++) {
		free(header->names[i]);
	}
	free(header->names);
	*header = (struct header){0};
}

static int bad(const struct head *head, const char *text)
{
	head->problem->line = head->line;
	snprintf(head->problem->text, sizeof(head->problem->text), "%s", text);
	return HEADER_IS_BAD;
}

static bool is_at_end(const struct head *head)
{
	return head->at == head->reader->file_size;
}

static int skip_bom(struct head *head)
{
	static const uint8_t bom[] = {0xef, 0xbb, 0xbf};
	struct reader_span span;
	int r = reader_fetch(head->reader, 0, sizeof(bom), &span);

	if (r < 0) {
		return r;
	}
	if (span.len >= sizeof(bom) && memcmp(span.bytes, bom, sizeof(bom)) == 0) {
		head->at = sizeof(bom);
	}
	return 0;
}

/* To behind the next newline, or the file's end. */
static int skip_line(struct head *head)
{
	while (!is_at_end(head)) {
		struct reader_span span;
		int r = reader_fetch(head->reader, head->at, head->at + BLOCK_BYTES, &span);

		if (r < 0) {
			return r;
		}

		const uint8_t *newline = memchr(span.bytes, '\n', span.len);

		if (newline != NULL) {
			head->at += (uint64_t)(newline - span.bytes) + 1;
			head->line++;
			return 0;
		}
		head->at += span.len;
	}
	return 0;
}

/* The first row that is not an empty line. Its bytes are valid until the reader's next call. */
static int find_row(struct head *head, struct row_extent *ret_extent, const uint8_t **ret_row)
{
	struct row_memo memo = {0};
	struct reader_span span;
	int r;

	while (!is_at_end(head)) {
		r = row_extent_find(&head->dialect, head->reader, head->at, &memo, ret_extent);
		if (r < 0) {
			return r;
		}
		if (!ret_extent->has_end) {
			return bad(head, reject_message(ret_extent->code));
		}
		if (ret_extent->end > head->at) {
			r = reader_fetch(head->reader, head->at, ret_extent->next, &span);
			*ret_row = span.bytes;
			return r;
		}
		head->at = ret_extent->next;
		head->line++;
	}
	return 0;
}

/* The field's value, unquoted, with a NUL behind it; NULL: no memory. */
static char *field_value(const struct dialect *dialect, const uint8_t *field, size_t len)
{
	bool is_quoted = dialect->has_quote && len > 0 && field[0] == dialect->quote;
	char *value = malloc(len + 1);
	size_t n = 0;

	if (value == NULL) {
		return NULL;
	}
	if (is_quoted) {
		field++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		value[n++] = (char)field[i];
		i += is_quoted && field[i] == dialect->quote; /* the second of two */
	}
	value[n] = '\0';
	return value;
}

static int take_names(const struct head *head, const uint8_t *row, const uint32_t *ends, size_t n,
		      struct header *header)
{
	size_t from = 0;

	header->names = calloc(n, sizeof(*header->names));
	if (header->names == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		header->names[i] = field_value(&head->dialect, row + from, ends[i] - from);
		if (header->names[i] == NULL) {
			return -ENOMEM;
		}
		header->n_names++;
		from = ends[i] + 1;
	}
	return 0;
}

static int split_names(const struct head *head, const uint8_t *row, size_t len,
		       struct header *header)
{
	struct dialect_fault fault;
	size_t n = dialect_split(&head->dialect, row, len, NULL, 0, &fault);
	CLEANUP(free_p) uint32_t *ends = NULL;

	if (fault.is_set) {
		return bad(head, reject_message(fault.code));
	}
	if (n > PLAN_MAX_COLUMNS) {
		return bad(head, "The header row has too many columns.");
	}
	ends = calloc(n, sizeof(*ends));
	if (ends == NULL) {
		return -ENOMEM;
	}
	dialect_split(&head->dialect, row, len, ends, n, &fault);
	return take_names(head, row, ends, n, header);
}

static int take_fieldnames(const struct input_spec *input, struct header *header)
{
	header->names = calloc(input->n_fieldnames + 1, sizeof(*header->names));
	if (header->names == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < input->n_fieldnames; i++) {
		header->names[i] = strdup(input->fieldnames[i]);
		if (header->names[i] == NULL) {
			return -ENOMEM;
		}
		header->n_names++;
	}
	return 0;
}

static int replace_names(const struct head *head, struct header *header)
{
	char text[sizeof(head->problem->text)];

	if (head->input->fieldnames == NULL) {
		return 0;
	}
	if (head->input->n_fieldnames != header->n_names) {
		snprintf(text, sizeof(text),
			 "The header row has %zu columns, but there are %zu fieldnames.",
			 header->n_names, head->input->n_fieldnames);
		return bad(head, text);
	}
	header_deinit(header);
	return take_fieldnames(head->input, header);
}

static int read_header_row(struct head *head, struct header *header)
{
	struct row_extent extent;
	const uint8_t *row;
	int r = find_row(head, &extent, &row);

	if (r != 0 || is_at_end(head)) {
		return r;
	}
	r = split_names(head, row, (size_t)(extent.end - head->at), header);
	if (r == 0) {
		r = replace_names(head, header);
	}
	head->line += bits_count_byte(row, (size_t)(extent.next - head->at), '\n');
	head->at = extent.next;
	return r;
}

static int take_positions(size_t n, struct header *header)
{
	header->names = calloc(n, sizeof(*header->names));
	if (header->names == NULL) {
		return -ENOMEM;
	}
	for (; header->n_names < n; header->n_names++) {
		header->names[header->n_names] = strdup(""); /* columns_make_unique() numbers it */
		if (header->names[header->n_names] == NULL) {
			return -ENOMEM;
		}
	}
	return 0;
}

/* Without a header: looks at the first row, but leaves it to be read. */
static int read_no_header(struct head *head, struct header *header)
{
	const uint64_t at = head->at;
	const uint64_t line = head->line;
	struct row_extent extent;
	struct dialect_fault fault;
	const uint8_t *row;

	if (head->input->fieldnames != NULL) {
		return take_fieldnames(head->input, header);
	}

	int r = find_row(head, &extent, &row);

	if (r != 0 || is_at_end(head)) {
		return r;
	}

	size_t n = dialect_split(&head->dialect, row, (size_t)(extent.end - head->at), NULL, 0,
				 &fault);

	if (n > PLAN_MAX_COLUMNS) {
		return bad(head, "The first row has too many columns.");
	}
	head->at = at;
	head->line = line;
	return take_positions(n, header);
}

static int read_head(struct head *head, struct header *header)
{
	int r = skip_bom(head);

	for (uint64_t i = 0; r == 0 && i < head->input->skip_rows && !is_at_end(head); i++) {
		r = skip_line(head);
	}
	if (r == 0) {
		r = head->input->header ? read_header_row(head, header)
					: read_no_header(head, header);
	}
	return r == 0 ? columns_make_unique(header->names, header->n_names) : r;
}

int header_read(const struct input_spec *input, struct reader *reader, struct header *ret_header,
		struct header_problem *ret_problem)
{
	struct head head = {
		.input = input,
		.reader = reader,
		.line = 1,
		.problem = ret_problem,
	};
	struct header header = {0};

	dialect_init(&head.dialect, input);

	int r = read_head(&head, &header);

	if (r != 0) {
		header_deinit(&header);
		return r;
	}
	header.data_offset = head.at;
	header.data_line = head.line;
	*ret_header = header;
	return 0;
}
