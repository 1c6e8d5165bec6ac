/* SPDX-License-Identifier: MIT */
/*
 * The two settings are process-wide and set once by a main(): a log that had to be handed to every
 * function would be in every signature. The default sink writes each line with one write(2), so
 * that the lines of a daemon and its workers on one stderr don't mix.
 */
#include "common/util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/str.h"

static void log_to_stderr(int level, const char *job, int worker, const char *message);

static log_sink_fn current_sink = log_to_stderr;
static int current_level = LOG_LEVEL_INFO;

static const char *log_level_name(int level)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error: ",	 [LOG_LEVEL_WARNING] = "warning: ",
		[LOG_LEVEL_NOTICE] = "notice: ", [LOG_LEVEL_INFO] = "",
		[LOG_LEVEL_DEBUG] = "debug: ",
	};

	return level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG ? names[level] : "";
}

static void log_to_stderr(int level, const char *job, int worker, const char *message)
{
	char line[LOG_MESSAGE_SIZE + 256];
	char who[192] = "";
	int n;

	if (job != NULL && worker >= 0) {
		snprintf(who, sizeof(who), "job %s, worker %d: ", job, worker);
	} else if (job != NULL) {
		snprintf(who, sizeof(who), "job %s: ", job);
	} else if (worker >= 0) {
		snprintf(who, sizeof(who), "worker %d: ", worker);
	}
	n = snprintf(line, sizeof(line), "%s%s%s\n", log_level_name(level), who, message);
	/* There is nowhere to report that the report failed. */
	if (fd_write_all(STDERR_FILENO, line, (size_t)n) < 0) {
		return;
	}
}

static void log_clean(char *message)
{
	message[str_utf8_floor(message, strlen(message), LOG_MESSAGE_SIZE - 1)] = '\0';
	for (char *p = message; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			*p = '?';
		}
	}
}

void log_set_sink(log_sink_fn sink)
{
	current_sink = sink != NULL ? sink : log_to_stderr;
}

void log_set_level(int level)
{
	current_level = level;
}

bool log_is_enabled(int level)
{
	return level <= current_level;
}

void log_write(int level, const char *job, int worker, const char *format, ...)
{
	char message[LOG_MESSAGE_SIZE +
		     1]; /* one byte more shows whether the cut is in a character */
	int saved_errno = errno;
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	log_clean(message);
	current_sink(level, job, worker, message);
	errno = saved_errno;
}
