/* SPDX-License-Identifier: MIT */
/*
 * The kernel tells nobody which process it has killed for lack of memory; it counts.
 *
 * With version 2 of the control groups memory.events counts the victims in our own group: the
 * daemon, its workers and nothing else under systemd. So a worker that died of SIGKILL while that
 * count rose by one was the victim, unless someone sent another worker a SIGKILL in the very
 * second, and then the two are only mixed up. In a group that is shared with others, and with the
 * machine-wide count of vmstat, which is all that there is elsewhere, a stranger may have been the
 * victim: a worker killed by hand within a second or two of that is counted wrong.
 *
 * The count rises before the victim dies, so a look in between must not yet give the kill to
 * nobody: one that is a second old may still be claimed.
 */
#include "daemon/sched/oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/num.h"

#define LOOK_INTERVAL_NS CLOCK_NS_PER_SEC
#define COUNT_NAME	 "oom_kill "

/* vmstat has some 6 KB, and its oom_kill stands in the last third. */
enum { TEXT_SIZE = 16384 };

static int open_count_of_group(void)
{
	char groups[4096], path[4096];
	CLEANUP(fd_closep) int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : fd_pread_full(fd, groups, sizeof(groups) - 1, 0);

	if (n <= 0) {
		return -1;
	}
	groups[n] = '\0';
	/* The line of version 2, where there is none of version 1 that has the memory instead. */
	const char *group = strncmp(groups, "0::", 3) == 0 ? groups + 3 : NULL;
	if (group == NULL) {
		return -1;
	}
	snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/memory.events", (int)strcspn(group, "\n"),
		 group);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A count that cannot be read stays what it was. */
static uint64_t read_count(const struct oom *oom)
{
	char text[TEXT_SIZE];
	uint64_t count;
	ssize_t n = oom->fd < 0 ? -1 : fd_pread_full(oom->fd, text, sizeof(text) - 1, 0);

	if (n <= 0) {
		return oom->n_at_look;
	}
	text[n] = '\0';
	char *at = text;
	while (at != NULL && strncmp(at, COUNT_NAME, strlen(COUNT_NAME)) != 0) {
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	if (at == NULL) {
		return oom->n_at_look;
	}
	at += strlen(COUNT_NAME);
	at[strcspn(at, "\n")] = '\0';
	return num_parse_u64(at, &count) < 0 ? oom->n_at_look : count;
}

void oom_init_with(struct oom *oom, int fd)
{
	*oom = (struct oom){.fd = fd};
	oom->n_at_look = read_count(oom);
	oom->n_known = oom->n_at_look;
}

void oom_init(struct oom *oom)
{
	int fd = open_count_of_group();

	oom_init_with(oom, fd >= 0 ? fd : open("/proc/vmstat", O_RDONLY | O_CLOEXEC));
}

void oom_deinit(struct oom *oom)
{
	oom->fd = fd_close(oom->fd);
}

void oom_look(struct oom *oom, int64_t now_ns)
{
	int64_t age_ns = now_ns - oom->looked_ns;
	uint64_t n_before = oom->n_at_look;

	if (age_ns < LOOK_INTERVAL_NS) {
		return;
	}
	oom->n_at_look = read_count(oom);
	/* After a pause, in which nobody of ours lived, all of it is a stranger's. */
	oom->n_known = MAX(oom->n_known, age_ns < 2 * LOOK_INTERVAL_NS ? n_before : oom->n_at_look);
	oom->looked_ns = now_ns;
}

bool oom_claim(struct oom *oom)
{
	if (read_count(oom) <= oom->n_known) {
		return false;
	}
	oom->n_known++;
	return true;
}
