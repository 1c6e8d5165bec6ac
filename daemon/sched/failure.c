/* SPDX-License-Identifier: MIT */
/*
 * Failures are built in place, in a fixed buffer: to say that memory or space ran out must need
 * neither.
 */
#include "daemon/sched/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/util/str.h"

static void make_printable(char *text)
{
	size_t bad_offset;

	text[str_utf8_floor(text, strlen(text), FAILURE_MESSAGE_SIZE - 4)] = '\0';
	for (char *at = text; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f) {
			*at = '?';
		}
	}
	while (!str_is_utf8(text, strlen(text), &bad_offset)) {
		text[bad_offset] = '?';
	}
}

void failure_set(struct failure *failure, enum job_reason reason, const char *format, ...)
{
	va_list args;

	failure->reason = reason;
	failure->is_passing = false;
	va_start(args, format);
	int len = vsnprintf(failure->message, sizeof(failure->message), format, args);
	va_end(args);
	if (len < 0) {
		failure->message[0] = '\0';
	}
	make_printable(failure->message);
}

enum job_reason failure_reason_of(int error, enum job_reason otherwise)
{
	return error == ENOSPC || error == EDQUOT ? JOB_REASON_NO_SPACE : otherwise;
}

bool failure_is_passing(int error)
{
	return error == ENOMEM || error == EMFILE || error == ENFILE || error == EAGAIN ||
	       error == ETOOMANYREFS; /* too many descriptors are on their way: unix(7) */
}
