/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "common/util/macro.h"

/* The numbers of syslog(3). */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/*
 * Takes one message: a single line of UTF-8 (if its parts were), cut before LOG_MESSAGE_SIZE.
 * Control characters were replaced by '?': a file's name can't forge a line or move a cursor.
 * `job` is a job's ID or NULL, `worker` a slot or -1.
 */
typedef void (*log_sink_fn)(int level, const char *job, int worker, const char *message);

enum { LOG_MESSAGE_SIZE = 2048 };

/* Where messages go; NULL is the default: lines on stderr, one write(2) each. */
void log_set_sink(log_sink_fn sink);

/* What is let through: this level and the graver ones. LOG_LEVEL_INFO at first. */
void log_set_level(int level);
bool log_is_enabled(int level);

/* Keeps errno. */
void log_write(int level, const char *job, int worker, const char *format, ...) PRINTF_FORMAT(4, 5);

/* The arguments are not evaluated if the level is not let through. */
#define log_job(level, job, worker, ...)                                                           \
	do {                                                                                       \
		if (log_is_enabled(level)) {                                                       \
			log_write(level, job, worker, __VA_ARGS__);                                \
		}                                                                                  \
	} while (0)

#define log_error(...)	 log_job(LOG_LEVEL_ERROR, NULL, -1, __VA_ARGS__)
#define log_warning(...) log_job(LOG_LEVEL_WARNING, NULL, -1, __VA_ARGS__)
#define log_notice(...)	 log_job(LOG_LEVEL_NOTICE, NULL, -1, __VA_ARGS__)
#define log_info(...)	 log_job(LOG_LEVEL_INFO, NULL, -1, __VA_ARGS__)
#define log_debug(...)	 log_job(LOG_LEVEL_DEBUG, NULL, -1, __VA_ARGS__)
