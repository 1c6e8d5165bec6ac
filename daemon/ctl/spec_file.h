/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/model/spec_error.h"
#include "common/util/macro.h"

/* A job spec as a file of the user's, checked here before any daemon sees it. */
struct spec_file {
	const char *path; /* as given; "-" is standard input */
	char *text;	  /* NUL behind it */
	size_t len;
	char *job_name; /* the spec's own, else the file's */
};

#define SPEC_FILE_INIT ((struct spec_file){0})

void spec_file_deinit(struct spec_file *spec);

/*
 * 0; -EINVAL and *ret_error if it is no valid spec (text and len are set then, job_name is not);
 * -EFBIG if it is too long; -errno if it can't be read.
 */
int spec_file_load(const char *path, struct spec_file *ret_spec,
		   struct spec_error *ret_error) MUST_CHECK;

/* The same, with the complaint on stderr. Returns an enum ctl_exit. */
int spec_file_load_or_complain(const char *path, struct spec_file *ret_spec) MUST_CHECK;

/* The last component of the path; "stdin.json" for "-". */
const char *spec_file_base_name(const struct spec_file *spec);
