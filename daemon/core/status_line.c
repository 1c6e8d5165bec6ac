/* SPDX-License-Identifier: MIT */
/*
 * A thousand small jobs a second would be thousands of messages that nobody reads, each of which
 * wakes up the service manager. So what comes within a second after a line waits for its end, and
 * the timer that it waits for is also what follows the rows. An idle daemon has no timer armed.
 */
#include "daemon/core/status_line.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/clock.h"
#include "common/util/log.h"
#include "daemon/core/loop.h"
#include "daemon/core/notify.h"

#define INTERVAL_NS (1 * CLOCK_NS_PER_SEC)

struct status_line {
	status_line_fn fn;
	void *userdata;
	struct loop_source *timer;
	int64_t next_ns; /* not before then */
	bool is_armed;
	char last[STATUS_LINE_SIZE];
};

static void arm(struct status_line *status)
{
	int r = loop_timer_arm(status->timer, status->next_ns);

	status->is_armed = r == 0;
	if (r < 0) {
		log_warning("cannot arm the timer of the status line: %s", strerror(-r));
	}
}

static void send_line(struct status_line *status, int64_t now_ns)
{
	char line[STATUS_LINE_SIZE] = "";
	bool is_moving = status->fn(status->userdata, line);

	status->next_ns = now_ns + INTERVAL_NS;
	if (strcmp(line, status->last) != 0) {
		memcpy(status->last, line, sizeof(line));
		notify_status(line);
	}
	if (is_moving) {
		arm(status);
	}
}

static void on_timer(void *userdata, int64_t now_ns)
{
	struct status_line *status = userdata;

	status->is_armed = false;
	send_line(status, now_ns);
}

int status_line_new(struct loop *loop, status_line_fn fn, void *userdata,
		    struct status_line **ret_status)
{
	struct status_line *status = calloc(1, sizeof(*status));

	if (status == NULL) {
		return -ENOMEM;
	}
	status->fn = fn;
	status->userdata = userdata;
	int r = loop_add_timer(loop, on_timer, status, &status->timer);
	if (r < 0) {
		free(status);
		return r;
	}
	*ret_status = status;
	return 0;
}

struct status_line *status_line_free(struct status_line *status)
{
	if (status != NULL) {
		loop_source_free(status->timer);
		free(status);
	}
	return NULL;
}

void status_line_touch(struct status_line *status)
{
	if (status == NULL || status->is_armed) {
		return;
	}
	int64_t now_ns = clock_monotonic_ns();

	if (now_ns >= status->next_ns) {
		send_line(status, now_ns);
	} else {
		arm(status);
	}
}
