/* SPDX-License-Identifier: MIT */

/*
 * Both are linear in the number of columns, for files of ten thousand of them. A name remembers
 * which suffix its next double should try: all the smaller ones are taken for good.
 */
#include "daemon/pipe/columns.h"

#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `data` of an entry is a number and never points anywhere. */
static void *number_as_data(uintptr_t number)
{
	void *data;

	memcpy(&data, &number, sizeof(data));
	return data;
}

static ENTRY *find(struct hsearch_data *table, char *name)
{
	ENTRY *entry = NULL;

	return hsearch_r((ENTRY){.key = name}, FIND, &entry, table) != 0 ? entry : NULL;
}

static int enter(struct hsearch_data *table, char *name, uintptr_t number)
{
	ENTRY *entry;
	ENTRY wanted = {.key = name, .data = number_as_data(number)};

	return hsearch_r(wanted, ENTER, &entry, table) != 0 ? 0 : -ENOMEM;
}

/* Replaces *name, which is that of `first`, by a new one made of it. */
static int rename_double(struct hsearch_data *table, ENTRY *first, char **name)
{
	for (uintptr_t suffix = (uintptr_t)first->data;; suffix++) {
		char *candidate;

		if (asprintf(&candidate, "%s_%zu", *name, (size_t)suffix) < 0) {
			return -ENOMEM;
		}
		if (find(table, candidate) == NULL) {
			first->data = number_as_data(suffix + 1);
			free(*name);
			*name = candidate;
			return 0;
		}
		free(candidate);
	}
}

static int make_unique(struct hsearch_data *table, char **name, size_t position)
{
	if ((*name)[0] == '\0') {
		char *number;

		if (asprintf(&number, "%zu", position) < 0) {
			return -ENOMEM;
		}
		free(*name);
		*name = number;
	}

	ENTRY *first = find(table, *name);

	if (first != NULL) {
		int r = rename_double(table, first, name);

		if (r < 0) {
			return r;
		}
	}
	return enter(table, *name, 2);
}

int columns_make_unique(char **names, size_t n)
{
	struct hsearch_data table = {0};
	int r = 0;

	if (hcreate_r(2 * n + 16, &table) == 0) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		r = make_unique(&table, &names[i], i + 1);
	}
	hdestroy_r(&table);
	return r;
}

static bool is_same_order(char *const *columns, char *const *fields, size_t n)
{
	for (size_t c = 0; c < n; c++) {
		if (strcmp(columns[c], fields[c]) != 0) {
			return false;
		}
	}
	return true;
}

static int find_fields(struct hsearch_data *table, char *const *columns, size_t n,
		       uint32_t *field_of, size_t *ret_missing)
{
	for (size_t c = 0; c < n; c++) {
		const ENTRY *entry = find(table, columns[c]);

		if (entry == NULL) {
			*ret_missing = c;
			return -ENOENT;
		}
		field_of[c] = (uint32_t)(uintptr_t)entry->data;
	}
	return 0;
}

int columns_match(char *const *columns, char *const *fields, size_t n, uint32_t **ret_field_of,
		  size_t *ret_missing)
{
	CLEANUP(free_p) uint32_t *field_of = calloc(n + 1, sizeof(*field_of));
	struct hsearch_data table = {0};
	int r = 0;

	if (is_same_order(columns, fields, n)) {
		*ret_field_of = NULL;
		return 0;
	}
	if (field_of == NULL || hcreate_r(2 * n + 16, &table) == 0) {
		return -ENOMEM;
	}
	for (size_t f = 0; f < n && r == 0; f++) {
		r = enter(&table, fields[f], f);
	}
	if (r == 0) {
		r = find_fields(&table, columns, n, field_of, ret_missing);
	}
	hdestroy_r(&table);
	if (r == 0) {
		*ret_field_of = TAKE_PTR(field_of);
	}
	return r;
}
