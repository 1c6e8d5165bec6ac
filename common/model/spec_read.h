/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/model/json_locate.h"
#include "common/model/spec_error.h"
#include "common/util/macro.h"

/*
 * Reads JSON objects by tables: one table for each kind of object, one line for each key.
 * Only job_spec*.c uses this.
 *
 * Every function returns 0, -EINVAL with *reader->error filled, or -ENOMEM.
 */

enum {
	SPEC_READER_MAX_STEPS = 8, /* "$.pipes[0].input.fieldnames[0]" takes 5 */
};

/* Where in the document the reading is; what fails, fails there. */
struct spec_reader {
	const char *text;
	size_t len;
	struct json_step steps[SPEC_READER_MAX_STEPS];
	size_t n_steps;
	struct spec_error *error;
};

struct spec_key;

/* Reads value into *ret_field, whose type the function knows. */
typedef int (*spec_read_fn)(struct spec_reader *reader, const json_t *value,
			    const struct spec_key *key, void *ret_field);

struct spec_key {
	const char *name;
	spec_read_fn read; /* NULL: a key of the design that is not supported yet */
	size_t offset;	   /* of the field in the object's struct */
	bool is_required;
	int64_t min; /* of a number */
	int64_t max;
};

/* A word that a string may be. A table of them ends with a NULL name. */
struct spec_choice {
	const char *name;
	int value;
	bool is_unsupported; /* on the last, nameless one: so is every other word */
};

/* Reads all members of an object into object_struct by a table that ends with a NULL name. */
MUST_CHECK int spec_read_object(struct spec_reader *reader, const json_t *object,
				const struct spec_key *keys, void *object_struct);

/* ret_field: char **, which must hold NULL and is the caller's to free */
MUST_CHECK int spec_read_string(struct spec_reader *reader, const json_t *value,
				const struct spec_key *key, void *ret_field);
/* ret_field: bool * */
MUST_CHECK int spec_read_bool(struct spec_reader *reader, const json_t *value,
			      const struct spec_key *key, void *ret_field);
/* ret_field: int *; key->min to key->max */
MUST_CHECK int spec_read_int(struct spec_reader *reader, const json_t *value,
			     const struct spec_key *key, void *ret_field);
/* ret_field: uint64_t *; key->min to key->max */
MUST_CHECK int spec_read_count(struct spec_reader *reader, const json_t *value,
			       const struct spec_key *key, void *ret_field);
/* The same; null is UINT64_MAX. */
MUST_CHECK int spec_read_limit(struct spec_reader *reader, const json_t *value,
			       const struct spec_key *key, void *ret_field);
/* ret_field: double *; key->min to key->max */
MUST_CHECK int spec_read_real(struct spec_reader *reader, const json_t *value,
			      const struct spec_key *key, void *ret_field);
MUST_CHECK int spec_read_choice(struct spec_reader *reader, const json_t *value,
				const struct spec_choice *choices, int *ret_value);

/* -EINVAL unless value is of that type, which `wanted` names: "must be a string, not null". */
MUST_CHECK int spec_check_type(struct spec_reader *reader, const json_t *value, json_type type,
			       const char *wanted);

/* Go down to a member (key, or NULL and an index) and up again. */
void spec_enter(struct spec_reader *reader, const char *key, size_t index);
void spec_leave(struct spec_reader *reader);

/* Fills the error with the place of the value that is being read. Returns -EINVAL. */
MUST_CHECK int spec_fail(struct spec_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
