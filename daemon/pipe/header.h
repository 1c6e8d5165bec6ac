/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/job_spec.h"
#include "common/util/macro.h"
#include "daemon/pipe/reader.h"

/* What stands before the rows of one file. */
struct header {
	char **names;	      /* of its columns: not NULL, unique, valid UTF-8 */
	size_t n_names;	      /* 0: there is neither a header nor a row */
	uint64_t data_offset; /* first byte of the rows; the file's size if there are none */
	uint64_t data_line;   /* physical line there, 1 = first of the file */
};

void header_deinit(struct header *header);

/* Why a file's head cannot be used, for people. */
struct header_problem {
	uint64_t line; /* physical */
	char text[160];
};

enum { HEADER_IS_BAD = 1 };

/*
 * Reads BOM, skipped lines and header row, or the first row where there is none to count its
 * fields, from the file that the reader has open. fieldnames replace a header's names. Returns 0
 * with *ret_header; HEADER_IS_BAD with *ret_problem; or as reader_fetch().
 */
int header_read(const struct input_spec *input, struct reader *reader, struct header *ret_header,
		struct header_problem *ret_problem) MUST_CHECK;
