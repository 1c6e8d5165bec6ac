/* SPDX-License-Identifier: MIT */
/*
 * JOURNAL_STREAM names device and inode of the stream that systemd gave us as stderr (see
 * systemd.exec(5)). It is inherited by whatever we start and survives a redirection, so it is
 * compared with what stderr is now. A message that the journal does not take goes to stderr.
 *
 * journald finds out whose a message with fields is when it reads it. If its sender has ended by
 * then it belongs to no unit, and `systemctl status` would not show why a start has failed. The
 * stream has been the unit's from its beginning, so all that has no fields goes by it.
 */
#include "daemon/core/journal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"

#define FIELD_SIZE 64
#define IDENTIFIER "SYSLOG_IDENTIFIER=zooparalleld"

static bool is_stderr_journal(void)
{
	struct stat st;
	char stream[FIELD_SIZE];
	if (fstat(STDERR_FILENO, &st) < 0) {
		return false;
	}
	snprintf(stream, sizeof(stream), "%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev,
		 (uint64_t)st.st_ino);
	return str_equal(getenv("JOURNAL_STREAM"), stream);
}

static struct iovec field(char *text)
{
	return (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

/* The number in front is the priority (sd-daemon(3)). */
static void send_line(int level, const char *message)
{
	char line[LOG_MESSAGE_SIZE + FIELD_SIZE];
	int n = snprintf(line, sizeof(line), "<%d>%s\n", level, message);
	/* There is nowhere to report that the report failed. */
	if (fd_write_all(STDERR_FILENO, line, (size_t)n) < 0) {
		return;
	}
}

static void send_fields(int level, const char *job, int worker, const char *message)
{
	char identifier[] = IDENTIFIER;
	char priority[FIELD_SIZE], job_field[FIELD_SIZE], worker_field[FIELD_SIZE];
	char text[LOG_MESSAGE_SIZE + FIELD_SIZE];
	struct iovec fields[5];
	int n = 0;
	snprintf(text, sizeof(text), "MESSAGE=%s", message);
	snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
	fields[n++] = field(text);
	fields[n++] = field(priority);
	fields[n++] = field(identifier);
	if (job) {
		snprintf(job_field, sizeof(job_field), "JOB=%s", job);
		fields[n++] = field(job_field);
	}
	if (worker >= 0) {
		snprintf(worker_field, sizeof(worker_field), "WORKER=%d", worker);
		fields[n++] = field(worker_field);
	}
	if (sd_journal_sendv(fields, n) < 0) {
		send_line(level, message);
	}
}

static void journal_sink(int level, const char *job, int worker, const char *message)
{
	if (job || worker >= 0) {
		send_fields(level, job, worker, message);
	} else {
		send_line(level, message);
	}
}

void journal_install(void)
{
	if (is_stderr_journal()) {
		log_set_sink(journal_sink);
	}
}
