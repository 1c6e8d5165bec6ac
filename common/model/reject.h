/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

/*
 * Why a row was rejected. The numbers stand in shared memory and in checkpoints, where rejects
 * are counted by code in arrays of REJECT_MAX_CODES: never renumber, never pass that many.
 */
enum reject_code {
	REJECT_RAGGED,
	REJECT_STRAY_QUOTE,
	REJECT_BAD_QUOTE,
	REJECT_BARE_CR,
	REJECT_INVALID_UTF8,
	REJECT_NUL_BYTE,
	REJECT_ROW_TOO_LONG,
	REJECT_UNCLOSED_QUOTE,
	REJECT_CRASH,
	REJECT_N_CODES
};

enum { REJECT_MAX_CODES = 16 };

/* "ragged": the `code` of an error row and the `reason` label of the metric. Never NULL. */
const char *reject_name(enum reject_code code);

/* One sentence for people; it never quotes the row. */
const char *reject_message(enum reject_code code);

/* -EINVAL if there is no such name. */
int reject_parse(const char *name, enum reject_code *ret) MUST_CHECK;
